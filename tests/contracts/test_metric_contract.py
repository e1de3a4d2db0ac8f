"""What every metric promises, for every kind of prediction that it reads."""

from dataclasses import replace

import numpy as np
import pytest

from trueweight.metrics.compare import paired
from trueweight.metrics.interval import estimate
from trueweight.metrics.masked_prediction import MaskedPrediction
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction, VectorPrediction
from trueweight.metrics.registry import METRICS
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth

N = 60
CASES = [(name, kind) for name in METRICS for kind in METRICS[name].reads]


def example(kind: type, seed: int) -> tuple[Prediction, Truth]:
    rng = np.random.default_rng(seed)
    everything = np.ones(N, dtype=bool)
    if kind is NumberPrediction:
        y = rng.normal(5, 2, N)
        return NumberPrediction(y + rng.normal(size=N)).with_radius(1.5, 0.9), Truth(y, everything)
    if kind is VectorPrediction:
        y = rng.normal(size=(N, 3))
        return VectorPrediction(y + rng.normal(size=(N, 3))), Truth(y, everything)
    if kind is ClassPrediction:
        p = rng.dirichlet(np.ones(3), N)
        truth = Truth(p.cumsum(1).__gt__(rng.random((N, 1))).argmax(1), everything)
        return ClassPrediction(p, ("a", "b", "c"), set_NC=p >= 0.25, coverage=0.9), truth
    if kind is MaskedPrediction:
        hidden = rng.integers(1, 9, N)
        tokens = np.array([*(rng.integers(2, 9, size) for size in hidden + 1), None], dtype=object)[:-1]
        right, text = rng.binomial(hidden, 0.5), np.array(["" for _ in hidden], dtype=object)
        return MaskedPrediction(text, hidden, right, -rng.gamma(hidden)), Truth(tokens, everything)
    if kind is TextPrediction:
        words = ["red", "blue", "the", "house", "tree", "of"]
        meant = [" ".join(rng.choice(words, rng.integers(4, 9))) for _ in range(N)]
        said = [text if rng.random() < 0.3 else " ".join(rng.permutation(text.split())[1:]) for text in meant]
        tokens = np.array([len(text.split()) + 1 for text in meant])
        texts, truths = (np.array([*some, None], dtype=object)[:-1] for some in (said, meant))
        return TextPrediction(texts, np.zeros(N), tokens, -rng.gamma(tokens), tokens), Truth(truths, everything)
    p = rng.random((N, 3))
    return SetPrediction(p, ("a", "b", "c")), Truth(rng.random((N, 3)) < p, everything)


def perfect(prediction: Prediction, truth: Truth) -> Prediction:
    if isinstance(prediction, ClassPrediction):
        return replace(prediction, probability_NC=np.eye(3)[truth.value], set_NC=np.eye(3, dtype=bool)[truth.value])
    if isinstance(prediction, SetPrediction):
        return replace(prediction, probability_NC=truth.value.astype(np.float64))
    if isinstance(prediction, MaskedPrediction):
        return replace(prediction, right_N=prediction.hidden_N, logp_N=np.zeros(N))
    if isinstance(prediction, TextPrediction):
        return replace(prediction, text_N=truth.value, truth_logp_N=np.zeros(N))
    if isinstance(prediction, VectorPrediction):
        return VectorPrediction(truth.value)
    return NumberPrediction(truth.value).with_radius(0.0, 0.9)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0]}-{case[1].__name__}")
def case(request: pytest.FixtureRequest):
    name, kind = request.param
    return METRICS[name], *example(kind, 3)


def test_only_known_rows_with_weight_count(case):
    metric, prediction, truth = case
    rows = np.arange(0, N, 2)
    hidden = np.isin(np.arange(N), rows)
    few = metric.compute(prediction.take(rows), truth.take(rows))
    assert metric.compute(prediction, replace(truth, present_N=hidden)) == pytest.approx(few, rel=1e-12)
    assert metric.compute(prediction, replace(truth, weight_N=hidden * 1.0)) == pytest.approx(few, rel=1e-12)


