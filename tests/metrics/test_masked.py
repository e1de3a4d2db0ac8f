"""Filled gaps, counted by hand."""

import math

import numpy as np
import pytest

from trueweight.metrics.masked_prediction import MaskedPrediction
from trueweight.metrics.registry import metric
from trueweight.metrics.truth import Truth

TRUTH = Truth(np.array([np.array([2, 3, 3, 4]), np.array([5]), np.array([], int)], dtype=object), np.ones(3, bool))


def filled() -> MaskedPrediction:
    text = np.array(["a", "b", ""], dtype=object)
    return MaskedPrediction(text, np.array([2, 1, 0]), np.array([1, 1, 0]), np.log([0.5 * 0.25, 0.5, 1.0]))


def test_gaps_count_and_not_rows() -> None:
    assert metric("masked_accuracy").compute(filled(), TRUTH) == pytest.approx(2 / 3)
    assert metric("masked_bits").compute(filled(), TRUTH) == pytest.approx((3 + 1) / 3)


def test_weights_count_a_row_s_gaps_as_often() -> None:
    weighted = Truth(TRUTH.value, TRUTH.present_N, np.array([1.0, 2.0, 7.0]))
    assert metric("masked_accuracy").compute(filled(), weighted) == pytest.approx((1 + 2) / (2 + 2))


def test_what_looks_at_nothing_guesses_every_token() -> None:
    share = np.array([0.0001, 0.0001, 0.2, 0.5, 0.2, 0.0998])
    zero = np.zeros(3, np.int64)
    constant = MaskedPrediction(np.array([""] * 3, dtype=object), zero, zero, np.zeros(3), share)
    assert metric("masked_accuracy").compute(constant, TRUTH) == pytest.approx(2 / 5)  # token 3, twice of five
    bits = -sum(math.log2(p) for p in (0.2, 0.5, 0.5, 0.2, 0.0998)) / 5
    assert metric("masked_bits").compute(constant, TRUTH) == pytest.approx(bits)


def test_no_gap_at_all_has_no_value() -> None:
    zero = np.zeros(3, np.int64)
    none = MaskedPrediction(np.array([""] * 3, dtype=object), zero, zero, np.zeros(3))
    assert math.isnan(metric("masked_accuracy").compute(none, TRUTH))
    assert metric("masked_accuracy").statistic(none, TRUTH).reason == "no token was hidden"


def test_the_member_of_most_weight_answers() -> None:
    one, other = filled(), filled().take(np.array([2, 1, 0]))
    assert one.mix([other], [0.2, 0.8]) is other
    assert one.mix([other], [0.5, 0.5]) is one
