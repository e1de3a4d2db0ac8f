"""Slopes of areas, which stand in for ranking anew when rows are very many."""

import subprocess
import sys

import numpy as np
import pytest

from trueweight.metrics.interval import estimate
from trueweight.metrics.prediction import ClassPrediction
from trueweight.metrics.ranking import AVERAGE_PRECISION, ROC_AUC, Area, mean_area
from trueweight.metrics.registry import metric
from trueweight.metrics.truth import Truth

AREAS = pytest.mark.parametrize("area", [ROC_AUC, AVERAGE_PRECISION], ids=["roc_auc", "average_precision"])


def rows(n: int, seed: int = 0, rate: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < rate
    return (rng.normal(size=n) + positive).round(1), positive  # one digit: many ties


@AREAS
def test_slopes_are_those_of_finite_differences(area: Area):
    score, positive = rows(60)
    weight = np.random.default_rng(1).uniform(0.5, 2, 60)
    value, slope = area.slope(score, positive, weight)
    curve = area.curve(score, positive)
    assert value == pytest.approx(curve(weight[None])[0], rel=1e-12)
    step = 1e-5  # central differences: error step^2 = 1e-10, rounding 1e-16 / step = 1e-11
    found = (curve(weight + step * np.eye(60)) - curve(weight - step * np.eye(60))) / (2 * step)
    np.testing.assert_allclose(slope, found, atol=1e-9)
    assert (slope * weight).sum() == pytest.approx(0, abs=1e-12)


@AREAS
def test_draws_by_slopes_spread_like_draws_ranked_anew(area: Area):
    score, positive = rows(20_000)
    value, slope = area.slope(score, positive, np.ones(len(score)))
    counts = np.random.default_rng(2).multinomial(20_000, np.full(20_000, 1 / 20_000), size=100).astype(np.float64)
    anew = area.curve(score, positive)(counts)
    # First order: what is left is of the order of the spread squared.
    np.testing.assert_allclose(value + counts @ slope, anew, atol=20 * anew.std() ** 2)
    assert (value + counts @ slope).std() == pytest.approx(anew.std(), rel=0.02)


def test_labels_with_few_rows_are_ranked_anew():
    score, positive = rows(201_000, rate=0.0002)
    assert 0 < positive.sum() < 100
    lost = np.where(positive, 0.0, 1.0)[None]
    assert np.isnan(mean_area(ROC_AUC, [(score, positive)], None).values(lost))


@AREAS
def test_a_mean_over_many_rows_is_that_of_its_labels(area: Area):
    labels = [rows(101_000, seed=1), rows(101_000, seed=2), rows(101_000, seed=3, rate=0.0002)]
    weight = np.random.default_rng(4).uniform(0.5, 2, 101_000)
    ones = np.ones((1, 101_000))
    each = [area.curve(*label)(weight[None])[0] for label in labels]
    assert mean_area(area, labels, weight).values(ones)[0] == pytest.approx(np.mean(each), rel=1e-12)
    assert mean_area(area, labels[:2], weight).values(ones)[0] == pytest.approx(np.mean(each[:2]), rel=1e-12)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_hundreds_of_thousands_of_rows_take_seconds(name: str):
    score, positive = rows(300_000)
    p = 1 / (1 + np.exp(-score))
    prediction = ClassPrediction(np.stack([1 - p, p], axis=1), ("no", "yes"), binary=True)
    found = estimate(metric(name), prediction, Truth(positive.astype(np.int64), np.ones(len(p), dtype=bool)))
    few = estimate(
        metric(name), prediction.take(np.arange(20_000)),
        Truth(positive[:20_000].astype(np.int64), np.ones(20_000, dtype=bool)), n_resamples=300,
    )  # fmt: skip
    # 15 times the rows: sqrt(15) times narrower; widths are known to 4 % and 7 %.
    assert (few.high - few.low) / (found.high - found.low) == pytest.approx(np.sqrt(15), rel=0.3)


def test_metrics_need_numpy_only():
    code = (
        "import sys; import trueweight.metrics.registry, trueweight.metrics.words, trueweight.metrics.select\n"
        "print(sorted({'torch', 'pyarrow', 'scipy', 'sklearn', 'pandas'} & sys.modules.keys()))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
