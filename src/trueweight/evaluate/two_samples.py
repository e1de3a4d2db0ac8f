"""Do two samples come from one distribution? Tests from counts alone, since of one sample nothing else is known.

Shape suffixes:
    K  bins, levels or words    R  draws
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trueweight.metrics.several import fisher, normal_tail

__all__ = ["Counts", "design_effect", "in_order", "levels_apart", "ordered_apart", "shares_apart", "unordered_apart"]

DRAWS = 1999
"""Of the null distribution."""

_FIRST = 199
"""Draws that are enough where nothing is to be seen."""

_FEW = 25
"""Hits or misses expected below which shares are compared exactly."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by bin in both samples."""

    known_K: np.ndarray
    """Of training rows."""
    seen_K: np.ndarray
    """Of judged rows."""
    effect: float = 1.0
    """Design effect: as many rows of a cluster say as much as one independent row."""

    def shares(self) -> tuple[np.ndarray, np.ndarray]:
        """Of both."""
        return self.known_K / self.known_K.sum(), self.seen_K / self.seen_K.sum()

    def effective(self) -> tuple[np.ndarray, int]:
        """Pooled counts and the size of the judged sample, counting independent rows only."""
        known, seen = float(self.known_K.sum()) / self.effect, float(self.seen_K.sum()) / self.effect
        share_K = (self.known_K + self.seen_K) / (self.known_K.sum() + self.seen_K.sum())
        whole = max(2, round(known + seen))
        return _whole(share_K * whole), min(whole - 1, max(1, round(seen)))


def _whole(count_K: np.ndarray) -> np.ndarray:
    """Whole numbers of about the same sizes and the same sum: the largest remainders are rounded up."""
    floor_K = np.floor(count_K + 1e-9).astype(np.int64)
    left = round(float(count_K.sum())) - int(floor_K.sum())
    floor_K[np.argsort(floor_K - count_K, kind="stable")[:left]] += 1
    return np.asarray(floor_K)


def design_effect(place_N: np.ndarray, bins: int, cluster_N: np.ndarray | None) -> float:
    """How many rows say as much as one independent row, at least 1.

    Source: the mean of design effects of Rao and Scott 1984, "On chi-squared tests for multiway contingency tables with
    cell proportions estimated from survey data", Annals of Statistics 12(1), with variances between clusters.

    Args:
        place_N: Bin of each judged row.
        bins: How many there are.
        cluster_N: Which rows belong together; None: none do.
    """
    if cluster_N is None or not len(place_N):
        return 1.0
    names, unit_N = np.unique(cluster_N, return_inverse=True)
    share_K = np.bincount(place_N, minlength=bins) / len(place_N)
    table_UK = np.bincount(unit_N * bins + place_N, minlength=len(names) * bins).reshape(len(names), bins)
    apart_UK = table_UK - table_UK.sum(1, keepdims=True) * share_K
    factor = len(names) / max(1, len(names) - 1)
    variance_K = np.square(apart_UK).sum(0) * factor / len(place_N)
    seen = share_K > 0
    if seen.sum() < 2:
        return 1.0
    return max(1.0, float((variance_K[seen] / share_K[seen]).sum() / (seen.sum() - 1)))


Distance = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""(R, K) shares of both samples, and (K,) pooled ones, to (R,) statistics."""


def in_order(known_RK: np.ndarray, seen_RK: np.ndarray, pooled_K: np.ndarray) -> np.ndarray:
    """Squared differences of the cumulated shares, each over its variance.

    Source: Anderson and Darling 1952, "Asymptotic theory of certain goodness of fit criteria", on bins.
    """
    below_K = np.cumsum(pooled_K)[:-1]
    spread_K = below_K * (1 - below_K)
    gap_RK = np.cumsum(known_RK - seen_RK, axis=-1)[..., :-1]
    return np.asarray((np.square(gap_RK) / np.where(spread_K > 0, spread_K, 1.0)).sum(-1))


def _by_level(known_RK: np.ndarray, seen_RK: np.ndarray, pooled_K: np.ndarray) -> np.ndarray:
    """Pearson's chi-squared, but for the sizes of the samples."""
    return np.asarray((np.square(known_RK - seen_RK) / np.where(pooled_K > 0, pooled_K, 1.0)).sum(-1))


