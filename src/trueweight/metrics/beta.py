"""Exact intervals of shares, from the beta distribution, without SciPy."""

import math

import numpy as np

__all__ = ["beta_cdf", "beta_quantile", "betabinomial_cdf", "clopper_pearson"]

_TINY = 1e-300


def clopper_pearson(hits: float, rows: float, level: float) -> tuple[float, float]:
    """The interval of a share that covers the truth at least ``level`` of the time, whatever the truth is.

    Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits", in its beta form.

    Args:
        hits: Rows that are counted, in [0, rows].
        rows: All rows; need not be whole (an effective number). 0 gives (0, 1).
        level: In (0, 1).
    """
    tail = (1 - level) / 2
    low = 0.0 if hits <= 0 else beta_quantile(tail, hits, rows - hits + 1)
    high = 1.0 if hits >= rows else beta_quantile(1 - tail, hits + 1, rows - hits)
    return low, high


def beta_quantile(p: float, a: float, b: float) -> float:
    """The x in [0, 1] with ``beta_cdf(x, a, b) == p``; Newton's steps inside a shrinking bracket."""
    low, high, x = 0.0, 1.0, a / (a + b)
    for _ in range(200):
        above = beta_cdf(x, a, b) - p
        if above > 0:
            high = x
        else:
            low = x
        slope = math.exp(_log_front(x, a, b)) / (x * (1 - x)) if 0 < x < 1 else 0.0
        step = x - above / slope if slope > 0 else -1.0
        after = step if low < step < high else (low + high) / 2
        if abs(after - x) <= 1e-15 * max(after, 1e-3):
            return after
        x = after
    return x


def beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b), for a, b > 0.

    Source: the continued fraction of Press et al., "Numerical recipes", section 6.4, by Lentz's method.
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(_log_front(x, a, b))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _log_front(x: float, a: float, b: float) -> float:
    return math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)


def _fraction(x: float, a: float, b: float) -> float:
    c = 1.0
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    value = d
    # It converges in O(sqrt(max(a, b))) terms: a few thousand for ten million rows.
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _away_from_zero(1 + even * d)
        c = _away_from_zero(1 + even / c)
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / _away_from_zero(1 + odd * d)
        c = _away_from_zero(1 + odd / c)
        value *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def betabinomial_cdf(rows: int, a: float, b: float) -> np.ndarray:
    """P(X <= 0), …, P(X <= rows) for X beta-binomial: hits of ``rows`` whose probability is drawn from beta(a, b).

    Args:
        rows: >= 0.
        a: > 0.
        b: > 0.
    """
    x = np.arange(rows, dtype=np.float64)
    steps = np.log((rows - x) * (x + a)) - np.log((x + 1) * (rows - x - 1 + b))
    logs = np.concatenate([[0.0], np.cumsum(steps)])  # up to a constant: they are made to sum to 1
    found = np.cumsum(np.exp(logs - logs.max()))
    return np.asarray(found / found[-1])
