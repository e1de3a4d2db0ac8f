"""Lines behind the scores: they agree with scikit-learn's, and no point rests on few rows."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve, roc_curve

from trueweight.metrics.curves import MOST, curves_of
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, VectorPrediction
from trueweight.metrics.truth import Truth


def classes(rows: int, *, ties: bool = False, seed: int = 0) -> tuple[ClassPrediction, Truth]:
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 2, rows)
    score = 1 / (1 + np.exp(-(rng.normal(size=rows) + true)))
    score = score.round(1) if ties else score
    return ClassPrediction(np.stack([1 - score, score], 1), ("no", "yes"), binary=True), Truth(
        true, np.ones(rows, bool)
    )


@pytest.mark.parametrize("ties", [False, True])
def test_every_point_lies_on_scikit_learns_line(ties):
    prediction, truth = classes(3000, ties=ties)
    found = curves_of(prediction, truth, 10)
    score = prediction.probability_NC[:, 1]
    false, hit, _ = roc_curve(truth.value, score, drop_intermediate=False)
    for x, y in found["roc"].points:
        assert np.hypot(false - x, hit - y).min() < 1e-5
    precision, recall, _ = precision_recall_curve(truth.value, score)
    for x, y in found["precision_recall"].points:
        assert np.hypot(recall - x, precision - y).min() < 1e-5
    assert found["roc"].points[0] == (0, 0)
    assert found["roc"].points[-1] == (1, 1)


@pytest.mark.parametrize("rows", [25, 100, 1234, 5000])
@pytest.mark.parametrize("least", [1, 10])
def test_no_point_rests_on_few_rows(rows, least):
    found = curves_of(*classes(rows), least)
    assert found
    for curve in found.values():
        assert len(curve.points) <= MOST + 2
        added = [count for count, (x, _) in zip(curve.n, curve.points, strict=True) if (x, count) != (0.0, 0)]
        assert min(added) >= least
        assert sum(curve.n) == rows


def test_few_rows_have_no_line():
    assert curves_of(*classes(19), 10) == {}


def test_sure_answers_end_at_the_accuracy():
    prediction, truth = classes(800)
    curve = curves_of(prediction, truth, 10)["accuracy_when_sure"]
    right = (prediction.answer_N() == truth.value).mean()
    assert curve.points[-1] == (1.0, pytest.approx(right, abs=1e-5))
    assert curve.points[0][1] > right


def test_weights_count():
    prediction, truth = classes(500)
    weight = np.random.default_rng(1).uniform(0.1, 3, 500)
    weighted = curves_of(prediction, Truth(truth.value, truth.present_N, weight), 10)["roc"]
    false, hit, _ = roc_curve(
        truth.value, prediction.probability_NC[:, 1], sample_weight=weight, drop_intermediate=False
    )
    for x, y in weighted.points:
        assert np.hypot(false - x, hit - y).min() < 1e-5


def test_numbers_have_their_true_values_and_errors():
    rng = np.random.default_rng(0)
    answer = rng.normal(size=2000)
    true = answer + rng.normal(scale=0.5, size=2000)
    found = curves_of(NumberPrediction(answer), Truth(true, np.ones(2000, bool)), 10)
    line = found["true_by_answer"]
    inside = [low <= x <= high for (x, _), (low, high) in zip(line.points, line.band, strict=True)]
    assert np.mean(inside) > 0.8  # the answers are right on average
    shares, errors = zip(*found["error_quantiles"].points, strict=True)
    assert np.allclose(errors, np.quantile(abs(true - answer), shares), rtol=1e-5)


def test_rows_without_a_label_are_left_out():
    prediction, truth = classes(400)
    half = np.arange(400) < 200
    some = curves_of(prediction, Truth(truth.value, half), 10)
    alone = curves_of(prediction.take(np.flatnonzero(half)), truth.take(np.flatnonzero(half)), 10)
    assert some == alone


def test_vectors_have_none():
    assert curves_of(VectorPrediction(np.zeros((50, 2))), Truth(np.zeros((50, 2)), np.ones(50, bool)), 10) == {}
