"""Draws of rows with replacement, the same for every metric and model that is asked about the same rows.

Source: Efron 1979, "Bootstrap methods: another look at the jackknife"; groups of rows as in Davison and
Hinkley 1997, "Bootstrap methods and their application", section 3.8.

Shape suffixes:
    N  rows    U  units: rows, or groups of rows    R  resamples
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.metrics.metric import known_rows
from trueweight.metrics.statistic import Array, Statistic
from trueweight.metrics.truth import Truth
from trueweight.seeds import stream

__all__ = ["MANY_ROWS", "Units", "drawn_sums", "fewest_units", "resampled"]

MANY_ROWS = 20_000
"""From here on, rows are drawn in that many random groups. The variance of a mean of N rows is the same for
random groups in expectation, and its relative error, sqrt(2 / 20,000) = 1 %, is far below that of 1,000
resamples; but a million rows then cost little more than 20,000."""

_ELEMENTS = 1 << 21
"""Counts held at once: 16 MiB."""


@dataclass(frozen=True, slots=True)
class Units:
    """What is drawn: rows, or the groups that the caller named, or random groups of very many rows."""

    count: int
    """U."""
    of_row_N: Array | None
    """Each row's unit, or None when rows are the units."""
    rows: int
    clusters: int | None
    """U if the groups are the caller's."""

    @classmethod
    def of(cls, truth: Truth, seed: int) -> "Units":
        """The units of a truth's known rows."""
        kept = known_rows(truth)
        if truth.cluster_N is not None:
            names, of_row = np.unique(truth.cluster_N[kept], return_inverse=True)
            return cls(len(names), of_row, len(kept), len(names))
        if len(kept) <= MANY_ROWS:
            return cls(len(kept), None, len(kept), None)
        random = stream(seed, "bootstrap groups").permutation(len(kept)) % MANY_ROWS
        return cls(MANY_ROWS, random, len(kept), None)

    def counted(self, count: int) -> str:
        """So many of them in a sentence: "5 rows", "1 group"."""
        return f"{count:,} {'row' if self.clusters is None else 'group'}{'s' * (count != 1)}"

    @property
    def are(self) -> str:
        """How a sentence about their number begins: "5 rows are", "1 group is"."""
        return f"{self.counted(self.count)} {'is' if self.count == 1 else 'are'}"

    def pooled(self, statistic: Statistic) -> Statistic:
        """The statistic, asked with counts of units."""
        return statistic if self.of_row_N is None else statistic.pooled(self.of_row_N, self.count)

    def counts(self, n_resamples: int, seed: int) -> Iterator[Array]:
        """How often each unit is drawn, in pieces of (r, U) float64 whose r sum to ``n_resamples``."""
        piece = max(1, _ELEMENTS // max(self.rows, self.count))
        for number, start in enumerate(range(0, n_resamples, piece)):
            size = min(piece, n_resamples - start)
            drawn = stream(seed, "bootstrap", number).integers(0, self.count, size=(size, self.count))
            drawn += np.arange(size)[:, None] * self.count
            flat = np.bincount(drawn.ravel(), minlength=size * self.count)
            yield flat.reshape(size, self.count).astype(np.float64)


def resampled(statistics: Sequence[Statistic], units: Units, n_resamples: int, seed: int) -> Array:
    """Every statistic under the same draws: (statistics, R) float64, NaN where a draw does not define it."""
    pooled = [units.pooled(statistic) for statistic in statistics]
    pieces = [np.stack([s.values(counts) for s in pooled]) for counts in units.counts(n_resamples, seed)]
    return np.concatenate(pieces, axis=1)


def drawn_sums(column_NK: Array, units: Units, n_resamples: int, seed: int) -> Array:
    """Sums of K columns of known rows under the same draws as :func:`resampled`: (R, K) float64."""
    if units.of_row_N is not None:
        pooled = [np.bincount(units.of_row_N, column, minlength=units.count) for column in column_NK.T]
        column_NK = np.stack(pooled, axis=1)
    return np.concatenate([counts @ column_NK for counts in units.counts(n_resamples, seed)])


def fewest_units(level: float) -> int:
    """Below this many units nothing can be shown at a level: even if all agree, a coin would too.

    The two-sided sign test's smallest p-value for n units is 2 / 2**n.
    """
    return math.ceil(math.log2(2 / (1 - level)))
