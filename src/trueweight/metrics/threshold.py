"""From which probability to say yes, so that mistakes cost least.

Shape suffixes:
    N  rows    T  thresholds
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from trueweight.metrics.words import counted
from trueweight.seeds import stream

__all__ = ["Threshold", "cost_N", "learn_threshold"]

Array: TypeAlias = np.ndarray

FEWEST = 100
"""Labelled calibration rows below which the threshold is that of theory."""

FOLDS = 5

SURE = 2.0
"""Standard errors by which another threshold must be cheaper than that of theory, on rows that did not choose it: the
best of many thresholds always looks cheaper than it is on the rows that it is the best of."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which probability the positive class is answered, and why."""

    value: float
    """In (0, 1)."""
    false_positive: float
    false_negative: float
    """What mistakes cost."""
    cost: float | None
    """Mean cost of a calibration row at this threshold; None without labelled rows."""
    n: int
    """Labelled calibration rows."""
    reason: str
    crossed: bool = False
    """Whether the rows also selected the model, because there were too few to set some apart."""


def learn_threshold(
    probability_N: Array, positive_N: Array, weight_N: Array | None, false_positive: float, false_negative: float, *,
    crossed: bool = False,
) -> Threshold:  # fmt: skip
    """The threshold for these costs.

    Where probabilities are right, it is cost of a false positive / (cost of a false positive + of a false negative):
    Elkan 2001, "The foundations of cost-sensitive learning", section 1.2. Another one is taken only where choosing
    by cost is cheaper on held-out calibration rows (5 folds), by more than two standard errors of the difference.

    Args:
        probability_N: Of the positive class, calibrated.
        positive_N: bool, what was true.
        weight_N: Of the rows, or None for 1 each.
        false_positive: Cost, > 0.
        false_negative: Cost, > 0.
        crossed: See :class:`Threshold`.
    """
    theory = min(max(false_positive / (false_positive + false_negative), 1e-12), 1 - 1e-12)
    n = len(probability_N)
    if n == 0:
        return Threshold(theory, false_positive, false_negative, None, 0, "no calibration row has a label", crossed)
    w = np.ones(n) if weight_N is None else weight_N
    by_theory_N = cost_N(probability_N, positive_N, theory, false_positive, false_negative)
    told = "the ratio of the costs"
    if n < FEWEST:
        mean = float(np.average(by_theory_N, weights=w))
        told = f"{told}: {counted(n, 'row is', 'rows are')} few"
        return Threshold(theory, false_positive, false_negative, mean, n, told, crossed)
    costs = (false_positive, false_negative)
    gain_N = by_theory_N - _held_out(probability_N, positive_N, w, theory, costs)
    gain = float(np.average(gain_N, weights=w))
    error = float(np.sqrt(np.average(np.square(gain_N - gain), weights=w) * np.square(w).sum())) / float(w.sum())
    if gain > SURE * error:
        best = _cheapest(probability_N, positive_N, w, theory, costs)
        mean = float(np.average(cost_N(probability_N, positive_N, best, *costs), weights=w))
        told = f"cheaper than {told} ({theory:.3g}) on held-out calibration rows"
        return Threshold(best, false_positive, false_negative, mean, n, told, crossed)
    mean = float(np.average(by_theory_N, weights=w))
    return Threshold(theory, false_positive, false_negative, mean, n, f"{told}, which no other betters", crossed)


def cost_N(  # noqa: N802 - the shape, as everywhere
    probability_N: Array, positive_N: Array, threshold: float, false_positive: float, false_negative: float
) -> Array:
    """What each row costs at a threshold, (N,) float64."""
    yes_N = probability_N >= threshold
    return np.asarray(false_positive * (yes_N & ~positive_N) + false_negative * (~yes_N & positive_N))


def _held_out(p: Array, positive: Array, w: Array, theory: float, costs: tuple[float, float]) -> Array:
    """What each row costs at the threshold that the other folds' rows choose, (N,)."""
    fold_N, found = stream(0, "threshold folds").permutation(len(p)) % FOLDS, np.empty(len(p))
    for fold in range(FOLDS):
        mine, others = fold_N == fold, fold_N != fold
        best = _cheapest(p[others], positive[others], w[others], theory, costs)
        found[mine] = cost_N(p[mine], positive[mine], best, *costs)
    return found


def _cheapest(p: Array, positive: Array, w: Array, theory: float, costs: tuple[float, float]) -> float:
    """The threshold with the least cost, between two neighbouring probabilities; of equals the one next to theory."""
    values, place = np.unique(p, return_inverse=True)
    yes = np.bincount(place, w * positive, minlength=len(values))
    no = np.bincount(place, w * ~positive, minlength=len(values))
    # Before value t: everything below is answered no, the rest yes.
    missed = np.concatenate([[0.0], np.cumsum(yes)])
    alarms = no.sum() - np.concatenate([[0.0], np.cumsum(no)])
    cost_T = costs[0] * alarms + costs[1] * missed
    bounds = np.concatenate([[0.0], values, [1.0]])
    middle_T = (bounds[:-1] + bounds[1:]) / 2
    least = np.flatnonzero(cost_T <= cost_T.min() + 1e-12 * max(1.0, float(cost_T.max())))
    return float(np.clip(middle_T[least[np.argmin(np.abs(middle_T[least] - theory))]], 1e-12, 1 - 1e-12))
