"""Split conformal prediction: what calibration rows promise of new rows drawn like them, whatever the model.

Shape suffixes:
    N  rows    n  calibration rows    C  classes    G  groups of classes
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np

from trueweight.metrics.beta import betabinomial_cdf

__all__ = [
    "ClassSets", "Radius", "conformal_ends", "conformal_radius", "conformal_sets", "coverage_band", "coverage_tail",
    "fewest_rows", "rank_of",
]  # fmt: skip

Array: TypeAlias = np.ndarray

RANGES = 5
ROWS_OF_A_RANGE = 40
"""Of predicted values that have a radius of their own."""


def rank_of(n: int, coverage: float) -> int:
    """k = ceil((n + 1) * coverage): the k-th smallest score of n calibration rows covers a new row with probability
    k / (n + 1), if scores do not tie."""
    return math.ceil((n + 1) * coverage - 1e-9)  # 0.9 * 10 must not round up to 10


def fewest_rows(coverage: float) -> int:
    """Calibration rows without which nothing can be promised: 9 for 90 %."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def coverage_band(n: int, coverage: float, rows: int, level: float = 0.99) -> tuple[float, float]:
    """Where the share covered of ``rows`` new rows lies with probability ``level``, over all draws of both.

    Exact where scores do not tie: the number covered is beta-binomial with k and n + 1 - k (Vovk 2012,
    arXiv:1209.2673; Angelopoulos and Bates 2021, arXiv:2107.07511, section 3.2).
    """
    k = rank_of(n, coverage)
    reach = betabinomial_cdf(rows, k, n + 1 - k)
    tail = (1 - level) / 2
    # At most tail below the low end, and at most tail above the high one.
    low = int(np.searchsorted(reach, tail, side="right"))
    high = int(np.searchsorted(reach, 1 - tail, side="left"))
    return low / rows, min(high, rows) / rows


def coverage_tail(n: int, coverage: float, rows: int, covered: int) -> float:
    """Probability that ``covered`` or fewer of ``rows`` new rows are covered, if they are drawn like the calibration
    rows. Scores that tie only make it smaller."""
    k = rank_of(n, coverage)
    return float(betabinomial_cdf(rows, k, n + 1 - k)[covered])


@dataclass(frozen=True, slots=True)
class Radius:
    """Half the width of one target's intervals, or by how much its learnt quantiles move apart."""

    radius: float | None
    """In the target's unit; None when there were too few rows to promise the coverage. Of quantiles it may be below 0:
    they were too far apart."""
    coverage: float
    """Share of new rows whose true value should lie inside."""
    n: int
    """Calibration rows."""
    reason: str = ""
    """Why there is no interval."""
    crossed: bool = False
    """Whether the rows also selected the model, because there were too few to set some apart."""
    edges: tuple[float, ...] = ()
    """Predicted values from which the next range begins; () for one radius everywhere."""
    radii: tuple[float, ...] = ()
    """Of each range."""
    sizes: tuple[int, ...] = ()
    """Calibration rows of each range."""
    of_quantiles: bool = False
    """Whether it moves learnt quantiles, rather than going out from the value."""

    def radius_N(self, value_N: Array) -> Array:  # noqa: N802
        """The radius around each predicted value."""
        if not self.edges:
            return np.full(len(value_N), self.radius, dtype=np.float64)
        return np.array(self.radii)[np.searchsorted(self.edges, value_N, side="right")]


