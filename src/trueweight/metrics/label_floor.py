"""Are labels wrong more often than the answers' own doubt explains? A mixture, and what it would find in clean labels.

Confident learning (Northcutt, Jiang and Chuang 2021, arXiv:1911.00068) counts rows whose label the model, out of
sample, is sure to be another. Hard tasks have such rows too. So the count is put as a question with a null: labels are
drawn from p, the answers after a temperature and a shift of their log odds have been fitted; or, in a share of rows,
from a distribution q that does not look at the row (Angluin and Laird 1988, "Learning from noisy examples"):

    P(label = c | row) = (1 - share) * p_c(row) + share * q_c

The largest log likelihood over a grid of shares, temperatures and q is compared with that at share 0, and the
difference with what it is for labels drawn from p.

Shape suffixes:
    N  rows    C  classes    G  points of the grid    R  draws
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trueweight.metrics.statistic import Array

__all__ = ["Floor", "label_floor", "rescaled"]

SHARES = (0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.14, 0.18, 0.24, 0.3, 0.38, 0.46, 0.55, 0.65, 0.75)
"""Of rows whose label may be any. In two classes half of these are right all the same."""

STEEPER = (1.0, 1.2, 1.5, 2.0, 2.7, 3.7, 5.0)
"""Temperatures of the clean part, as factors of that which fits all labels: wrong ones make answers look too sure."""

AS_STEEP = (0.5, 0.7, 0.85, 1.0, 1.15, 1.35, 1.6)
"""The same where no label is wrong."""

SHIFTS = (-2.0, -1.0, -0.4, 0.0, 0.4, 1.0, 2.0)
"""Of the clean part's log odds, where there are two classes: labels that are wrong in one direction move them."""

DRAWS = 199

CELLS = 4000
"""Rows times classes that are looked at."""

_STEP = 1.15
"""About half a step from one share of the grid to the next."""

_WITHIN = 2.5
"""Log likelihood below its maximum within the interval: 1.92 for 95 %, and some more because the grid is coarse."""


@dataclass(frozen=True, slots=True)
class Floor:
    """What the mixture says."""

    share: float
    """Of rows whose label is wrong."""
    low: float
    high: float
    """Profile likelihood, 95 %."""
    p: float
    """Chance of so much for labels that are drawn from the answers' own probabilities."""
    wrong_N: Array
    """Of each row, the probability that its label is wrong."""
    error_NK: Array
    """What the mixture leaves unexplained of each row: of mean zero in any part of the rows, if it is right."""
    variance_NK: Array
    """Of these errors, if it is right."""


def label_floor(probability_NC: Array, label_N: Array, rng: np.random.Generator) -> Floor:
    """Look for wrong labels.

    Args:
        probability_NC: Answers on rows that were not learnt from.
        label_N: int64 classes of these rows.
        rng: For the draws.
    """
    log_NC = np.log(np.clip(probability_NC, 1e-9, 1.0))
    factor, shift_C = _best_scale(log_NC, label_N)
    log_NC = factor * log_NC + shift_C
    null_GNC = np.stack([_log_softmax(log_NC * factor + move_C) for factor in AS_STEEP for move_C in _moves(log_NC)])
    points = list(_points(log_NC))
    mixed_GNC = np.stack([log for _, _, log in points])
    hit_1M = np.eye(log_NC.shape[1])[label_N].reshape(1, -1)
    at_null_G, at_mixed_G = ((hit_1M @ log.reshape(len(log), -1).T)[0] for log in (null_GNC, mixed_GNC))
    clean_NC = np.exp(null_GNC[int(at_null_G.argmax())])
    drawn_RM = _drawn(clean_NC, rng)
    null_R, mixed_R = ((drawn_RM @ log.reshape(len(log), -1).T).max(1) for log in (null_GNC, mixed_GNC))
    found = float(at_mixed_G.max() - at_null_G.max())
    p = (1 + int((mixed_R - null_R >= found - 1e-9).sum())) / (DRAWS + 1)
    best = points[int(at_mixed_G.argmax())]
    shares = [_wrong_share(*points[g][:2]) for g in np.flatnonzero(at_mixed_G >= at_mixed_G.max() - _WITHIN)]
    low, high = (min(shares) / _STEP if found > _WITHIN else 0.0), min(1.0, max(shares) * _STEP)
    share, wrong_N = _wrong_share(*best[:2]) if found > 0 else 0.0, _posterior(*best, label_N)
    return Floor(share, low, high, p, wrong_N, *_errors(best, label_N))