def test_the_unit_of_weights_does_not_matter(case):
    metric, prediction, truth = case
    weight = np.random.default_rng(0).uniform(0.5, 2, N)
    a = metric.compute(prediction, replace(truth, weight_N=weight))
    assert metric.compute(prediction, replace(truth, weight_N=weight * 8)) == pytest.approx(a, rel=1e-12)
    # Weights that are not equal must be felt.
    assert a != pytest.approx(metric.compute(prediction, truth), rel=1e-6) or metric.name == "interval_width"


def test_nothing_beats_the_truth(case):
    metric, prediction, truth = case
    best = metric.compute(perfect(prediction, truth), truth)
    ideal = 1.0 if metric.greater_is_better or metric.name in ("set_size", "perplexity") else 0.0
    assert best == pytest.approx(ideal, abs=1e-12)
    value = metric.compute(prediction, truth)
    assert value < best if metric.greater_is_better else value > best


def test_rows_without_labels_give_nan_and_a_reason(case):
    metric, prediction, truth = case
    nothing = replace(truth, present_N=np.zeros(N, dtype=bool))
    assert np.isnan(metric.compute(prediction, nothing))
    found = estimate(metric, prediction, nothing)
    assert found.interval() is None
    assert found.n == 0
    assert found.reason == "no row has a known label"


def test_contributions_of_rows_average_to_the_metric(case):
    metric, prediction, truth = case
    truth = replace(truth, weight_N=np.random.default_rng(1).integers(0, 3, N).astype(np.float64))
    rows = metric.per_row(prediction, truth)
    if rows is None:
        pytest.skip("not a mean over rows")
    known = ~np.isnan(rows)
    np.testing.assert_array_equal(known, truth.weight_N > 0)
    mean = np.average(rows[known], weights=truth.weight_N[known])
    assert (np.sqrt(mean) if metric.name == "rmse" else mean) == pytest.approx(metric.compute(prediction, truth))


@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_interval_holds_the_value_and_is_repeatable(case, grouped: bool):
    metric, prediction, truth = case
    truth = replace(truth, cluster_N=np.arange(N) // 3) if grouped else truth
    found = estimate(metric, prediction, truth, seed=4, n_resamples=200)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(metric.compute(prediction, truth), rel=1e-12)
    assert (found.n, found.clusters) == (N, N // 3 if grouped else None)
    assert estimate(metric, prediction, truth, seed=4, n_resamples=200) == found


def test_every_resample_is_scored_as_the_rows_it_drew(case):
    """The vectorised bootstrap against drawing rows and computing the metric afresh."""
    metric, prediction, truth = case
    counts = np.random.default_rng(5).multinomial(N, np.full(N, 1 / N), size=4)
    values = metric.statistic(prediction, truth).values(counts.astype(np.float64))
    for count, value in zip(counts, values, strict=True):
        rows = np.repeat(np.arange(N), count)
        assert metric.compute(prediction.take(rows), truth.take(rows)) == pytest.approx(value, rel=1e-9)


def test_pooled_groups_are_scored_as_their_rows(case):
    metric, prediction, truth = case
    group = np.random.default_rng(6).integers(0, 7, N)
    counts = np.array([[0, 2, 1, 0, 3, 1, 0], [1, 1, 1, 1, 1, 1, 1]], dtype=np.float64)
    statistic = metric.statistic(prediction, truth)
    np.testing.assert_allclose(statistic.pooled(group, 7).values(counts), statistic.values(counts[:, group]), rtol=1e-9)


def test_a_model_is_not_better_than_itself(case):
    metric, prediction, truth = case
    same = paired(metric, prediction, prediction, truth, n_resamples=100)
    assert same.better == "not shown"
    assert same.value == 0


def test_the_truth_is_better_than_a_guess(case):
    metric, prediction, truth = case
    best = perfect(prediction, truth)
    assert paired(metric, best, prediction, truth, n_resamples=100).better == "a"
    assert paired(metric, prediction, best, truth, n_resamples=100).better == "b"