def conformal_radius(
    residuals: Array, coverage: float, *, crossed: bool = False, value_N: Array | None = None
) -> Radius:
    """The radius that split conformal prediction gives.

        the k-th smallest residual, k = ceil((n + 1) * coverage)

    New rows drawn like the calibration rows then lie inside with at least this probability, whatever the model.
    Source: Lei et al. 2018, "Distribution-Free Predictive Inference for Regression", arXiv:1604.04173, section 2.2.

    With ``value_N`` there is a radius for each range of predicted values, and the promise holds in each (Boström and
    Johansson 2020, "Mondrian conformal regressors"). Ranges hold equally many calibration rows.

    Args:
        residuals: ``|truth - prediction|`` of calibration rows, (n,). With rows that selection has seen, the radius is
            optimistic.
        coverage: In (0, 1).
        crossed: Whether selection has seen them.
        value_N: Predicted values of the same rows; None for one radius everywhere.
    """
    n = len(residuals)
    if rank_of(n, coverage) > n:
        least = fewest_rows(coverage)
        reason = f"{n} calibration rows cannot promise {coverage:.0%}: it takes {least}"
        return Radius(None, coverage, n, reason, crossed)
    whole = Radius(_ranked(residuals, coverage), coverage, n, "", crossed)
    count = min(RANGES, n // max(ROWS_OF_A_RANGE, 2 * fewest_rows(coverage)))
    if value_N is None or count < 2:
        return whole
    edges = np.unique(np.quantile(value_N, np.arange(1, count) / count))
    range_N = np.searchsorted(edges, value_N, side="right")
    sizes = np.bincount(range_N, minlength=len(edges) + 1)
    if (sizes < fewest_rows(coverage)).any():  # predictions that tie
        return whole
    radii = tuple(_ranked(residuals[range_N == r], coverage) for r in range(len(sizes)))
    return Radius(
        whole.radius, coverage, n, "", crossed, tuple(map(float, edges)), radii, tuple(map(int, sizes))
    )  # fmt: skip


def conformal_ends(low_N: Array, high_N: Array, value_N: Array, coverage: float, *, crossed: bool = False) -> Radius:
    """By how much quantiles that a model has learnt must move apart to cover what they should: conformalised quantile
    regression.

        the k-th smallest of max(low - y, y - high), k = ceil((n + 1) * coverage)

    The width of the intervals follows the row, and the promise is that of :func:`conformal_radius`, whatever the model
    has learnt. Source: Romano, Patterson and Candès 2019, "Conformalized Quantile Regression", arXiv:1905.03222,
    algorithm 1.

    Args:
        low_N: Lower quantiles of the calibration rows, (n,).
        high_N: Upper ones.
        value_N: Their true values.
        coverage: In (0, 1).
        crossed: See :class:`Radius`.
    """
    found = conformal_radius(np.maximum(low_N - value_N, value_N - high_N), coverage, crossed=crossed)
    return replace(found, of_quantiles=True)


def _ranked(scores: Array, coverage: float) -> float:
    rank = rank_of(len(scores), coverage)
    return float(np.partition(scores, rank - 1)[rank - 1])


@dataclass(frozen=True, slots=True)
class ClassSets:
    """How probable a class must be to belong to a row's set."""

    coverage: float
    """Share of new rows whose true class should be in their set."""
    n: int
    """Calibration rows."""
    least: tuple[float, ...] = ()
    """Of each group of classes, (G,); () when there were too few rows to promise the coverage."""
    sizes: tuple[int, ...] = ()
    """Calibration rows of each group."""
    groups: tuple[int, ...] = ()
    """Group of each class, (C,): all 0 where one bound is for all classes."""
    reason: str = ""
    """Why there are no sets."""
    crossed: bool = False
    """See :class:`Radius`."""

    def set_NC(self, probability_NC: Array) -> Array:  # noqa: N802 - the shape, as everywhere
        """Which classes belong to each row's set, (N, C) bool. A set may be empty: no class is probable enough."""
        return np.asarray(probability_NC >= _bounds(self.least, self.groups))


@lru_cache(maxsize=64)
def _bounds(least: tuple[float, ...], groups: tuple[int, ...]) -> Array:
    """Of each class, (C,)."""
    # Rounding must not push out a row that ties with the one that set the bound.
    return np.asarray(np.array(least)[np.array(groups)] - 1e-9)


def conformal_sets(
    probability_NC: Array, index_N: Array, coverage: float, *, by_class: bool = False, crossed: bool = False
) -> ClassSets:
    """The least probability with which a class belongs to the set.

        1 - the k-th smallest of (1 - probability of the true class), k = ceil((n + 1) * coverage)

    The sets are the smallest on average that cover so many rows (Sadinle, Lei and Wasserman 2019, arXiv:1609.00451;
    "LAC"). Nothing is drawn at random, so the same row always gets the same set; where the model is right more often
    than ``coverage``, rows on which it hesitates get an empty set.

    Args:
        probability_NC: Of the calibration rows.
        index_N: Their true classes; -1 for one that the model does not know, which no set can hold.
        coverage: In (0, 1).
        by_class: A bound for each class, so that the promise holds for the rows of each (Vovk 2012, arXiv:1209.2673).
            Classes with too few rows share one; if they are too few together, they are in every set.
        crossed: See :class:`Radius`.
    """
    n, classes = probability_NC.shape
    if rank_of(n, coverage) > n:
        least = fewest_rows(coverage)
        reason = f"{n} calibration rows cannot promise {coverage:.0%}: it takes {least}"
        return ClassSets(coverage, n, reason=reason, crossed=crossed)
    own_N = np.where(index_N < 0, 0.0, probability_NC[np.arange(n), index_N])
    group_C = np.zeros(classes, dtype=np.int64)
    if by_class:
        enough_C = np.bincount(index_N[index_N >= 0], minlength=classes) >= fewest_rows(coverage)
        group_C = np.where(enough_C, np.cumsum(enough_C) - 1, int(enough_C.sum()))
    group_N = np.where(index_N < 0, -1, group_C[index_N]) if by_class else np.zeros(n, dtype=np.int64)
    bounds, sizes = [], []
    for group in range(int(group_C.max()) + 1):
        mine = own_N[group_N == group]
        enough = rank_of(len(mine), coverage) <= len(mine)
        bounds.append(1 - _ranked(1 - mine, coverage) if enough else 0.0)
        sizes.append(len(mine))
    return ClassSets(coverage, n, tuple(bounds), tuple(sizes), tuple(map(int, group_C)), "", crossed)
