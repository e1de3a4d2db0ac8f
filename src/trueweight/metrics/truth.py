"""What really happened, beside what was predicted: the other half of every metric."""

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Truth"]


@dataclass(frozen=True, slots=True)
class Truth:
    """True values of one target for N rows.

    Shape of ``value`` by the target's type: number (N,) float64; binary and category (N,) int64 indices into
    the prediction's classes; set (N, C) bool; vector (N, D) float64; text (N,) object. A label that the model has never
    seen counts as present with index -1: whatever is answered is wrong.
    """

    value: np.ndarray
    present_N: np.ndarray
    """bool: rows whose label is known. Metrics look at no others."""
    weight_N: np.ndarray | None = None
    """float64 >= 0, or None for 1 each."""
    cluster_N: np.ndarray | None = None
    """int64 numbers of groups that are drawn together by the bootstrap, or None for rows."""

    def __len__(self) -> int:
        return len(self.present_N)

    def take(self, rows: np.ndarray) -> "Truth":
        """The rows at these positions."""
        weight, cluster = (None if a is None else a[rows] for a in (self.weight_N, self.cluster_N))
        return replace(self, value=self.value[rows], present_N=self.present_N[rows], weight_N=weight, cluster_N=cluster)
