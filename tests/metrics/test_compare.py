"""Paired comparisons: they see what is there, and stay silent on what is not."""

from dataclasses import replace

import numpy as np
import pytest

from trueweight.metrics.compare import paired, paired_all
from trueweight.metrics.interval import estimate
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction
from trueweight.metrics.ranking import ONE_CLASS
from trueweight.metrics.registry import metric
from trueweight.metrics.truth import Truth


def binary(p: np.ndarray) -> ClassPrediction:
    return ClassPrediction(np.stack([1 - p, p], axis=1), ("no", "yes"), binary=True)


def numbers(n: int, seed: int = 0) -> tuple[np.random.Generator, np.ndarray, Truth]:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    return rng, y, Truth(y, np.ones(n, dtype=bool))


def test_the_sign_is_a_minus_b_and_the_verdict_knows_the_direction():
    rng, y, truth = numbers(300)
    good, bad = NumberPrediction(y + rng.normal(0, 0.5, 300)), NumberPrediction(y + rng.normal(0, 1, 300))
    loss = paired(metric("rmse"), good, bad, truth)
    assert loss.value < 0
    assert loss.high < 0
    assert loss.better == "a"
    score = paired(metric("r2"), good, bad, truth)
    assert score.value > 0
    assert score.low > 0
    assert score.better == "a"
    assert paired(metric("rmse"), bad, good, truth).better == "b"
    expected = metric("rmse").compute(good, truth) - metric("rmse").compute(bad, truth)
    assert loss.value == pytest.approx(expected)


def test_swapping_mirrors_the_interval():
    rng, y, truth = numbers(200)
    a, b = (NumberPrediction(y + rng.normal(size=200)) for _ in range(2))
    one, other = paired(metric("mae"), a, b, truth), paired(metric("mae"), b, a, truth)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))


def test_pairing_sees_what_two_intervals_do_not():
    rng, y, truth = numbers(300)
    shared = rng.standard_t(3, 300)  # what is hard is hard for both
    a, b = NumberPrediction(y + shared), NumberPrediction(y + 1.1 * shared)
    one, other = estimate(metric("mae"), a, truth), estimate(metric("mae"), b, truth)
    assert one.high > other.low  # the intervals overlap
    assert paired(metric("mae"), a, b, truth).better == "a"


@pytest.mark.parametrize("strength, found", [(0.0, False), (0.02, False), (0.3, True), (0.6, True)])
def test_a_planted_advantage_is_found_when_it_is_large_enough(strength: float, found: bool):
    rng = np.random.default_rng(5)
    signal = rng.normal(size=600)
    truth = Truth((signal + rng.normal(size=600) > 0).astype(np.int64), np.ones(600, dtype=bool))
    noise_a, noise_b = rng.normal(size=(2, 600))
    a = binary(1 / (1 + np.exp(-(0.4 + strength) * signal - 0.4 * noise_a)))
    b = binary(1 / (1 + np.exp(-0.4 * signal - 0.4 * noise_b)))
    assert (paired(metric("roc_auc"), a, b, truth).better == "a") == found


def test_equal_models_are_called_different_about_5_percent_of_the_time():
    wrong = 0
    for seed in range(300):
        rng, y, truth = numbers(100, seed)
        a, b = (NumberPrediction(y + rng.normal(size=100)) for _ in range(2))
        wrong += paired(metric("mae"), a, b, truth, n_resamples=300, seed=seed).better != "not shown"
    # 5 % of 300 is 15 +- 3.8; the percentile bootstrap of 100 rows adds about 1 %: up to 15 + 3 + 3 * 3.8.
    assert 3 <= wrong <= 29


def test_a_few_rows_that_differ_show_nothing():
    truth = Truth(np.ones(1000, dtype=np.int64), np.ones(1000, dtype=bool))
    b = np.full(1000, 0.9)
    b[:5] = 0.1
    found = paired(metric("accuracy"), binary(np.full(1000, 0.9)), binary(b), truth)
    assert found.low > 0
    assert found.better == "not shown"
    assert found.reason == "only 5 rows make the difference"
    b[:9] = 0.1
    assert paired(metric("accuracy"), binary(np.full(1000, 0.9)), binary(b), truth).better == "a"


def test_five_rows_show_nothing():
    truth = Truth(np.zeros(5), np.ones(5, dtype=bool))
    found = paired(metric("mae"), NumberPrediction(np.zeros(5)), NumberPrediction(np.ones(5)), truth)
    assert found.better == "not shown"
    assert found.interval() is None
    assert found.reason == "5 rows are too few to compare on"


def test_groups_are_drawn_together():
    rng, y, truth = numbers(400)
    shift = np.repeat(rng.normal(0.05, 0.5, 20), 20)  # a is better in some groups, worse in others
    a, b = NumberPrediction(y + 1 - shift), NumberPrediction(y + 1)
    rows = paired(metric("mae"), a, b, truth)
    groups = paired(metric("mae"), a, b, replace(truth, cluster_N=np.repeat(np.arange(20), 20)))
    # 20 equal rows of a group are one: sqrt(20) = 4.5 times as wide, known to about 10 % with 20 groups.
    assert (groups.high - groups.low) / (rows.high - rows.low) == pytest.approx(4.5, rel=0.3)
    assert (groups.n, groups.clusters, groups.method) == (400, 20, "paired clustered bootstrap")


def test_several_at_once_and_undefined_ones():
    rng = np.random.default_rng(6)
    a, b = binary(rng.random(50)), binary(rng.random(50))
    truth = Truth(np.ones(50, dtype=np.int64), np.ones(50, dtype=bool))
    area, loss = paired_all([metric("roc_auc"), metric("log_loss")], a, b, truth, seed=2)
    assert np.isnan(area.value)
    assert area.better == "not shown"
    assert area.reason == ONE_CLASS
    assert loss == paired(metric("log_loss"), a, b, truth, seed=2)
    interval = loss.interval()
    assert interval is not None
    assert interval.method == "paired bootstrap"
