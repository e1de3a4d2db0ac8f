"""What a metric is: a name, a direction, and how to compute it for each kind of prediction."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueweight.errors import SpecError
from trueweight.metrics.masked_prediction import MaskedPrediction
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction, VectorPrediction
from trueweight.metrics.statistic import Array, Statistic, undefined
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth

__all__ = ["Form", "Metric", "known_rows"]

Form = Callable[[Any, Truth], Statistic]
"""How a metric is prepared for one kind of prediction. All rows are known, have weight and finite answers."""

_WORDS: Mapping[type, str] = {
    NumberPrediction: "number",
    ClassPrediction: "binary and category",
    SetPrediction: "set",
    VectorPrediction: "vector",
    TextPrediction: "text",
    MaskedPrediction: "masked",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A measure of how well predictions meet the truth.

    Rows without a known label or without weight are not looked at. A value that the rows do not define (the
    area under a curve when only one class occurs, anything of no rows) is NaN, never an error.
    """

    name: str
    """As in specs and evidence; scikit-learn's."""
    greater_is_better: bool
    forms: Mapping[type, Form]
    """By the type of prediction."""
    summary: str
    """One line for people."""
    unit: str | None = None
    """"target": the target's own unit. "nats". None: a pure number."""

    @property
    def reads(self) -> tuple[type, ...]:
        """Types of prediction that it can be computed for."""
        return tuple(self.forms)

    def statistic(self, prediction: Prediction, truth: Truth) -> Statistic:
        """The metric of these rows, ready for any weights. Its rows are those of :func:`known_rows`.

        Raises:
            SpecError: The metric does not exist for this kind of prediction, or names an unknown label.
        """
        form = self.forms.get(type(prediction))
        if form is None:
            fits = ", ".join(_WORDS.get(kind, kind.__name__) for kind in self.forms)
            kind = _WORDS.get(type(prediction), type(prediction).__name__)
            raise SpecError(f"metric {self.name!r} is for {fits} targets, not for {kind}")
        if len(prediction) != len(truth):
            raise ValueError(f"{len(prediction)} predictions for {len(truth)} true values")
        rows = known_rows(truth)
        if len(rows) == 0:
            return undefined("no row has a known label", 0)
        if len(rows) < len(truth):
            prediction, truth = prediction.take(rows), truth.take(rows)
        return _not_finite(prediction, truth) or form(prediction, truth)

    def compute(self, prediction: Prediction, truth: Truth) -> float:
        """The metric's value, weighted where the truth has weights; NaN where it is not defined.

        Raises:
            SpecError: See :meth:`statistic`.
        """
        statistic = self.statistic(prediction, truth)
        return float(statistic.values(np.ones((1, len(known_rows(truth)))))[0])

    def per_row(self, prediction: Prediction, truth: Truth) -> Array | None:
        """What each row contributes, (N,) with NaN for rows that are not looked at; None for other metrics.

        The weighted mean of it is the metric (for rmse: the metric's square).
        """
        statistic = self.statistic(prediction, truth)
        if statistic.row_N is None:
            return None
        row_N = np.full(len(truth), np.nan)
        row_N[known_rows(truth)] = statistic.row_N
        return row_N


def known_rows(truth: Truth) -> Array:
    """Positions of the rows that metrics look at: the label is known and the weight is not zero."""
    known = truth.present_N
    return np.flatnonzero(known if truth.weight_N is None else known & (truth.weight_N > 0))


def _not_finite(prediction: Prediction, truth: Truth) -> Statistic | None:
    """A model that answers NaN must not get a score by what sorting happens to do with it."""
    for what, number in (("answers", prediction.scores()), ("true values", truth.value)):
        if number.dtype == object:  # texts
            continue
        wrong = int(np.count_nonzero(~np.isfinite(number)))
        if wrong:
            return undefined(f"{wrong} of {number.size} {what} are not finite", len(truth))
    return None
