"""A mergeable sample: the k rows with the smallest hashes, the same however the data was partitioned."""

from dataclasses import dataclass

import numpy as np

from trueweight.seeds import row_hashes, stream_seed

__all__ = ["SAMPLE_ROWS", "BottomK"]

SAMPLE_ROWS = 65_536
"""k: tables up to this many rows are used whole, so that their quantiles are exact."""


@dataclass(frozen=True, slots=True)
class BottomK:
    """Which rows are looked at for everything scale-like (means, quantiles)."""

    rows: np.ndarray
    """int64 row numbers, ascending, at most k."""

    @classmethod
    def of(cls, rows: np.ndarray, *, k: int = SAMPLE_ROWS) -> "BottomK":
        """The k of ``rows`` whose hashes are smallest. Depends on the set of rows only, not their order."""
        rows = np.sort(np.asarray(rows, dtype=np.int64))
        if len(rows) <= k:
            return cls(rows)
        hashes = row_hashes(stream_seed(0, "bottom-k"), rows)
        return cls(np.sort(rows[np.argsort(hashes, kind="stable")[:k]]))

    def merge(self, other: "BottomK", *, k: int = SAMPLE_ROWS) -> "BottomK":
        """The sample of both parts' rows together."""
        return BottomK.of(np.union1d(self.rows, other.rows), k=k)
