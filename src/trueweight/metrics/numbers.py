"""Metrics of numbers and vectors, in the target's own unit unless they say otherwise.

Shape suffixes:
    N  rows    D  width of a vector (1 for numbers)    R  resamples    K  summed columns
"""

import numpy as np

from trueweight.metrics.prediction import NumberPrediction, VectorPrediction
from trueweight.metrics.statistic import Array, Statistic, Sums, mean_of, ratio, share_of, undefined
from trueweight.metrics.truth import Truth

__all__ = ["coverage", "interval_width", "mae", "mape", "r2", "rmse", "vector_mae", "vector_r2", "vector_rmse"]


def mae(prediction: NumberPrediction, truth: Truth) -> Statistic:
    """Mean absolute error."""
    return mean_of(np.abs(prediction.value_N - truth.value), truth.weight_N)


def rmse(prediction: NumberPrediction, truth: Truth) -> Statistic:
    """Root of the mean squared error."""
    return mean_of(np.square(prediction.value_N - truth.value), truth.weight_N, np.sqrt)


def mape(prediction: NumberPrediction, truth: Truth) -> Statistic:
    """Mean of |error| / |truth|, as a fraction. Enormous where the truth is 0, as in scikit-learn."""
    scale = np.maximum(np.abs(truth.value), np.finfo(np.float64).eps)
    return mean_of(np.abs(prediction.value_N - truth.value) / scale, truth.weight_N)


def r2(prediction: NumberPrediction, truth: Truth) -> Statistic:
    """Share of the truth's variance that the prediction explains; 0 for the mean, negative if worse."""
    return _r2(prediction.value_N[:, None], truth.value[:, None], truth.weight_N)


def vector_mae(prediction: VectorPrediction, truth: Truth) -> Statistic:
    """Mean absolute error over all entries."""
    return mean_of(np.abs(prediction.value_ND - truth.value).mean(1), truth.weight_N)


def vector_rmse(prediction: VectorPrediction, truth: Truth) -> Statistic:
    """Mean over entries of the root mean squared error."""
    square_ND = np.square(prediction.value_ND - truth.value)
    weight = np.ones(len(truth)) if truth.weight_N is None else truth.weight_N
    columns = np.concatenate([square_ND * weight[:, None], weight[:, None]], axis=1)
    return Sums(columns, lambda s: np.asarray(np.sqrt(ratio(s[:, :-1], _like(s[:, -1:], s))).mean(1)))


def vector_r2(prediction: VectorPrediction, truth: Truth) -> Statistic:
    """Mean over entries of the share of variance explained."""
    return _r2(prediction.value_ND, truth.value, truth.weight_N)


def coverage(prediction: NumberPrediction, truth: Truth) -> Statistic:
    """Share of rows whose true value lies in the predicted interval, its ends included."""
    if prediction.low_N is None or prediction.high_N is None:
        return undefined(_NO_INTERVALS, len(truth))
    low, high = prediction.low_N, prediction.high_N
    return share_of((low <= truth.value) & (truth.value <= high), None, truth.weight_N)


def interval_width(prediction: NumberPrediction, truth: Truth) -> Statistic:
    """Mean width of the predicted intervals."""
    if prediction.low_N is None or prediction.high_N is None:
        return undefined(_NO_INTERVALS, len(truth))
    return mean_of(prediction.high_N - prediction.low_N, truth.weight_N)


_NO_INTERVALS = "this model predicts no intervals"  # a baseline, or calibration rows that were too few


def _like(column: Array, sums_RK: Array) -> Array:
    return np.broadcast_to(column, (len(sums_RK), sums_RK.shape[1] - 1))


def _r2(answer_ND: Array, true_ND: Array, weight_N: Array | None) -> Sums:
    """From sums of squares about a value of the data near the mean, so that the squares do not cancel."""
    weight = np.ones(len(true_ND)) if weight_N is None else weight_N
    nearest_D = np.abs(true_ND - true_ND.mean(0)).argmin(0)
    about_ND = true_ND - true_ND[nearest_D, np.arange(true_ND.shape[1])]
    parts = [np.square(answer_ND - true_ND), about_ND, np.square(about_ND), np.ones((len(true_ND), 1))]
    # The last columns count rows: r2 of a single row is not defined.
    columns = np.concatenate(parts, axis=1) * weight[:, None]
    return Sums(np.concatenate([columns, np.ones((len(true_ND), 1))], axis=1), _r2_of_sums)


def _r2_of_sums(sums_RK: Array) -> Array:
    weight, rows = sums_RK[:, -2:-1], sums_RK[:, -1]
    left, total, squares = np.split(sums_RK[:, :-2], 3, axis=1)
    mean_square = np.divide(np.square(total), weight, out=np.zeros_like(total), where=weight > 0)
    spread = squares - mean_square
    # What is left of the squares by rounding alone is no spread: the truth is constant.
    constant = spread <= 1e-14 * squares
    # A constant truth: 1 if it is met and 0 if not, as scikit-learn says.
    value = 1 - np.divide(left, spread, out=(left > 0).astype(np.float64), where=~constant)
    return np.where(rows >= 2, value.mean(1), np.nan)
