"""Laws that metrics keep whatever the data: Hypothesis looks for a counterexample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueweight.metrics.prediction import ClassPrediction, NumberPrediction
from trueweight.metrics.registry import metric, metrics_for
from trueweight.metrics.truth import Truth

QUICK = settings(max_examples=40, deadline=None)
NAMES = [*metrics_for(ClassPrediction), "precision[yes]", "roc_auc[no]"]


@st.composite
def binary_cases(draw: st.DrawFn) -> tuple[ClassPrediction, Truth]:
    n = draw(st.integers(2, 30))
    p = np.array(draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))) / 8  # few values: many ties
    y = np.array(draw(st.lists(st.integers(-1 if draw(st.booleans()) else 0, 1), min_size=n, max_size=n)))
    w = np.array(draw(st.lists(st.integers(1, 4), min_size=n, max_size=n)), dtype=np.float64)
    prediction = ClassPrediction(np.stack([1 - p, p], axis=1), ("no", "yes"), binary=True)
    return prediction, Truth(y.astype(np.int64), np.ones(n, dtype=bool), w)


def same(a: float, b: float) -> bool:
    # At most 120 numbers are summed: rounding stays below 1e-13.
    return bool(np.isclose(a, b, rtol=1e-12, atol=1e-12, equal_nan=True))


@QUICK
@given(binary_cases())
def test_weight_two_is_a_row_twice(case: tuple[ClassPrediction, Truth]):
    prediction, truth = case
    assert truth.weight_N is not None
    twice = np.repeat(np.arange(len(truth)), truth.weight_N.astype(int))
    repeated = Truth(truth.value[twice], truth.present_N[twice])
    for name in NAMES:
        assert same(metric(name).compute(prediction, truth), metric(name).compute(prediction.take(twice), repeated)), (
            name
        )


@QUICK
@given(binary_cases(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(case: tuple[ClassPrediction, Truth], random):
    prediction, truth = case
    order = list(range(len(truth)))
    random.shuffle(order)
    rows = np.array(order)
    for name in NAMES:
        a, b = metric(name).compute(prediction, truth), metric(name).compute(prediction.take(rows), truth.take(rows))
        assert same(a, b), name


@QUICK
@given(binary_cases())
def test_areas_see_only_the_order_of_scores(case: tuple[ClassPrediction, Truth]):
    prediction, truth = case
    p = prediction.probability_NC[:, 1] ** 3 / 2 + 0.25
    bent = ClassPrediction(np.stack([1 - p, p], axis=1), prediction.classes, binary=True)
    for name in ("roc_auc", "average_precision"):
        assert same(metric(name).compute(prediction, truth), metric(name).compute(bent, truth)), name


@QUICK
@given(binary_cases())
def test_turning_the_question_round_mirrors_the_area(case: tuple[ClassPrediction, Truth]):
    prediction, truth = case
    truth = Truth(np.abs(truth.value), truth.present_N, truth.weight_N)
    turned = ClassPrediction(prediction.probability_NC[:, ::-1], ("yes", "no"), binary=True)
    value = metric("roc_auc").compute(prediction, truth)
    assert same(metric("roc_auc").compute(turned, Truth(1 - truth.value, truth.present_N, truth.weight_N)), value)
    assert same(metric("roc_auc").compute(turned, truth), 1 - value)


@QUICK
@given(binary_cases())
def test_area_is_the_share_of_ordered_pairs(case: tuple[ClassPrediction, Truth]):
    prediction, truth = case
    assert truth.weight_N is not None
    score, yes, weight = prediction.probability_NC[:, 1], truth.value == 1, truth.weight_N
    pairs = np.outer(weight[yes], weight[~yes])
    won = (score[yes, None] > score[None, ~yes]) + 0.5 * (score[yes, None] == score[None, ~yes])
    expected = (pairs * won).sum() / pairs.sum() if pairs.size else np.nan
    assert same(metric("roc_auc").compute(prediction, truth), expected)


@QUICK
@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=20), st.floats(0.1, 10))
def test_errors_scale_with_the_unit(rows: list[tuple[float, float]], factor: float):
    y, answer = np.array(rows).T
    truth, scaled = (Truth(v, np.ones(len(y), dtype=bool)) for v in (y, y * factor))
    for name in ("mae", "rmse"):
        value = metric(name).compute(NumberPrediction(answer), truth) * factor
        assert np.isclose(metric(name).compute(NumberPrediction(answer * factor), scaled), value, rtol=1e-9)


def test_a_planted_inflation_is_found_by_measuring_again():
    rng = np.random.default_rng(0)
    p = rng.random(500)
    truth = Truth((rng.random(500) < p).astype(np.int64), np.ones(500, dtype=bool))
    honest = ClassPrediction(np.stack([1 - p, p], axis=1), ("no", "yes"), binary=True)
    for name in ("roc_auc", "accuracy", "log_loss", "brier_score", "f1"):
        claimed = metric(name).compute(honest, truth)
        assert metric(name).compute(honest, truth) == claimed  # measured again: the same to the last bit
        for inflation in (0.002, 0.01, 0.05):
            assert metric(name).compute(honest, truth) != pytest.approx(claimed + inflation, abs=1e-3)


@pytest.mark.parametrize("name", ["roc_auc", "accuracy", "log_loss", "brier_score", "average_precision", "f1"])
def test_answers_given_to_the_wrong_rows_score_worse(name: str):
    rng = np.random.default_rng(1)
    p = rng.beta(0.5, 0.5, 400)
    truth = Truth((rng.random(400) < p).astype(np.int64), np.ones(400, dtype=bool))
    right = ClassPrediction(np.stack([1 - p, p], axis=1), ("no", "yes"), binary=True)
    worse = metric(name).compute(right.take(rng.permutation(400)), truth)
    # 400 rows of a strong signal: the two are dozens of standard errors apart.
    assert (metric(name).compute(right, truth) > worse + 0.1) == metric(name).greater_is_better
