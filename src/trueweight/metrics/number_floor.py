"""Are some numbers not the row's own? A mixture of the model's errors and of anything, and what it finds in clean ones.

    density(z | row) = (1 - share) * t(z; degrees, scale) + share * q(z)

z is the error in units of its usual size for answers like this one, above and below apart: errors that grow with the
answer, that are skewed, or have long tails are nothing unusual. So the null, share 0, is Student's t of any degrees
from 2.1 on, of its own degrees and scale on each side. q is the density of all rows' numbers, with a part that is ten
times as wide for slips of the pen. The difference of log likelihoods is compared with what it is for numbers drawn from
the null that fits best.

Shape suffixes:
    N  rows    T  degrees and scales    S  shares    R  draws
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import lgamma, log, pi

import numpy as np

from trueweight.metrics.label_floor import Floor
from trueweight.metrics.statistic import Array

__all__ = ["number_floor"]

ROWS = 1500
"""Most that are looked at."""

DRAWS = 99

DEGREES = (2.1, 3.0, 4.5, 8.0, 200.0)
SCALES = (0.6, 0.7, 0.8, 0.9, 1.0, 1.12, 1.25)
"""Of what two thirds of the errors are below."""

PAIRS = tuple((degrees, scale) for degrees in DEGREES for scale in SCALES)

BIN = 80
"""Rows whose errors say what is usual for answers like theirs."""

SHARES = (0.005, 0.01, 0.02, 0.035, 0.05, 0.08, 0.12, 0.18, 0.25, 0.35)

_WITHIN = 2.5
_FIXED = 0.3
"""Share of q that is ten times as wide."""


def number_floor(answer_N: Array, value_N: Array, rng: np.random.Generator) -> Floor | None:
    """Look for numbers that are not their row's; None where many errors are zero.

    Args:
        answer_N: Answers on rows that were not learnt from.
        value_N: Numbers of these rows.
        rng: For the draws.
    """
    usual = _usual(answer_N, value_N - answer_N)
    if usual is None or value_N.std() <= 0:
        return None
    density = _density(value_N)
    found = _fitted(_standard(value_N - answer_N, usual), value_N, usual, density)
    gain, exceeded = float(found.mixed_S.max() - found.null), 0
    for _ in range(DRAWS):
        below_N, above_N = (_side(rng, pair, len(value_N)) for pair in found.best)
        drawn_N = np.where(rng.random(len(value_N)) < 0.5, -below_N, above_N)
        error_N = usual.middle_N + drawn_N * np.where(drawn_N < 0, usual.below_N, usual.above_N)
        drawn = _fitted(drawn_N, answer_N + error_N, usual, density)
        exceeded += int(drawn.mixed_S.max() - drawn.null >= gain - 1e-9)
    likely = np.array(SHARES)[found.mixed_S >= found.mixed_S.max() - _WITHIN]
    s = int(found.mixed_S.argmax())
    # A few gross errors bend the answers too, so that others gather: it is the suspects that must lie anywhere.
    wrong_N = found.wrong_SN[s]
    error_N1, variance_N1 = (wrong_N - wrong_N.mean())[:, None], np.full((len(wrong_N), 1), wrong_N.var())
    low, high = (float(likely.min()) if gain > _WITHIN else 0.0), float(likely.max())
    share, p = SHARES[s] if gain > 0 else 0.0, (1 + exceeded) / (DRAWS + 1)
    return Floor(share, low, high, p, wrong_N, error_N1, variance_N1)


def _side(rng: np.random.Generator, pair: tuple[float, float], rows: int) -> Array:
    """Draws of the half of a t that is below 0, or above it."""
    return np.asarray(np.abs(rng.standard_t(pair[0], rows)) * pair[1])


@dataclass(frozen=True, slots=True)
class _Usual:
    """Errors of answers like each row's, (N,): median, and how far the middle two thirds reach to both sides."""

    middle_N: Array
    below_N: Array
    above_N: Array


def _usual(answer_N: Array, error_N: Array) -> _Usual | None:
    """Quantiles of the errors of about :data:`BIN` rows with the nearest answers, drawn through by lines."""
    order = np.argsort(answer_N, kind="stable")
    bins = np.array_split(order, max(1, len(order) // BIN))
    ends = np.array([np.quantile(error_N[rows], [0.16, 0.5, 0.84]) for rows in bins])
    reach_B2 = np.diff(ends, axis=1)
    if (reach_B2 <= 0).any():
        return None
    at_B = np.array([np.median(answer_N[rows]) for rows in bins])
    drawn = [np.interp(answer_N, at_B, column) for column in (ends[:, 1], reach_B2[:, 0], reach_B2[:, 1])]
    return _Usual(*drawn)


def _standard(error_N: Array, usual: _Usual) -> Array:
    off_N = error_N - usual.middle_N
    return np.asarray(off_N / np.where(off_N < 0, usual.below_N, usual.above_N))


@dataclass(frozen=True, slots=True)
class _Fitted:
    null: float
    mixed_S: Array
    best: Sequence[tuple[float, float]]
    """Degrees and scale of the null, below and above."""
    wrong_SN: Array


def _fitted(z_N: Array, value_N: Array, usual: _Usual, density: tuple[Array, Array]) -> _Fitted:
    """Largest log likelihoods: of the null, and of each share; each side has its own t."""
    wide_N = np.interp(value_N, *density) * np.where(z_N < 0, usual.below_N, usual.above_N)
    null, mixed_S, best = 0.0, np.zeros(len(SHARES)), []
    wrong_SN = np.zeros((len(SHARES), len(z_N)))
    for side in (z_N < 0, z_N >= 0):
        if not side.any():
            best.append(PAIRS[-1])
            continue
        log_TN = np.stack([_log_t(z_N[side], *pair) for pair in PAIRS])
        own_TN, wide = np.exp(log_TN), wide_N[side]
        at_T = log_TN.sum(1)
        null, best = null + float(at_T.max()), [*best, PAIRS[int(at_T.argmax())]]
        for s, share in enumerate(SHARES):
            mixed_TN = (1 - share) * own_TN + share * wide
            likely_T = np.log(mixed_TN).sum(1)
            mixed_S[s] += likely_T.max()
            wrong_SN[s, side] = share * wide / mixed_TN[int(likely_T.argmax())]
    return _Fitted(null, mixed_S, best, wrong_SN)


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
