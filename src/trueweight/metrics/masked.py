"""Metrics of gaps in texts that were filled, each a function of sums over rows.

Shape suffixes:
    N  rows    K  summed columns
"""

import math

import numpy as np

from trueweight.metrics.masked_prediction import MaskedPrediction
from trueweight.metrics.metric import Form
from trueweight.metrics.statistic import Array, Statistic, Sums, ratio
from trueweight.metrics.truth import Truth

__all__ = ["FORMS", "masked_accuracy", "masked_bits"]


def masked_accuracy(prediction: MaskedPrediction, truth: Truth) -> Statistic:
    """Share of hidden tokens that were guessed right."""
    hidden_N, right_N, _ = prediction.counted(truth.value)
    return _mean(right_N.astype(np.float64), hidden_N, truth)


def masked_bits(prediction: MaskedPrediction, truth: Truth) -> Statistic:
    """Negative log probability of hidden tokens to the base 2, a token."""
    hidden_N, _, logp_N = prediction.counted(truth.value)
    return _mean(-logp_N / math.log(2), hidden_N, truth)


def _mean(sum_N: Array, hidden_N: Array, truth: Truth) -> Statistic:
    count_NK = np.stack([sum_N, hidden_N.astype(np.float64)], axis=1)
    count_NK = count_NK if truth.weight_N is None else count_NK * truth.weight_N[:, None]
    reason = "" if count_NK[:, 1].any() else "no token was hidden"
    return Sums(count_NK, lambda sums: ratio(sums[:, 0], sums[:, 1]), reason=reason)


FORMS: dict[str, tuple[bool, Form, str]] = {
    "masked_accuracy": (True, masked_accuracy, "share of hidden tokens that are guessed right"),
    "masked_bits": (False, masked_bits, "bits that a hidden token costs"),
}
"""By name: whether greater is better, the form, words."""