def ordered_apart(counts: Counts, rng: np.random.Generator) -> float:
    """p-value of two spreads of a number being one."""
    return levels_apart(counts, in_order, rng)


def unordered_apart(counts: Counts, rng: np.random.Generator) -> float:
    """p-value of levels being as frequent in both."""
    return levels_apart(counts, _by_level, rng)


def levels_apart(counts: Counts, distance: Distance, rng: np.random.Generator) -> float:
    """p-value by drawing the judged rows from both samples put together, which is exact for any number of rows.

    Where fewer than ten draws are as far apart, the tail of a gamma distribution with their mean and variance is taken,
    as Satterthwaite 1946 did for sums of squares.
    """
    pooled_K, rows = counts.effective()
    share_K = pooled_K / pooled_K.sum()
    found = float(distance(*counts.shares(), share_K))
    null_R = _null(pooled_K, rows, distance, rng, _FIRST)
    if (null_R >= found - 1e-12).sum() > _FIRST // 10:
        return float((1 + (null_R >= found - 1e-12).sum()) / (1 + len(null_R)))
    null_R = np.concatenate([null_R, _null(pooled_K, rows, distance, rng, DRAWS - _FIRST)])
    above = int((null_R >= found - 1e-12).sum())
    p = (1 + above) / (1 + len(null_R))
    return p if above >= 10 else min(p, _gamma_tail(found, float(null_R.mean()), float(null_R.var())))


def _null(pooled_K: np.ndarray, rows: int, distance: Distance, rng: np.random.Generator, draws: int) -> np.ndarray:
    seen_RK = rng.multivariate_hypergeometric(pooled_K, rows, size=draws, method="marginals")
    known_RK = pooled_K - seen_RK
    share_K = pooled_K / pooled_K.sum()
    return distance(known_RK / max(1, int(pooled_K.sum()) - rows), seen_RK / rows, share_K)


def _gamma_tail(value: float, mean: float, variance: float) -> float:
    """Probability that a gamma variable is at least ``value``."""
    if not (mean > 0 and variance > 0):
        return float(value <= mean)
    shape, x = mean**2 / variance, value * mean / variance
    front = math.exp(-x + shape * math.log(x) - math.lgamma(shape)) if x > 0 else 0.0
    if x < shape + 1:  # the series of the lower part: Press et al., "Numerical recipes", section 6.2
        term = total = 1 / shape
        for k in range(1, 500):
            term *= x / (shape + k)
            total += term
        return max(0.0, 1 - front * total)
    b = x + 1 - shape
    c, d = 1e300, 1 / b
    h = d
    for k in range(1, 500):
        step, b = -k * (k - shape), b + 2
        d = 1 / _off_zero(step * d + b)
        c = _off_zero(b + step / c)
        h *= d * c
        if abs(d * c - 1) < 1e-14:
            break
    return front * h


def _off_zero(value: float) -> float:
    return value if abs(value) > 1e-300 else 1e-300


def shares_apart(hits: float, rows: float, known_hits: float, known_rows: float, effect: float = 1.0) -> float:
    """Two-sided p-value of two shares being one: exact where few hits or misses are expected."""
    hits, rows, known_hits, known_rows = (x / effect for x in (hits, rows, known_hits, known_rows))
    if min(rows, known_rows) < 1:
        return 1.0
    share = (hits + known_hits) / (rows + known_rows)
    if min(share, 1 - share) * min(rows, known_rows) < _FEW:
        whole = [round(x) for x in (hits, rows, known_hits, known_rows)]
        return fisher(min(whole[0], whole[1]), whole[1], min(whole[2], whole[3]), whole[3])
    error = math.sqrt(share * (1 - share) * (1 / rows + 1 / known_rows))
    return 2 * normal_tail(abs(hits / rows - known_hits / known_rows) / error)
