"""Tests of one comparison, and what to believe when many were made.

Shape suffixes:
    N  rows    U  units: rows, or groups of rows    K  comparisons    R  permutations
"""

import math
from collections.abc import Sequence

import numpy as np

from trueweight.metrics.statistic import Array
from trueweight.seeds import stream

__all__ = ["above_by_chance", "fisher", "holm", "mean_gap", "normal_tail", "permuted_tail"]

PERMUTATIONS = 1999
"""Of a permutation test: p-values down to 1 / 2,000."""

_CELLS = 4_000_000
"""Permuted cells held at once."""


def holm(p_K: Sequence[float] | Array) -> Array:
    """p-values of K comparisons, made larger so that one below 0.05 among them all is wrong at most 1 time in 20.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure", Scand. J. Statistics 6, pp. 65-70.
    """
    p = np.asarray(p_K, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty(len(p))
    found[order] = np.minimum(adjusted, 1.0)
    return found


def normal_tail(z: float) -> float:
    """Probability that a standard normal number is at least ``z``; 1 where z is not a number."""
    return 0.5 * math.erfc(z / math.sqrt(2)) if not math.isnan(z) else 1.0


def fisher(hits: int, rows: int, other_hits: int, other_rows: int) -> float:
    """Two-sided p-value of two shares being one, given all hits: exact for any number of rows.

    Source: Fisher 1935, "The logic of inductive inference"; two-sided by summing what is no likelier than what was
    seen, as R and SciPy do.
    """
    total, both = hits + other_hits, rows + other_rows
    low, high = max(0, total - other_rows), min(rows, total)
    at = np.arange(low, high + 1)
    log_K = _log_choose(rows, at) + _log_choose(other_rows, total - at) - float(_log_choose(both, np.array([total]))[0])
    p_K = np.exp(log_K)
    return float(min(1.0, p_K[p_K <= p_K[hits - low] * (1 + 1e-7)].sum()))


def _log_choose(n: int, k_K: Array) -> Array:
    gamma = np.frompyfunc(math.lgamma, 1, 1)
    return np.asarray(math.lgamma(n + 1) - gamma(k_K + 1.0) - gamma(n - k_K + 1.0), np.float64)


def mean_gap(value_N: Array, inside_N: Array, weight_N: Array | None, cluster_N: Array | None) -> tuple[float, float]:
    """Weighted mean inside minus that outside, and its standard error; NaN where one side is empty.

    The error is that of linearised means summed over clusters (rows are clusters of their own without any): Liang and
    Zeger 1986, "Longitudinal data analysis using generalized linear models", Biometrika 73(1), with the usual factor
    C / (C - 1).
    """
    weight = np.ones(len(value_N)) if weight_N is None else weight_N
    own, other = weight * inside_N, weight * ~inside_N
    if not own.sum() or not other.sum():
        return math.nan, math.nan
    mean, rest = float(own @ value_N / own.sum()), float(other @ value_N / other.sum())
    part_N = own * (value_N - mean) / own.sum() - other * (value_N - rest) / other.sum()
    return mean - rest, _spread(part_N, cluster_N)


def above_by_chance(value_N: Array, weight_N: Array | None, cluster_N: Array | None) -> float:
    """One-sided p-value of a weighted mean that is really 0 or less being as large as it is."""
    weight = np.ones(len(value_N)) if weight_N is None else weight_N
    mean = float(weight @ value_N / weight.sum())
    error = _spread(weight * (value_N - mean) / weight.sum(), cluster_N)
    return normal_tail(mean / error) if error > 0 else float(mean <= 0)


def _spread(part_N: Array, cluster_N: Array | None) -> float:
    """Standard error of a sum of independent parts."""
    part_U = part_N if cluster_N is None else np.bincount(np.unique(cluster_N, return_inverse=True)[1], part_N)
    units = len(part_U)
    return math.sqrt(float(np.square(part_U).sum()) * units / (units - 1)) if units > 1 else math.nan


def permuted_tail(
    value_N: Array, sizes: Sequence[int], gap_K: Sequence[float], weight_N: Array | None, seed: int
) -> list[float]:
    """One-sided p-values of parts that are larger on average than the rest, by dealing the rows out anew.

    All parts are asked about the same permutations: the first n of rows in random order are a random part of n.
    Beyond 4 million cells fewer rows are permuted than there are; parts larger than those have no p-value here (0), for
    a normal approximation does as well.

    Args:
        value_N: Of every row.
        sizes: Rows of each part.
        gap_K: Mean of each part minus that of the rest.
        weight_N: Weights of the rows.
        seed: Of the permutations.
    """
    rows, weight = len(value_N), np.ones(len(value_N)) if weight_N is None else weight_N
    width = min(rows, _CELLS // PERMUTATIONS)
    rng = stream(seed, "permutations")
    if width == rows:
        order_RN = np.argsort(rng.random((PERMUTATIONS, rows)), axis=1)
    else:
        order_RN = rng.integers(0, rows, (PERMUTATIONS, width))  # of so many rows few are drawn twice
    weight_RN = np.cumsum(weight[order_RN], axis=1)
    sum_RN = np.cumsum((weight * value_N)[order_RN], axis=1)
    all_weight, all_sum, found = float(weight.sum()), float(weight @ value_N), []
    for size, gap in zip(sizes, gap_K, strict=True):
        if size > width or (width < rows and size > rows // 10) or size == rows:
            found.append(0.0)
            continue
        own_R, sum_R = weight_RN[:, size - 1], sum_RN[:, size - 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn_R = sum_R / own_R - (all_sum - sum_R) / (all_weight - own_R)
        found.append((1 + int((drawn_R >= gap - 1e-12).sum())) / (PERMUTATIONS + 1))
    return found
