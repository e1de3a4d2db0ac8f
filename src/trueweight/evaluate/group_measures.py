"""What is compared between groups of people: shares and means of rows, by the type of target.

Shape suffixes:
    N  known rows
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction, VectorPrediction
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.texts import chrf_of_rows
from trueweight.metrics.truth import Truth

__all__ = ["LARGER", "SMALL", "Measure", "measures_of"]

LARGER = 1.25
"""Ratio of two groups' rates or errors that is worth a flag, or its inverse: the four-fifths rule of the Uniform
Guidelines on Employee Selection Procedures, 29 CFR 1607.4(D)."""

SMALL = 0.1
"""Difference of two groups' shares that is worth a flag: the range that AI Fairness 360 calls fair (Bellamy et al.
2018, arXiv:1810.01943)."""

_EFFECT = 0.2
"""Difference of mean errors, in standard deviations of the truth, that is worth a flag: what Cohen 1988, "Statistical
power analysis for the behavioral sciences", section 2.2, calls a small effect."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean over some of the rows."""

    name: str
    words: str
    """What the mean says, as in "… is 0.3 where gender = f"."""
    value_N: np.ndarray
    of_N: np.ndarray
    """bool: the rows that it is a mean over."""
    least: float
    """Difference between a group and the others that is worth a flag; 0 where the ratio counts."""
    share: bool
    """Whether ``value_N`` is 0 or 1."""

    def large(self, mean: float, rest: float) -> bool:
        """Whether a difference matters, if it is no chance."""
        if self.least:
            return abs(mean - rest) >= self.least
        return max(mean, rest) >= LARGER * min(mean, rest)


def measures_of(prediction: Prediction, value: np.ndarray) -> Sequence[Measure]:
    """What can be compared for one target, all rows known.

    Sources: demographic parity and equalised odds as in Hardt, Price and Srebro 2016, "Equality of opportunity in
    supervised learning", arXiv:1610.02413, sections 1 and 2; calibration within groups as in Kleinberg, Mullainathan
    and Raghavan 2016, arXiv:1609.05807, section 1.
    """
    everyone = np.ones(len(value), bool)
    match prediction:
        case ClassPrediction(binary=True):
            return _of_yes_no(prediction, value, everyone)
        case ClassPrediction():
            hit_N = prediction.answer_N() == value
            sure_N = prediction.probability_NC.max(1) - hit_N
            return [
                Measure("accuracy", "the share of right answers", hit_N.astype(float), everyone, SMALL, True),
                Measure("calibration_gap", "confidence minus accuracy", sure_N, everyone, SMALL, False),
            ]
        case SetPrediction():
            wrong_N = ((prediction.probability_NC >= prediction.threshold) != value).mean(1)
            gap_N = (prediction.probability_NC - value).mean(1)
            return [
                Measure("hamming_loss", "the share of labels wrongly in or out", wrong_N, everyone, SMALL, False),
                Measure("calibration_gap", "mean probability minus frequency of labels", gap_N, everyone, SMALL, False),
            ]
        case NumberPrediction():
            error_N = prediction.value_N - value
            least = _EFFECT * float(value.std()) or 1e-300
            return [
                Measure("mean_error", "the mean of answer minus truth", error_N, everyone, least, False),
                Measure("mae", "the mean absolute error", np.abs(error_N), everyone, 0.0, False),
            ]
        case VectorPrediction():
            error_N = np.abs(prediction.value_ND - value).mean(1)
            return [Measure("mae", "the mean absolute error", error_N, everyone, 0.0, False)]
        case TextPrediction():
            return _of_texts(prediction, value, everyone)
        case _:
            return []


def _of_texts(prediction: TextPrediction, value: np.ndarray, everyone: np.ndarray) -> Sequence[Measure]:
    if prediction.written:
        likeness_N = chrf_of_rows(prediction, Truth(value, everyone))
        return [Measure("mean_chrf", "the mean likeness of written and true texts", likeness_N, everyone, SMALL, False)]
    if prediction.truth_logp_N is None or prediction.truth_tokens_N is None:
        return []
    surprise_N = -prediction.truth_logp_N / np.maximum(prediction.truth_tokens_N, 1)
    return [Measure("mean_surprise", "the mean surprise at a token of a text", surprise_N, everyone, 0.0, False)]


def _of_yes_no(prediction: ClassPrediction, value: np.ndarray, everyone: np.ndarray) -> Sequence[Measure]:
    positive = prediction.classes[1]
    yes_N = (prediction.answer_N() == 1).astype(float)
    gap_N = prediction.probability_NC[:, 1] - (value == 1)
    asked = f"the share of rows answered {positive!r}"
    return [
        Measure("selection_rate", asked, yes_N, everyone, 0.0, True),
        Measure("true_positive_rate", f"{asked} among those that are", yes_N, value == 1, SMALL, True),
        Measure("false_positive_rate", f"{asked} among those that are not", yes_N, value == 0, SMALL, True),
        Measure("calibration_gap", f"mean probability minus frequency of {positive!r}", gap_N, everyone, SMALL, False),
    ]
