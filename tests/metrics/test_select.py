"""Greedy blends: never worse than the best member, and better where members err differently."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueweight.errors import TrainError
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, blend, value_within
from trueweight.metrics.registry import metric
from trueweight.metrics.select import greedy_blend
from trueweight.metrics.truth import Truth

LOSS = metric("log_loss").compute


def members(seed: int, count: int, n: int = 60) -> tuple[list[ClassPrediction], Truth]:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=n)
    truth = Truth((rng.random(n) < 1 / (1 + np.exp(-2 * signal))).astype(np.int64), np.ones(n, dtype=bool))
    found = []
    for _ in range(count):
        p = 1 / (1 + np.exp(-rng.uniform(0, 3) * (signal + rng.normal(0, 1, n))))
        found.append(ClassPrediction(np.stack([1 - p, p], axis=1), ("no", "yes"), binary=True))
    return found, truth


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_never_worse_than_the_best_member(seed: int, count: int):
    predictions, truth = members(seed, count)
    weights = greedy_blend(predictions, truth, LOSS, rounds=10)
    assert len(weights) == count
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0
    alone = min(LOSS(p, truth) for p in predictions)
    assert LOSS(blend(predictions, weights), truth) <= alone + 1e-12  # sums in another order


def test_members_that_err_oppositely_share():
    y = np.arange(20.0)
    truth = Truth(y, np.ones(20, dtype=bool))
    high, low, far = NumberPrediction(y + 1), NumberPrediction(y - 1), NumberPrediction(y + 50)
    assert greedy_blend([far, high, low], truth, metric("rmse").compute) == [0.0, 0.5, 0.5]


def test_a_perfect_member_stays_alone():
    y = np.arange(20.0)
    truth = Truth(y, np.ones(20, dtype=bool))
    members = [NumberPrediction(y + 1), NumberPrediction(y), NumberPrediction(y)]
    assert greedy_blend(members, truth, metric("rmse").compute) == [0.0, 1.0, 0.0]  # of equals, the first


def test_a_member_that_answers_nan_gets_no_weight():
    y = np.arange(20.0)
    truth = Truth(y, np.ones(20, dtype=bool))
    broken = NumberPrediction(np.full(20, np.nan))
    assert greedy_blend([broken, NumberPrediction(y + 1)], truth, metric("mae").compute) == [0.0, 1.0]
    with pytest.raises(TrainError, match="none of 1 models has a finite loss"):
        greedy_blend([broken], truth, metric("mae").compute)


def test_learnt_quantiles_are_mixed_and_promises_are_not_passed_on():
    low, value, high = np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([2.0, 5.0])
    one, other = value_within(value, low, high), value_within(value + 1, low + 2, high + 4)
    mixed = blend([one, other], [0.25, 0.75])
    ends = 0.25 * low + 0.75 * np.minimum(low + 2, value + 1)
    np.testing.assert_allclose(mixed.low_N, np.minimum(ends, mixed.value_N))
    np.testing.assert_allclose(mixed.high_N, 0.25 * high + 0.75 * (high + 4))
    apart = blend([one, other], [1.0, 0.0], [0.0, 1.0])
    np.testing.assert_array_equal(apart.value_N, value)
    np.testing.assert_array_equal(apart.high_N, high + 4)
    promised = one.with_radius(1.0, 0.9)
    assert blend([promised], [1.0]).low_N is None and blend([promised, promised], [0.5, 0.5]).low_N is None
