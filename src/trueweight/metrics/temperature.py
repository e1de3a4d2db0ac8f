"""Sharper or flatter probabilities: one temperature for all rows, or one that grows with how sure a row's answer is.

Shape suffixes:
    N  rows    C  classes    K  coefficients
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

__all__ = ["TINY", "adapted", "doubt", "fit_adaptive", "fit_temperature", "tempered"]

Array: TypeAlias = np.ndarray

TINY = 1e-6
"""Added to probabilities before their logarithm is taken: what float32 leaves of 1 - p is not known better."""

LEAST, MOST = 0.1, 10.0
"""Of 1 / temperature. Beyond, the calibration rows are too few or all right."""

LOWEST, STEEPEST = -0.5, 1.0
"""Of the exponent below. Up to 1, a surer answer stays the surer one; below -0.5, sure rows would decide alone."""

_PULL = 0.01
"""Of one row, towards the identity: keeps rows finite that are all right."""


def doubt(rows: int) -> float:
    """Share of each calibration row's label that is spread over all classes, as if one row more had drawn its class by
    lot: rows that are all right would else ask for answers without any doubt, however few they are.

    Source: the targets of Platt 1999, "Probabilistic outputs for support vector machines", section 2.2.
    """
    return 1 / (rows + 1)


def tempered(p: Array, parameters: Sequence[float]) -> Array:
    """softmax(log p / T): Guo et al. 2017, arXiv:1706.04599, on the logarithm of (blended) probabilities."""
    return _softmax(_logs(p) / parameters[0])


def fit_temperature(p: Array, y: Array, w: Array) -> tuple[float, ...]:
    """Least log loss, which is convex in 1 / T: Newton's steps inside a shrinking bracket."""
    return (1 / _inverse(_logs(p), y, w),)


def adapted(p: Array, parameters: Sequence[float]) -> Array:
    """softmax(log p / T), T = t * (1 - log(1 - top)) ** b, where ``top`` is the row's largest probability.

    One temperature cannot sharpen the answers that a model is unsure of and flatten those that it is too sure of; where
    some labels are wrong, or a blend is too modest about hard rows, both are needed. With b = 0 it is one temperature.

    A temperature that follows from the row is in Balanya, Maroñas and Ramos 2022, "Adaptive temperature scaling for
    robust calibration of deep neural networks", arXiv:2208.00461, who let it follow from the entropy; ours follows
    from the largest probability and is a power, which for two classes keeps the order of rows (b <= 1).
    """
    t, b = parameters
    return _softmax(_logs(p) * (np.exp(b * _sureness(p)[:, 1]) / t)[:, None])


def fit_adaptive(p: Array, y: Array, w: Array) -> tuple[float, ...]:
    """(t, b) of the least log loss: steps of Fisher scoring, halved until they help."""
    z, x, theta = _logs(p), _sureness(p), np.zeros(2)
    now = _loss(z, x, theta, y, w)
    for _ in range(50):
        step = _scored(z, x, theta, y, w)
        scale = 1.0
        while (after := _loss(z, x, theta - scale * step, y, w)) > now and scale > 1e-6:
            scale /= 2
        if after > now:
            break
        theta, gained, now = theta - scale * step, now - after, after
        if gained < 1e-9 * max(1.0, abs(now)):
            break
    b = float(np.clip(theta[1], LOWEST, STEEPEST))
    inverse = float(np.exp(np.clip(theta[0], -20, 20)))
    if b != theta[1] or not LEAST < inverse < MOST:
        inverse = _inverse(z * np.exp(b * x[:, 1])[:, None], y, w)
    return 1 / inverse, b


def _sureness(p: Array) -> Array:
    """(N, 2): 1 and -log(1 - log(1 - top)), what the logarithm of 1 / T is made of."""
    top = p.max(1, initial=0.0).astype(np.float64)
    return np.stack([np.ones(len(p)), -np.log1p(-np.log(np.clip(1 + TINY - top, TINY, 1.0)))], axis=1)


def _logs(p: Array) -> Array:
    return np.asarray(np.log(p.astype(np.float64) + TINY))


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(1, keepdims=True, initial=-np.inf))
    return np.asarray(e / e.sum(1, keepdims=True))


def _aims(z: Array, y: Array) -> Array:
    """(N,): what is to be large, the true class's score but for the doubt."""
    share = doubt(len(y))
    return np.asarray((1 - share) * z[np.arange(len(y)), y] + share * z.mean(1))


def _loss(z: Array, x: Array, theta: Array, y: Array, w: Array) -> float:
    scaled = z * np.exp(np.clip(x @ theta, -20, 20))[:, None]
    scaled = scaled - scaled.max(1, keepdims=True)
    told = np.log(np.exp(scaled).sum(1)) - _aims(scaled, y)
    return float((w * told).sum() + _PULL / 2 * np.square(theta).sum())


def _scored(z: Array, x: Array, theta: Array, y: Array, w: Array) -> Array:
    """The step to take off: slope over expected curvature."""
    scale = np.exp(np.clip(x @ theta, -20, 20))
    q = _softmax(z * scale[:, None])
    mean = (q * z).sum(1)
    slope = x.T @ (w * scale * (mean - _aims(z, y))) + _PULL * theta
    spread = w * np.square(scale) * ((q * np.square(z)).sum(1) - np.square(mean))
    return np.asarray(np.linalg.solve((x.T * spread) @ x + _PULL * np.eye(2), slope))


def _inverse(z: Array, y: Array, w: Array) -> float:
    """1 / T of the least log loss of softmax(z / T)."""
    low, high, inverse, aim_N = LEAST, MOST, 1.0, _aims(z, y)
    for _ in range(60):
        q = _softmax(z * inverse)
        mean_N = (q * z).sum(1)
        slope = float((w * (mean_N - aim_N)).sum())
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        curve = float((w * ((q * np.square(z)).sum(1) - np.square(mean_N))).sum())
        after = inverse - slope / curve if curve > 0 else (low + high) / 2
        after = after if low < after < high else (low + high) / 2
        if abs(after - inverse) < 1e-9 * inverse:
            break
        inverse = after
    return inverse
