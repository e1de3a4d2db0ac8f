"""Intervals: exact ones against SciPy, bootstrap ones by how often they cover."""

import time
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats

from trueweight.metrics.beta import beta_cdf, clopper_pearson
from trueweight.metrics.interval import estimate, estimates
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction
from trueweight.metrics.ranking import ONE_CLASS
from trueweight.metrics.registry import metric
from trueweight.metrics.resample import Units, fewest_units
from trueweight.metrics.truth import Truth


def binary(p: np.ndarray, y: np.ndarray) -> tuple[ClassPrediction, Truth]:
    prediction = ClassPrediction(np.stack([1 - p, p], axis=1), ("no", "yes"), binary=True)
    return prediction, Truth(y.astype(np.int64), np.ones(len(y), dtype=bool))


def right_and_wrong(right: int, n: int) -> tuple[ClassPrediction, Truth]:
    return binary(np.where(np.arange(n) < right, 0.9, 0.1), np.ones(n))


@pytest.mark.parametrize(
    "hits, rows", [(0, 1), (1, 1), (0, 20), (3, 20), (20, 20), (499, 1000), (7, 100_000), (2.5, 7.3)]
)
@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_clopper_pearson_is_scipys(hits: float, rows: float, level: float):
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else scipy.stats.beta.ppf(tail, hits, rows - hits + 1)
    high = 1.0 if hits == rows else scipy.stats.beta.ppf(1 - tail, hits + 1, rows - hits)
    # lgamma of 1e5 is 1e6, so exponents carry 1e-10 of relative error.
    assert clopper_pearson(hits, rows, level) == pytest.approx((low, high), rel=1e-9, abs=1e-13)


def test_clopper_pearson_of_millions_and_of_nothing():
    low, high = clopper_pearson(600_000, 1_000_000, 0.95)
    reference = scipy.stats.binomtest(600_000, 1_000_000).proportion_ci(0.95)
    assert (low, high) == pytest.approx((reference.low, reference.high), rel=1e-7)
    assert clopper_pearson(0, 0, 0.95) == (0.0, 1.0)


@pytest.mark.parametrize("x", [0.0, 1e-9, 0.2, 0.5, 0.99, 1.0])
def test_beta_cdf_is_scipys(x: float):
    for a, b in [(0.5, 0.5), (1, 1), (2, 30), (400, 3)]:
        assert beta_cdf(x, a, b) == pytest.approx(scipy.stats.beta.cdf(x, a, b), rel=1e-10, abs=1e-14)


def test_a_share_of_rows_is_exact():
    prediction, truth = right_and_wrong(45, 50)
    found = estimate(metric("accuracy"), prediction, truth)
    reference = scipy.stats.binomtest(45, 50).proportion_ci(0.95)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high))
    assert (found.value, found.method, found.n) == (0.9, "clopper-pearson", 50)
    interval = found.interval()
    assert interval is not None
    assert interval.method == "clopper-pearson"
    assert interval.level == 0.95


def test_precision_and_recall_are_shares_of_their_own_rows():
    p = np.r_[np.full(30, 0.9), np.full(70, 0.1)]
    y = np.r_[np.ones(24), np.zeros(6), np.ones(4), np.zeros(66)]
    prediction, truth = binary(p, y)
    for name, hits, rows in [("precision", 24, 30), ("recall", 24, 28), ("recall[no]", 66, 72)]:
        found = estimate(metric(name), prediction, truth)
        reference = scipy.stats.binomtest(hits, rows).proportion_ci(0.95)
        assert (found.low, found.high) == pytest.approx((reference.low, reference.high)), name


