"""A metric made ready for many weightings of the same rows, which is all that a bootstrap needs.

Resampling rows with replacement is the same as counting how often each was drawn, and every metric here is a
function of weighted rows. So a metric is prepared once (sorted, one-hot, squared) and then asked for its value
under R vectors of counts at a time, without a Python loop over resamples.

Shape suffixes:
    N  rows, or groups of rows    R  resamples    K  summed columns    L  labels
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

__all__ = ["Array", "LabelSums", "Statistic", "Sums", "Weighted", "mean_of", "ratio", "share_of", "undefined"]

Array = np.ndarray


class Statistic(Protocol):
    """A metric of fixed rows, waiting to be told how often each row counts."""

    @property
    def reason(self) -> str:
        """Why there is no value at all, or empty."""
        ...

    @property
    def row_N(self) -> Array | None:  # noqa: N802 - the shape, as everywhere
        """What each row contributes, where the metric is a (finished) weighted mean over rows."""
        ...

    @property
    def share(self) -> tuple[float, float] | None:
        """(hits, rows) where the metric is a share of rows; both are sums of weights."""
        ...

    def values(self, count_RN: Array) -> Array:
        """The metric when row n counts count_RN[r, n] times, (R,) float64; NaN where it is not defined."""
        ...

    def pooled(self, group_N: Array, groups: int) -> "Statistic":
        """The same metric of groups of rows that are drawn together: asked with counts (R, groups)."""
        ...


@dataclass(frozen=True, slots=True)
class Sums:
    """A function of K weighted sums over rows."""

    column_NK: Array
    """What is summed, already times the row's weight."""
    combine: Callable[[Array], Array]
    """(R, K) sums to (R,) values."""
    row_N: Array | None = None
    share_columns: bool = False
    """Whether the two columns are hits and rows."""
    reason: str = ""

    @property
    def share(self) -> tuple[float, float] | None:
        if not self.share_columns:
            return None
        hits, rows = self.column_NK.sum(0)
        return float(hits), float(rows)

    def values(self, count_RN: Array) -> Array:
        return self.combine(count_RN @ self.column_NK)

    def pooled(self, group_N: Array, groups: int) -> "Sums":
        # Summed once per group here, instead of once per resample.
        sums = [np.bincount(group_N, column, minlength=groups) for column in self.column_NK.T]
        return replace(self, column_NK=np.stack(sums, axis=1))


@dataclass(frozen=True, slots=True)
class Weighted:
    """A function of all row weights, for metrics that are more than sums: rankings, many classes."""

    function: Callable[[Array], Array]
    """(R, N) weights to (R,) values."""
    weight_N: Array | None = None
    """The rows' own weights, or None for 1 each."""
    group_N: Array | None = None
    row_N: Array | None = None
    share: tuple[float, float] | None = None
    reason: str = ""

    def values(self, count_RN: Array) -> Array:
        weight_RN = count_RN if self.group_N is None else count_RN[:, self.group_N]
        return self.function(weight_RN if self.weight_N is None else weight_RN * self.weight_N)

    def pooled(self, group_N: Array, groups: int) -> "Weighted":  # noqa: ARG002 - the form of the protocol
        return replace(self, group_N=group_N)


def undefined(reason: str, rows: int) -> Sums:
    """The statistic of rows that have no value, whatever their weights."""
    return Sums(np.zeros((rows, 1)), lambda sums: np.full(len(sums), np.nan), reason=reason)


def ratio(above: Array, below: Array, *, empty: float = np.nan) -> Array:
    """above / below, element by element, and ``empty`` where nothing is below."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(below), empty), where=below > 0))


def mean_of(row_N: Array, weight_N: Array | None, finish: Callable[[Array], Array] | None = None) -> Sums:
    """The weighted mean of a number per row, then perhaps ``finish``-ed, e.g. by a square root."""
    weight = np.ones(len(row_N)) if weight_N is None else weight_N

    def combine(sums_RK: Array) -> Array:
        mean = ratio(sums_RK[:, 0], sums_RK[:, 1])
        return finish(mean) if finish else mean

    return Sums(np.stack([row_N * weight, weight], axis=1), combine, row_N=row_N)


def share_of(hit_N: Array, of_N: Array | None, weight_N: Array | None) -> Sums:
    """The share of ``hit_N`` among the rows ``of_N`` (None: all).

    A share of no rows is 0, as scikit-learn says of precision when nothing was answered, but a share of all
    rows when there are none is not defined.
    """
    weight = np.ones(len(hit_N)) if weight_N is None else weight_N
    of = weight if of_N is None else of_N * weight
    empty = np.nan if of_N is None else 0.0
    row = hit_N.astype(np.float64) if of_N is None else None
    columns = np.stack([hit_N * of, of], axis=1)
    return Sums(columns, lambda s: ratio(s[:, 0], s[:, 1], empty=empty), row_N=row, share_columns=True)


_FEW_LABELS = 32


@dataclass(frozen=True, slots=True)
class LabelSums:
    """Sums of weights per label. Of few labels by one product of matrices; of many without a one-hot matrix, so that a
    thousand classes cost little more than two."""

    order: Array
    """Positions of rows, sorted by label."""
    starts: Array
    """Where each label that occurs begins in ``order``."""
    present: Array
    """Those labels."""
    labels: int
    """L, all labels."""
    member_NL: Array | None
    """One-hot labels, zero outside the rows that count; None where there are many."""

    @classmethod
    def of(cls, label_N: Array, labels: int, *, rows: Array | None = None) -> "LabelSums":
        """Sums over ``rows`` (positions; None: all) by their label in [0, labels)."""
        rows = np.arange(len(label_N)) if rows is None else rows
        order = rows[np.argsort(label_N[rows], kind="stable")]
        present, starts = np.unique(label_N[order], return_index=True)
        member_NL = None
        if labels <= _FEW_LABELS:
            member_NL = np.zeros((len(label_N), labels))
            member_NL[rows, label_N[rows]] = 1.0
        return cls(order, starts, present, labels, member_NL)

    def __call__(self, weight_RN: Array) -> Array:
        """(R, L) sums."""
        if self.member_NL is not None:
            return np.asarray(weight_RN @ self.member_NL)
        sums = np.zeros((len(weight_RN), self.labels))
        if len(self.order):
            sums[:, self.present] = np.add.reduceat(weight_RN[:, self.order], self.starts, axis=1)
        return sums