def _drawn(clean_NC: Array, rng: np.random.Generator) -> Array:
    """Labels drawn from probabilities, as ones among zeros: (R, N * C)."""
    edges_NC = np.cumsum(clean_NC, axis=1)[:, :-1]
    drawn = [(rng.random(len(clean_NC))[:, None] > edges_NC).sum(1) for _ in range(DRAWS)]
    return np.asarray(np.eye(clean_NC.shape[1])[np.stack(drawn)].reshape(DRAWS, -1))


def _moves(log_NC: Array) -> list[Array]:
    """Shifts of the classes' log probabilities that are tried."""
    if log_NC.shape[1] == 2:
        return [np.array([0.0, shift]) for shift in SHIFTS]
    return [np.zeros(log_NC.shape[1])]


@dataclass(frozen=True, slots=True)
class _Noise:
    share: float
    q_C: Array


def _points(log_NC: Array) -> Iterator[tuple[_Noise, Array, Array]]:
    """Every point of the grid: its noise, clean probabilities (N, C), and log probabilities of labels (N, C)."""
    classes = log_NC.shape[1]
    ways = [np.full(classes, 1 / classes)] + (list(np.eye(classes)) if classes == 2 else [])
    for factor in STEEPER:
        for move_C in _moves(log_NC):
            clean_NC = np.exp(_log_softmax(log_NC * factor + factor * move_C))
            for q_C in ways:
                for share in SHARES:
                    mixed_NC = (1 - share) * clean_NC + share * q_C
                    yield _Noise(share, q_C), clean_NC, np.log(np.maximum(mixed_NC, 1e-12))


def _wrong_share(noise: _Noise, clean_NC: Array) -> float:
    """Rows whose label is not what it would have been: q had its say, and said something else."""
    return float(noise.share * (1 - (clean_NC * noise.q_C).sum(1)).mean())


def _posterior(noise: _Noise, clean_NC: Array, log_NC: Array, label_N: Array) -> Array:
    at = np.arange(len(label_N))
    by_noise_N = noise.share * noise.q_C[label_N] / np.exp(log_NC[at, label_N])
    return np.asarray(by_noise_N * (1 - clean_NC[at, label_N]))


def _errors(best: tuple[_Noise, Array, Array], label_N: Array) -> tuple[Array, Array]:
    """Errors and their variances: for each class, but for one of two classes, whose errors are the other's."""
    p_NC = np.exp(best[2])
    kept = slice(1 if p_NC.shape[1] == 2 else 0, None)
    return (np.eye(p_NC.shape[1])[label_N] - p_NC)[:, kept], (p_NC * (1 - p_NC))[:, kept]


def _log_softmax(log_NC: Array) -> Array:
    log_NC = log_NC - log_NC.max(1, keepdims=True)
    return np.asarray(log_NC - np.log(np.exp(log_NC).sum(1, keepdims=True)))


def rescaled(probability_NC: Array, label_N: Array) -> Array:
    """Log probabilities after the temperature and the shift that make the labels likeliest: what is left to tell
    apart when two answers differ in how sure they are only."""
    log_NC = np.log(np.clip(probability_NC, 1e-9, 1.0))
    factor, shift_C = _best_scale(log_NC, label_N)
    return _log_softmax(factor * log_NC + shift_C)


def _best_scale(log_NC: Array, label_N: Array) -> tuple[float, Array]:
    """Temperature and shifts that make labels likeliest: a few steps of Newton's method, and the shifts' diagonal."""
    factor, shift_C = 1.0, np.zeros(log_NC.shape[1])
    hit_NC = np.eye(log_NC.shape[1])[label_N]
    for _ in range(30):
        p_NC = np.exp(_log_softmax(factor * log_NC + shift_C))
        mean_N = (p_NC * log_NC).sum(1)
        slope = float(((hit_NC - p_NC) * log_NC).sum())
        curve = float((p_NC * np.square(log_NC - mean_N[:, None])).sum())
        factor = float(np.clip(factor + slope / max(curve, 1e-9), factor / 2, factor * 2))
        p_NC = np.exp(_log_softmax(factor * log_NC + shift_C))
        spread_C = (p_NC * (1 - p_NC)).sum(0) + 1.0
        shift_C = shift_C + 0.5 * ((hit_NC - p_NC).sum(0) - 0.1 * shift_C) / spread_C
    return factor, shift_C
