"""Metrics of sets of labels.

Shape suffixes:
    N  rows    C  labels    R  resamples    K  summed columns
"""

import numpy as np

from trueweight.metrics.labels import EPS, Score, index_of, one_label
from trueweight.metrics.prediction import SetPrediction
from trueweight.metrics.ranking import Area, mean_area
from trueweight.metrics.statistic import Array, Statistic, Sums, mean_of, share_of
from trueweight.metrics.truth import Truth

__all__ = ["accuracy", "brier_score", "curve", "hamming_loss", "label_score", "log_loss", "overall"]


def label_score(score: Score, label: str, prediction: SetPrediction, truth: Truth) -> Statistic:
    """Precision, recall or f1 of one label."""
    index = index_of(label, prediction.labels)
    chosen_N = prediction.probability_NC[:, index] >= prediction.threshold
    return one_label(score, chosen_N, truth.value[:, index].astype(bool), truth.weight_N)


def overall(score: Score, average: str, prediction: SetPrediction, truth: Truth) -> Statistic:
    """Precision, recall or f1: "macro" is the mean over all labels of the list, "micro" counts all cells together."""
    chosen, actual = prediction.probability_NC >= prediction.threshold, truth.value.astype(bool)
    columns = np.concatenate([chosen & actual, chosen, actual], axis=1).astype(np.float64)
    if truth.weight_N is not None:
        columns *= truth.weight_N[:, None]

    def combine(sums_RK: Array) -> Array:
        parts = np.split(sums_RK, 3, axis=1)
        if average == "micro":
            return score(*(part.sum(1) for part in parts))
        return np.asarray(score(*parts).mean(1))

    return Sums(columns, combine)


def accuracy(prediction: SetPrediction, truth: Truth) -> Statistic:
    """Share of rows whose set is answered exactly."""
    right_NC = (prediction.probability_NC >= prediction.threshold) == truth.value.astype(bool)
    return share_of(right_NC.all(1), None, truth.weight_N)


def hamming_loss(prediction: SetPrediction, truth: Truth) -> Statistic:
    """Share of labels, over all rows, that are wrongly in or out of the set."""
    wrong_NC = (prediction.probability_NC >= prediction.threshold) != truth.value.astype(bool)
    return mean_of(wrong_NC.mean(1), truth.weight_N)


def log_loss(prediction: SetPrediction, truth: Truth) -> Statistic:
    """Mean over labels of the yes-no log loss."""
    of_truth = np.where(truth.value, prediction.probability_NC, 1 - prediction.probability_NC)
    return mean_of(-np.log(np.clip(of_truth, EPS, 1 - EPS)).mean(1), truth.weight_N)


def brier_score(prediction: SetPrediction, truth: Truth) -> Statistic:
    """Mean over labels of the squared difference between probability and membership."""
    return mean_of(np.square(prediction.probability_NC - truth.value).mean(1), truth.weight_N)


def curve(area: Area, label: str | None, prediction: SetPrediction, truth: Truth) -> Statistic:
    """An area under a curve of one label, or the mean over the labels that occur."""
    indices = range(len(prediction.labels)) if label is None else [index_of(label, prediction.labels)]
    member_NC = truth.value.astype(bool)
    found = [(prediction.probability_NC[:, c].astype(np.float64), member_NC[:, c]) for c in indices]
    return mean_area(area, found, truth.weight_N)
