"""Are some numbers not the row's own? A mixture of the model's errors and of anything, and what it finds in clean ones.

    density(y | row) = (1 - share) * t(y - answer; degrees, scale) + share * q(y)

q is the density of all rows' numbers, with a part that is ten times as wide for slips of the pen. Errors with long
tails are nothing unusual: the null, share 0, has Student's t of any degrees from 2.5 on, and the difference of log
likelihoods is compared with what it is for numbers drawn from the t that fits best.

Shape suffixes:
    N  rows    T  degrees and scales    S  shares    R  draws
"""

from math import lgamma, log, pi

import numpy as np

from trueweight.metrics.label_floor import Floor
from trueweight.metrics.statistic import Array

__all__ = ["number_floor"]

ROWS = 2000
"""Most that are looked at."""

DRAWS = 199

DEGREES = (2.5, 4.0, 7.0, 15.0, 200.0)
SCALES = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.45, 1.7)
"""Of the median absolute error."""

SHARES = (0.005, 0.01, 0.02, 0.035, 0.05, 0.08, 0.12, 0.18, 0.25, 0.35)

_WITHIN = 2.5
_NORMAL = 0.6745
"""Median absolute value of a standard normal number."""

_FIXED = 0.3
"""Share of q that is ten times as wide."""


def number_floor(answer_N: Array, value_N: Array, rng: np.random.Generator) -> Floor | None:
    """Look for numbers that are not their row's; None where at least half of the errors are zero.

    Args:
        answer_N: Answers on rows that were not learnt from.
        value_N: Numbers of these rows.
        rng: For the draws.
    """
    error_N = value_N - answer_N
    error_N = error_N - np.median(error_N)
    scale = float(np.median(np.abs(error_N))) / _NORMAL
    if scale <= 0 or value_N.std() <= 0:
        return None
    at, density = _density(value_N)
    pairs = [(degrees, scale * factor) for degrees in DEGREES for factor in SCALES]
    null_T, mixed_TS = _likelihoods(error_N, np.interp(value_N, at, density), pairs)
    best = pairs[int(null_T.argmax())]
    found, drawn = float(mixed_TS.max() - null_T.max()), 0
    for _ in range(DRAWS):
        drawn_N = rng.standard_t(best[0], len(error_N)) * best[1]
        null, mixed = _likelihoods(drawn_N, np.interp(answer_N + drawn_N, at, density), pairs)
        drawn += int(mixed.max() - null.max() >= found - 1e-9)
    likely = mixed_TS.max(0) >= mixed_TS.max() - _WITHIN
    t, s = np.unravel_index(int(mixed_TS.argmax()), mixed_TS.shape)
    wide_N = SHARES[s] * np.interp(value_N, at, density)
    own_N = (1 - SHARES[s]) * np.exp(_log_t(error_N, *pairs[t]))
    low = min(np.array(SHARES)[likely]) if found > _WITHIN else 0.0
    share = SHARES[s] if found > 0 else 0.0
    high = float(max(np.array(SHARES)[likely]))
    return Floor(share, float(low), high, (1 + drawn) / (DRAWS + 1), wide_N / (wide_N + own_N))


def _likelihoods(error_N: Array, wide_N: Array, pairs: list[tuple[float, float]]) -> tuple[Array, Array]:
    """Log likelihoods of the null, (T,), and of the mixtures, (T, S)."""
    log_TN = np.stack([_log_t(error_N, *pair) for pair in pairs])
    own_TN = np.exp(log_TN)
    mixed = [np.log((1 - share) * own_TN + share * wide_N).sum(1) for share in SHARES]
    return log_TN.sum(1), np.stack(mixed, axis=1)


def _log_t(error_N: Array, degrees: float, scale: float) -> Array:
    constant = lgamma((degrees + 1) / 2) - lgamma(degrees / 2) - 0.5 * log(degrees * pi) - log(scale)
    return np.asarray(constant - (degrees + 1) / 2 * np.log1p(np.square(error_N / scale) / degrees))


def _density(value_N: Array) -> tuple[Array, Array]:
    """q as a table: places and densities."""
    spread, middle = float(value_N.std()), float(value_N.mean())
    width = 1.06 * spread * len(value_N) ** -0.2
    near = np.linspace(value_N.min() - 3 * width, value_N.max() + 3 * width, 400)
    far = middle + spread * np.array([-1e3, -60.0, -40.0, -25.0, -15.0, -10.0, 10.0, 15.0, 25.0, 40.0, 60.0, 1e3])
    at = np.unique(np.concatenate([near, far]))
    kernel = np.exp(-0.5 * np.square((at[:, None] - value_N[None, :]) / width)).mean(1) / (width * np.sqrt(2 * np.pi))
    wide = np.exp(-0.5 * np.square((at - middle) / (10 * spread))) / (10 * spread * np.sqrt(2 * np.pi))
    return at, (1 - _FIXED) * kernel + _FIXED * np.maximum(wide, 1e-12 / spread)
