"""What each row adds to a target's score, and what it should have added if the model's own doubts were right.

Shape suffixes:
    N  rows    C  classes or labels    S  rows of a part
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.metrics.metric import known_rows
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction, VectorPrediction
from trueweight.metrics.registry import metric
from trueweight.metrics.truth import Truth

__all__ = ["RowLosses", "row_losses"]

_OTHERWISE = {
    ClassPrediction: "log_loss", SetPrediction: "log_loss", NumberPrediction: "mae", VectorPrediction: "mae",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RowLosses:
    """Of the rows whose label is known. ``rows`` are their positions."""

    rows: np.ndarray
    metric: str
    """What is shown: the first metric asked for that is a mean over rows, else log_loss or mae."""
    shown_N: np.ndarray
    finish: Callable[[np.ndarray], np.ndarray]
    """What makes the metric of a mean of ``shown_N``."""
    greater_is_better: bool
    tested_N: np.ndarray
    """Smaller is better: squared error of probabilities, halved so that it lies in [0, 1]; absolute error of numbers.
    Unlike log_loss, no single row can decide."""
    expected_N: np.ndarray | None
    """What ``tested_N`` is on average if the predicted probabilities are right; None for numbers."""
    true: np.ndarray
    """One-hot (N, C), or (N, D) numbers."""

    def of_one_answer(self, inside_N: np.ndarray, weight_N: np.ndarray) -> np.ndarray:
        """What the best single answer for a part would lose in each of its rows."""
        true_SC, weight_S = self.true[inside_N], weight_N[inside_N]
        if self.expected_N is None:
            return np.asarray(np.abs(true_SC - _median(true_SC, weight_S)).mean(1))
        share_C = weight_S @ true_SC / weight_S.sum()
        return np.asarray(np.square(true_SC - share_C).sum(1) / 2)


def _median(value_SD: np.ndarray, weight_S: np.ndarray) -> np.ndarray:
    if (weight_S == weight_S[0]).all():
        return np.asarray(np.median(value_SD, axis=0))
    order_SD = np.argsort(value_SD, axis=0)
    reached = np.cumsum(weight_S[order_SD], axis=0) >= weight_S.sum() / 2
    middle_D = order_SD[reached.argmax(0), np.arange(len(value_SD.T))]
    return np.asarray(value_SD[middle_D, np.arange(len(value_SD.T))])


def row_losses(prediction: Prediction, truth: Truth, names: Sequence[str]) -> RowLosses | None:
    """Losses of every known row; None where the answers are not finite, are texts, or no
    label is known.

    Args:
        prediction: Of one target.
        truth: The same rows.
        names: Metrics that were asked for, the first the most telling.
    """
    rows = known_rows(truth)
    if type(prediction) not in _OTHERWISE:
        return None
    fitting = [name for name in [*names, _OTHERWISE[type(prediction)]] if _is_loss(name, prediction)]
    per_row = ((name, metric(name).per_row(prediction, truth)) for name in fitting)
    name, shown_N = next(((name, row_N) for name, row_N in per_row if row_N is not None), ("", None))
    if shown_N is None or not len(rows):
        return None
    tested_N, expected_N, true = _tested(prediction.take(rows), truth.value[rows])
    finish = np.sqrt if name == "rmse" else np.asarray
    better = metric(name).greater_is_better
    return RowLosses(rows, name, shown_N[rows], finish, better, tested_N, expected_N, true)


def _is_loss(name: str, prediction: Prediction) -> bool:
    return type(prediction) in metric(name).reads and name not in ("coverage", "interval_width")


def _tested(prediction: Prediction, value: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    match prediction:
        case ClassPrediction():
            chance_NC = prediction.probability_NC.astype(np.float64)
            true_NC = np.zeros(chance_NC.shape)
            seen = np.flatnonzero(value >= 0)
            true_NC[seen, value[seen]] = 1.0
            loss_N = np.square(chance_NC - true_NC).sum(1) / 2 + (value < 0) / 2
            return loss_N, (1 - np.square(chance_NC).sum(1)) / 2, true_NC
        case SetPrediction():
            chance_NC, true_NC = prediction.probability_NC.astype(np.float64), value.astype(np.float64)
            loss_N = np.square(chance_NC - true_NC).mean(1)
            return loss_N, (chance_NC * (1 - chance_NC)).mean(1), true_NC * np.sqrt(2 / max(1, len(true_NC.T)))
        case NumberPrediction():
            return np.abs(prediction.value_N - value), None, value[:, None]
        case VectorPrediction():
            return np.abs(prediction.value_ND - value).mean(1), None, value
        case _:
            raise TypeError(f"no loss of a row for {type(prediction).__name__}")
