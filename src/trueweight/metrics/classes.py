"""Metrics of classes: yes-no and category targets.

A label of the truth that the model has never seen (index -1) counts as one more class, which is never
answered and has probability 0: whatever is answered there is wrong.

Shape suffixes:
    N  rows    C  the prediction's classes    L  C and the unseen label    R  resamples
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.metrics.labels import EPS, Score, index_of, one_label
from trueweight.metrics.metric import known_rows
from trueweight.metrics.prediction import ClassPrediction
from trueweight.metrics.ranking import Area, mean_area
from trueweight.metrics.statistic import Array, LabelSums, Statistic, Weighted, mean_of, ratio, share_of, undefined
from trueweight.metrics.truth import Truth

__all__ = [
    "Confusion", "accuracy", "balanced_accuracy", "brier_score", "confusion_matrix", "coverage", "curve", "label_score",
    "log_loss", "overall", "set_size",
]  # fmt: skip


def accuracy(prediction: ClassPrediction, truth: Truth) -> Statistic:
    """Share of rows whose answer is right."""
    return share_of(prediction.answer_N() == truth.value, None, truth.weight_N)


def balanced_accuracy(prediction: ClassPrediction, truth: Truth) -> Statistic:
    """Mean of the recalls of the classes that occur."""

    def combine(hits_RL: Array, _: Array, actual_RL: Array) -> Array:
        return _mean_where(ratio(hits_RL, actual_RL, empty=0.0), actual_RL > 0)

    return _counted(prediction, truth, combine)


def label_score(score: Score, label: str | None, prediction: ClassPrediction, truth: Truth) -> Statistic:
    """Precision, recall or f1 of one class against all others; None is the positive class (the last)."""
    index = len(prediction.classes) - 1 if label is None else index_of(label, prediction.classes)
    return one_label(score, prediction.answer_N() == index, truth.value == index, truth.weight_N)


def overall(score: Score, average: str, prediction: ClassPrediction, truth: Truth) -> Statistic:
    """Precision, recall or f1 over all classes: "macro" is the mean over classes that occur or are answered,
    "micro" counts all rows together, "auto" is the positive class's for yes-no and macro for others."""
    if average == "auto" and prediction.binary:
        return label_score(score, None, prediction, truth)

    def combine(hits_RL: Array, answered_RL: Array, actual_RL: Array) -> Array:
        if average == "micro":
            return score(hits_RL.sum(1), answered_RL.sum(1), actual_RL.sum(1))
        return _mean_where(score(hits_RL, answered_RL, actual_RL), answered_RL + actual_RL > 0)

    return _counted(prediction, truth, combine)


def log_loss(prediction: ClassPrediction, truth: Truth) -> Statistic:
    """Mean of -log of the true class's probability, kept within the float's epsilon of 0 and 1."""
    of_truth = np.where(truth.value < 0, 0.0, prediction.probability_NC[np.arange(len(truth)), truth.value])
    return mean_of(-np.log(np.clip(of_truth, EPS, 1 - EPS)), truth.weight_N)


def brier_score(prediction: ClassPrediction, truth: Truth) -> Statistic:
    """Mean squared difference between probabilities and what happened, summed over classes; for two classes
    halved, as is customary, so that it is the positive class's.

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability"; scikit-learn's scale.
    """
    error_NC = prediction.probability_NC.astype(np.float64)
    seen = np.flatnonzero(truth.value >= 0)
    error_NC[seen, truth.value[seen]] -= 1
    row_N = np.square(error_NC).sum(1) + (truth.value < 0)
    return mean_of(row_N / 2 if error_NC.shape[1] == 2 else row_N, truth.weight_N)


def curve(area: Area, label: str | None, prediction: ClassPrediction, truth: Truth) -> Statistic:
    """An area under a curve: of one label, of the positive class, or the mean of every class against the rest.

    A class that does not occur has no curve and is left out of the mean. Unseen labels belong to "the rest".
    """
    found = [
        (prediction.probability_NC[:, index].astype(np.float64), positive_N)
        for index in _indices(prediction, label)
        if (positive_N := truth.value == index).any()
    ]
    return mean_area(area, found, truth.weight_N)


def coverage(prediction: ClassPrediction, truth: Truth) -> Statistic:
    """Share of rows whose true class is in their set. One that the model has never seen is in none."""
    if prediction.set_NC is None:
        return undefined(_NO_SETS, len(truth))
    inside_N = (truth.value >= 0) & prediction.set_NC[np.arange(len(truth)), truth.value]
    return share_of(inside_N, None, truth.weight_N)


def set_size(prediction: ClassPrediction, truth: Truth) -> Statistic:
    """Mean number of classes in a row's set."""
    if prediction.set_NC is None:
        return undefined(_NO_SETS, len(truth))
    return mean_of(prediction.set_NC.sum(1).astype(np.float64), truth.weight_N)


_NO_SETS = "this model predicts no sets"  # calibration rows that were too few, or evaluate.conformal is null


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often each true class was answered as which."""

    actual: tuple[str, ...]
    """Names of the rows: the classes, and "(unseen)" last if such labels occur."""
    answered: tuple[str, ...]
    """Names of the columns: the classes."""
    weight_LC: Array
    """Sums of weights, float64; counts of rows when there are no weights."""
    n: int
    """Rows counted."""


def confusion_matrix(prediction: ClassPrediction, truth: Truth) -> Confusion:
    """Sums of weights by true class (rows) and answered class (columns)."""
    rows = known_rows(truth)
    prediction, truth = prediction.take(rows), truth.take(rows)
    classes = len(prediction.classes)
    actual = np.where(truth.value < 0, classes, truth.value)
    cell = actual * classes + prediction.answer_N()
    table = np.bincount(cell, truth.weight_N, minlength=(classes + 1) * classes).reshape(classes + 1, classes)
    names = prediction.classes
    if (truth.value < 0).any():
        return Confusion((*names, "(unseen)"), names, table.astype(np.float64), len(rows))
    return Confusion(names, names, table[:-1].astype(np.float64), len(rows))


def _counted(prediction: ClassPrediction, truth: Truth, combine: Callable[[Array, Array, Array], Array]) -> Statistic:
    labels = len(prediction.classes) + 1
    answer, actual = prediction.answer_N(), np.where(truth.value < 0, labels - 1, truth.value)
    hits = LabelSums.of(actual, labels, rows=np.flatnonzero(answer == actual))
    answers, actuals = LabelSums.of(answer, labels), LabelSums.of(actual, labels)
    return Weighted(lambda w: combine(hits(w), answers(w), actuals(w)), truth.weight_N)


def _mean_where(value_RL: Array, counts_RL: Array) -> Array:
    return ratio((value_RL * counts_RL).sum(1), counts_RL.sum(1).astype(np.float64))


def _indices(prediction: ClassPrediction, label: str | None) -> Sequence[int]:
    if label is not None:
        return [index_of(label, prediction.classes)]
    classes = len(prediction.classes)
    return [classes - 1] if prediction.binary else range(classes)
