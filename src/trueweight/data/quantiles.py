"""Scales of a column that say nothing about a single row: quantiles without the ends, pooled counts.

Shape suffixes:
    N  values    K  levels    Q  quantiles
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = [
    "KNOTS", "LEVELS", "draw_quantiles", "inner_quantiles", "knots_of", "pooled", "scale_facts", "scale_of",
    "tellable",
]  # fmt: skip

LEVELS = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
"""Which quantiles are kept."""

KNOTS = 48
"""Inner quantiles for piecewise linear embeddings."""

_NORMAL_IQR = 1.3489795003921634
"""Interquartile range of the standard normal distribution."""


def inner_quantiles(values_N: np.ndarray, levels: Sequence[float] | np.ndarray, min_group: int) -> np.ndarray:
    """Quantiles that are nobody's value, (Q,) float64: each is the mean of ``min_group`` neighbours in order.

    The windows leave out the minimum and the maximum, and between windows we interpolate linearly; so with
    ``min_group`` 1 these are ordinary quantiles, except at the ends. Replacing values by the means of small groups is
    microaggregation: Domingo-Ferrer and Mateo-Sanz 2002, "Practical data-oriented microaggregation for statistical
    disclosure control", IEEE TKDE 14(1), section 2.

    Args:
        values_N: Finite numbers, at least one.
        levels: Shares in [0, 1].
        min_group: Values that hide each other, at least 1.
    """
    ordered = np.sort(np.asarray(values_N, np.float64))
    count, width = len(ordered), min(min_group, len(values_N))
    first, last = (1, count - 1 - width) if count >= width + 2 else (0, count - width)
    start = np.clip(np.asarray(levels, np.float64) * (count - 1) - (width - 1) / 2, first, last)
    low, share = np.floor(start).astype(np.int64), start - np.floor(start)
    left, right = _window_means(ordered, low, width), _window_means(ordered, np.minimum(low + 1, last), width)
    return np.asarray(np.where(left == right, left, left * (1 - share) + right * share))


def _window_means(ordered_N: np.ndarray, start_Q: np.ndarray, width: int) -> np.ndarray:
    """Mean of ``width`` values from each start on; exactly the value where they are all equal."""
    windows = ordered_N[start_Q[:, None] + np.arange(width)]
    size = np.maximum(np.abs(windows).max(1, keepdims=True), np.finfo(float).tiny)  # sums must not overflow
    means = (windows / size).mean(1) * size[:, 0]
    return np.asarray(np.where(windows[:, 0] == windows[:, -1], windows[:, 0], means))


def knots_of(values_N: np.ndarray, min_group: int) -> list[float]:
    """Up to :data:`KNOTS` distinct numbers that cut the values into bins of about equal size, ascending.

    A value that would fill a bin alone is a knot by itself and takes no others: of a column that is nearly always 0,
    the quantiles would all be 0, and what the other values say would be lost in one bin. The same care as in the bin
    finding of LightGBM (Ke et al. 2017, "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", section 3).
    """
    if len(values_N) == 0:
        return []
    heavy, rest = values_N[:0], values_N
    while len(heavy) < KNOTS and len(rest) >= min_group:
        distinct, counts = np.unique(rest, return_counts=True)
        more = distinct[(counts > len(rest) / (KNOTS - len(heavy) + 1)) & (counts >= min_group)]
        if not len(more):
            levels = np.linspace(0, 1, KNOTS - len(heavy) + 2)[1:-1]
            return [float(x) for x in np.union1d(heavy, inner_quantiles(rest, levels, min_group))]
        # What is heavy among all may hide what is heavy among the rest: look again without it.
        order = np.argsort(-counts[np.isin(distinct, more)], kind="stable")
        heavy = np.union1d(heavy, more[order][: KNOTS - len(heavy)])
        rest = rest[~np.isin(rest, heavy)]
    return [float(x) for x in heavy]


def tellable(values_N: np.ndarray, given: int, rows: int, min_group: int) -> np.ndarray:
    """The values themselves, or none if a few rows alone have any: their mean would tell on them.

    Args:
        values_N: Of the sample.
        given: Rows that have a value.
        rows: All rows; where these are few, being few singles nobody out.
        min_group: Rows that hide each other.
    """
    return values_N[:0] if given < min(min_group, rows) else values_N


def scale_facts(values_N: np.ndarray, min_group: int) -> dict[str, Any]:
    """Mean, standard deviation and quantiles of finite numbers: keys "mean", "std", "median", "levels", "quantiles",
    "knots". All 0 and empty without values."""
    if len(values_N) == 0:
        return {"mean": 0.0, "std": 0.0, "median": 0.0, "levels": list(LEVELS), "quantiles": [], "knots": []}
    # The spread is found at a size where squares cannot overflow.
    largest = float(np.abs(values_N).max()) or 1.0
    small = values_N / largest
    constant = bool((values_N == values_N[0]).all())  # rounding would give a tiny spread
    quantiles = inner_quantiles(values_N, LEVELS, min_group)
    return {
        "mean": float(values_N[0]) if constant else float(small.mean() * largest),
        "std": 0.0 if constant else float(small.std() * largest),
        "median": float(quantiles[LEVELS.index(0.5)]),
        "levels": list(LEVELS),
        "quantiles": [float(x) for x in quantiles],
        "knots": knots_of(values_N, min_group),
    }


def scale_of(values_N: np.ndarray, min_group: int) -> tuple[float, float]:
    """Centre and width that make values about standard normal: the median, and the interquartile range over 1.35.

    Where the quartiles are equal, mean and standard deviation; width 0 for a constant or nothing.
    Source: the robust scaling of RealMLP, Holzmüller et al. 2024, arXiv:2407.04491, section 3; we divide by the
    normal distribution's range, and leave the smooth clipping of outliers to the encoders, so that a linear model
    stays linear.
    """
    if len(values_N) == 0 or bool((values_N == values_N[0]).all()):
        return (float(values_N[0]) if len(values_N) else 0.0), 0.0
    facts = scale_facts(values_N, min_group)
    low, high = np.quantile(values_N, [0.25, 0.75])  # exact: their difference tells on nobody
    width = (high - low) / _NORMAL_IQR
    if np.isfinite(width) and width > 0:
        return facts["median"], float(width)
    return facts["mean"], float(facts["std"])


def draw_quantiles(facts: Mapping[str, Any], rng: np.random.Generator, n: int) -> np.ndarray:
    """n made-up numbers, (n,) float64, spread like the learnt quantiles; zeros where nothing was learnt."""
    if not facts["quantiles"]:
        return np.zeros(n)
    return np.asarray(np.interp(rng.uniform(size=n), facts["levels"], facts["quantiles"]))


def pooled(levels: Sequence[str], counts_K: np.ndarray, least: int, most: int) -> dict[str, Any]:
    """Levels by descending count, then by text, of which those too rare to name are only counted.

    Args:
        levels: K texts.
        counts_K: Rows of each; levels of 0 rows are left out.
        least: Rows that a level needs to be named.
        most: Levels that may be named.

    Returns:
        ``{"levels": [...], "counts": [...], "rare": {"levels": k, "rows": n}}``.
    """
    seen = np.flatnonzero(counts_K > 0)
    frequent = seen[counts_K[seen] >= least]
    order = sorted(frequent.tolist(), key=lambda k: (-int(counts_K[k]), levels[k]))[:most]
    rare_rows = int(counts_K.sum() - counts_K[order].sum()) if order else int(counts_K.sum())
    return {
        "levels": [levels[k] for k in order],
        "counts": [int(counts_K[k]) for k in order],
        "rare": {"levels": len(seen) - len(order), "rows": rare_rows},
    }
