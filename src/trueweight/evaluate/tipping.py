"""Rows whose answer hangs by a hair, so that another machine's rounding may tip it over.

Whoever measures again on another machine must grant exactly these rows, and no others: where there are none, a share
that differs by one row is a lie.
"""

from dataclasses import dataclass

import numpy as np

from trueweight.metrics.metric import known_rows
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction
from trueweight.metrics.truth import Truth

__all__ = ["Tipping", "tipping"]


@dataclass(frozen=True, slots=True)
class Tipping:
    """How far numbers that count answers may move."""

    rows: int = 0
    """Rows that may be answered otherwise."""
    weight: float = 0.0
    """The same, each counted by its weight."""
    smallest: float = 1.0
    """Weight of the rarest class, true or answered: the least that a share of rows is divided by."""

    @property
    def share(self) -> float:
        """The most that a share of rows may move."""
        return min(1.0, self.weight / self.smallest) if self.rows else 0.0

    def __add__(self, other: "Tipping") -> "Tipping":
        return Tipping(self.rows + other.rows, self.weight + other.weight, min(self.smallest, other.smallest))


def tipping(prediction: Prediction, truth: Truth, tolerance: float) -> Tipping:
    """Rows with an answer so near to another that ``tolerance`` decides.

    Args:
        prediction: Of the judged rows.
        truth: Of the same rows.
        tolerance: Of a probability; for numbers, of the target's standard deviation.
    """
    rows = known_rows(truth)
    if not len(rows):
        return Tipping()
    kept, known = prediction.take(rows), truth.take(rows)
    near_N = _near(kept, known, tolerance)
    weight_N = np.ones(len(rows)) if known.weight_N is None else known.weight_N
    return Tipping(int(near_N.sum()), float(weight_N[near_N].sum()), _smallest(kept, known, weight_N))


def _near(prediction: Prediction, truth: Truth, tolerance: float) -> np.ndarray:
    match prediction:
        case ClassPrediction() if prediction.binary:
            return np.asarray(np.abs(prediction.probability_NC[:, 1] - prediction.threshold) <= tolerance)
        case ClassPrediction():
            best_N2 = np.sort(prediction.probability_NC, axis=1)[:, -2:]
            return np.asarray(best_N2[:, -1] - best_N2[:, 0] <= 2 * tolerance)
        case SetPrediction():
            return np.asarray((np.abs(prediction.probability_NC - prediction.threshold) <= tolerance).any(1))
        case NumberPrediction() if prediction.low_N is not None and prediction.high_N is not None:
            reach = tolerance * (float(truth.value.std()) or 1.0)
            to_end_N = np.minimum(np.abs(truth.value - prediction.low_N), np.abs(truth.value - prediction.high_N))
            return np.asarray(to_end_N <= reach)
        case _:
            return np.zeros(len(truth), bool)


def _smallest(prediction: Prediction, truth: Truth, weight_N: np.ndarray) -> float:
    if not isinstance(prediction, ClassPrediction):
        return float(weight_N.sum())
    count = len(prediction.classes)
    true = truth.value.astype(np.int64)
    masses = [np.bincount(c[c >= 0], weight_N[c >= 0], minlength=count) for c in (true, prediction.answer_N())]
    every = np.concatenate(masses)
    return float(every[every > 0].min())