def test_weights_and_groups_have_no_exact_interval():
    prediction, truth = right_and_wrong(45, 50)
    grouped = replace(truth, cluster_N=np.arange(50) // 5)
    assert estimate(metric("accuracy"), prediction, grouped).method == "clustered bootstrap"
    weighted = replace(truth, weight_N=np.linspace(1, 2, 50))
    assert estimate(metric("accuracy"), prediction, weighted).method == "bootstrap"
    found = estimate(metric("accuracy"), prediction, weighted, method="exact")
    assert found.interval() is None
    assert found.reason == "no exact interval: not a plain share of rows"
    assert estimate(metric("roc_auc"), *right_and_wrong(45, 50), method="exact").low is None


def test_all_right_in_groups_is_as_uncertain_as_so_many_groups():
    prediction, truth = right_and_wrong(50, 50)
    found = estimate(metric("accuracy"), prediction, replace(truth, cluster_N=np.arange(50) // 5))
    assert found.low == pytest.approx(clopper_pearson(10, 10, 0.95)[0])
    assert found.high == 1.0
    # Unequal weights: (1 + ... + 1 + 50)^2 / (49 + 2500) = 3.8 rows' worth.
    found = estimate(metric("accuracy"), prediction, replace(truth, weight_N=np.r_[np.ones(49), 50.0]))
    assert found.low == pytest.approx(clopper_pearson(99**2 / 2549, 99**2 / 2549, 0.95)[0])


def test_groups_of_equal_rows_widen_the_interval_as_theory_says():
    rng = np.random.default_rng(0)
    p, y = rng.random(400), rng.integers(0, 2, 400)
    prediction, truth = binary(np.repeat(p, 4), np.repeat(y, 4))
    rows = estimate(metric("log_loss"), prediction, truth)
    groups = estimate(metric("log_loss"), prediction, replace(truth, cluster_N=np.repeat(np.arange(400), 4)))
    alone = estimate(metric("log_loss"), *binary(p, y))
    # Four copies of a row are one row: the interval of 400 rows, twice that of 1600. 1000 resamples know a
    # width to about 4 %; the band is 4 times that.
    assert (groups.high - groups.low) / (alone.high - alone.low) == pytest.approx(1, abs=0.16)
    assert (groups.high - groups.low) / (rows.high - rows.low) == pytest.approx(2, abs=0.32)
    assert (groups.n, groups.clusters) == (1600, 400)


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "f1"])
def test_95_percent_intervals_cover_95_percent(name: str):
    """400 data sets of 200 rows each, whose true value is the metric of a million rows."""
    rng = np.random.default_rng(7)

    def draw(n: int) -> tuple[ClassPrediction, Truth]:
        p = rng.beta(1, 1, n)
        return binary(p, rng.random(n) < p)

    true = metric(name).compute(*draw(1_000_000))
    covered = 0
    for repetition in range(400):
        found = estimate(metric(name), *draw(200), n_resamples=300, seed=repetition, method="bootstrap")
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= true <= found.high
    # The count's standard error is sqrt(0.05 * 0.95 / 400) = 1.1 %. A percentile bootstrap of 200 rows with 300
    # resamples covers up to 1 % less than it says, so from 1 % + 3 standard errors below to 3 above.
    assert 0.95 - 0.043 <= covered / 400 <= 0.95 + 0.033


def test_rare_classes_and_few_rows_give_a_reason_instead_of_an_interval():
    p = np.linspace(0, 1, 40)
    found = estimate(metric("roc_auc"), *binary(p, np.arange(40) == 30))
    assert found.interval() is None
    assert found.reason.startswith("only ")
    assert 270 < found.skipped < 470  # (1 - 1/40)^40 = 36 % of 1000 resamples, +- 6 standard errors
    found = estimate(metric("roc_auc"), *binary(p[:5], np.arange(5) % 2))
    assert found.reason == "5 rows are too few for a bootstrap"
    found = estimate(metric("roc_auc"), *binary(p, np.zeros(40)))
    assert np.isnan(found.value)
    assert found.reason == ONE_CLASS
    found = estimate(metric("roc_auc"), *binary(p, p > 0.5))
    assert found.value == 1
    assert found.reason == "every resample gave the same value, so the bootstrap says nothing"


def test_estimates_together_are_those_alone():
    rng = np.random.default_rng(1)
    prediction, truth = binary(rng.random(100), rng.integers(0, 2, 100))
    metrics = [metric(name) for name in ("roc_auc", "accuracy", "log_loss", "f1_macro")]
    assert estimates(metrics, prediction, truth, seed=3) == [estimate(m, prediction, truth, seed=3) for m in metrics]
    assert estimates([], prediction, truth) == []
    assert estimate(metrics[0], prediction, truth, seed=3) != estimate(metrics[0], prediction, truth, seed=4)


def test_very_many_rows_are_drawn_in_random_groups_of_the_same_spread():
    rng = np.random.default_rng(2)
    y = rng.normal(size=100_000)
    prediction, truth = NumberPrediction(y + rng.normal(size=len(y))), Truth(y, np.ones(len(y), dtype=bool))
    found = estimate(metric("mae"), prediction, truth)
    # Standard deviation of |standard normal| is sqrt(1 - 2 / pi); 1000 resamples know a width to 4 %.
    theory = 2 * 1.96 * np.sqrt((1 - 2 / np.pi) / len(y))
    assert found.high - found.low == pytest.approx(theory, rel=0.16)
    assert (found.n, found.clusters) == (100_000, None)


def test_draws_are_with_replacement_and_complete():
    units = Units.of(Truth(np.zeros(50), np.ones(50, dtype=bool)), 0)
    counts = np.concatenate(list(units.counts(500, 0)))
    assert counts.shape == (500, 50)
    assert (counts.sum(1) == 50).all()
    # A count is nearly Poisson(1): its mean over 25,000 is known to 0.6 %, its variance to about 1.5 %.
    assert counts.var() == pytest.approx(1 - 1 / 50, rel=0.08)


def test_fewest_units_is_the_sign_tests():
    for level in (0.8, 0.95, 0.99):
        n = fewest_units(level)
        assert scipy.stats.binomtest(n, n).pvalue <= 1 - level < scipy.stats.binomtest(n - 1, n - 1).pvalue


@pytest.mark.parametrize("name", ["roc_auc", "average_precision", "log_loss", "f1"])
def test_a_thousand_resamples_of_ten_thousand_rows_are_quick(name: str):
    rng = np.random.default_rng(3)
    p = rng.random(10_000)
    prediction, truth = binary(p, rng.random(10_000) < p)
    start = time.process_time()
    estimate(metric(name), prediction, truth, method="bootstrap")
    assert time.process_time() - start < 2  # promised; 0.1 to 0.5 s on one core of 2024
