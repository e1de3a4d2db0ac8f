"""Probabilities that keep their word: maps from a model's probabilities to better ones, learnt on calibration rows.

Every map keeps the order of the rows of a yes-no target, and the most probable class of others.

Shape suffixes:
    N  rows    C  classes
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from trueweight.metrics.temperature import TINY, adapted, doubt, fit_adaptive, fit_temperature, tempered
from trueweight.metrics.words import counted
from trueweight.seeds import stream

__all__ = ["METHODS", "Recalibration", "learn_recalibration", "recalibrated"]

Array: TypeAlias = np.ndarray

_ROWS = ("calibration row is", "calibration rows are")

FEWEST = 40
"""Labelled calibration rows below which nothing is learnt: a temperature of fewer is mostly chance."""

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Recalibration:
    """What one target's probabilities are put through."""

    method: str
    """"none", "temperature", "adaptive" or "beta"."""
    parameters: tuple[float, ...]
    """() · the temperature · temperature and exponent of adaptive scaling · a, b, c of beta calibration."""
    n: int
    """Labelled calibration rows."""
    reason: str = ""
    """Why it is this method."""
    crossed: bool = False
    """Whether the rows also selected the model, because there were too few to set some apart."""


def learn_recalibration(
    probability_NC: Array, index_N: Array, weight_N: Array | None, method: str, *, binary: bool, crossed: bool = False
) -> Recalibration:
    """The map for one target.

    "auto" takes the method with the least log loss on rows that did not fit it (5 folds of the calibration rows): none,
    temperature, for more classes a temperature that grows with how sure an answer is, and for yes-no targets beta,
    whose three parameters also correct a model that says yes too often.

    Args:
        probability_NC: Of the calibration rows; rows sum to 1.
        index_N: True classes; -1 for one that the model does not know, whose rows are left out.
        weight_N: Of the rows, or None for 1 each.
        method: "auto", "none", "temperature", "adaptive" or "beta" (yes-no only).
        binary: Whether it is a yes-no target.
        crossed: See :class:`Recalibration`.
    """
    known = index_N >= 0
    p, y = probability_NC[known].astype(np.float64), index_N[known]
    w = np.ones(len(y)) if weight_N is None else weight_N[known].astype(np.float64)
    n = len(y)
    if method == "none":
        return Recalibration("none", (), n, "asked for", crossed)
    if n < FEWEST or len(np.unique(y)) < 2:
        few = f"{counted(n, *_ROWS)} too few" if n < FEWEST else "all calibration rows are of one class"
        return Recalibration("none", (), n, few, crossed)
    reason = "asked for"
    if method == "auto":
        method, reason = _chosen(p, y, w, ["none", "temperature", "beta" if binary else "adaptive"])
    return Recalibration(method, METHODS[method].fit(p, y, w), n, reason, crossed)


def recalibrated(probability_NC: Array, found: Recalibration) -> Array:
    """The better probabilities, (N, C) float64; rows sum to 1."""
    return METHODS[found.method].apply(probability_NC, found.parameters)


@dataclass(frozen=True, slots=True)
class _Method:
    fit: Callable[[Array, Array, Array], tuple[float, ...]]
    """Probabilities, true classes and weights to parameters."""
    apply: Callable[[Array, Sequence[float]], Array]


def _chosen(p: Array, y: Array, w: Array, names: Sequence[str]) -> tuple[str, str]:
    """The method with the least held-out loss, and that in words. One with more parameters is taken where its gain is
    larger than its standard error (as Breiman et al. 1984, "Classification and regression trees", section 3.4.3)."""
    fold_N = stream(0, "calibration folds").permutation(len(y)) % FOLDS
    losses = {name: np.empty(len(y)) for name in names}
    for fold in range(FOLDS):
        fits, held = fold_N != fold, fold_N == fold
        for name, loss_N in losses.items():
            method = METHODS[name]
            found = method.apply(p[held], method.fit(p[fits], y[fits], w[fits]))
            loss_N[held] = -np.log(np.clip(found[np.arange(len(found)), y[held]], 1e-15, 1))
    mean = {name: float(np.average(loss_N, weights=w)) for name, loss_N in losses.items()}
    best = names[0]
    for name in names[1:]:  # from simple to less so: more parameters have to show that they help
        gain_N = w * (losses[best] - losses[name])
        if gain_N.mean() > gain_N.std() / len(gain_N) ** 0.5:
            best = name
    told = ", ".join(f"{name} {loss:.4g}" for name, loss in mean.items())
    return best, f"log loss on held-out calibration rows: {told}"


def _same(p: Array, parameters: Sequence[float]) -> Array:  # noqa: ARG001 - the form of every method
    return p


def _beta_columns(p: Array) -> Array:
    """(N, 3): what beta calibration's coefficients a, b, c are times."""
    positive = p[:, 1].astype(np.float64)
    return np.stack([np.log(positive + TINY), -np.log1p(TINY - positive), np.ones(len(positive))], axis=1)


def _beta(p: Array, parameters: Sequence[float]) -> Array:
    """logit = a log p - b log(1 - p) + c: Kull, Silva Filho and Flach 2017, "Beta calibration", AISTATS."""
    logit = np.clip(_beta_columns(p) @ np.asarray(parameters), -36, 36)
    positive = 1 / (1 + np.exp(-logit))
    return np.stack([1 - positive, positive], axis=1)


def _fit_beta(p: Array, y: Array, w: Array) -> tuple[float, ...]:
    """Logistic regression with a, b >= 0: a coefficient that comes out negative is 0 and the others are fitted again,
    as in the paper. A pull of one row's hundredth towards the identity keeps separable rows finite."""
    x, free, share = _beta_columns(p), np.array([True, True, True]), doubt(len(y))
    while True:
        found = _logistic(x, (1 - share) * (y == 1) + share / 2, w, free)
        wrong = free & (found < 0) & np.array([True, True, False])
        if not wrong.any():
            a, b, c = map(float, found)
            return a, b, c
        free &= ~(wrong & (found == found[wrong].min()))


def _logistic(x: Array, y: Array, w: Array, free: Array) -> Array:
    pull, identity = 0.01, np.array([1.0, 1.0, 0.0])
    theta = np.where(free, identity, 0.0)

    def loss(t: Array) -> float:
        z = x @ t
        return float((w * (np.logaddexp(0, z) - y * z)).sum() + pull / 2 * np.square(t - identity)[free].sum())

    now = loss(theta)
    for _ in range(50):
        q = 1 / (1 + np.exp(-np.clip(x @ theta, -36, 36)))
        slope = x[:, free].T @ (w * (q - y)) + pull * (theta - identity)[free]
        curve = (x[:, free].T * (w * q * (1 - q))) @ x[:, free] + pull * np.eye(int(free.sum()))
        step = np.zeros(3)
        step[free] = np.linalg.solve(curve, slope)
        scale = 1.0
        while (after := loss(theta - scale * step)) > now and scale > 1e-6:
            scale /= 2
        theta = theta - scale * step
        if now - after < 1e-10 * max(1.0, abs(now)):
            break
        now = after
    return theta


METHODS: Mapping[str, _Method] = {
    "none": _Method(lambda p, y, w: (), _same),  # noqa: ARG005
    "temperature": _Method(fit_temperature, tempered),
    "adaptive": _Method(fit_adaptive, adapted),
    "beta": _Method(_fit_beta, _beta),
}
"""By the name that specs and bundles use."""
