"""Every metric against scikit-learn, to 1e-12, with and without weights, with ties, absent and unseen classes."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as sk

from trueweight.errors import SpecError
from trueweight.metrics.classes import confusion_matrix
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, SetPrediction, VectorPrediction
from trueweight.metrics.ranking import ONE_CLASS
from trueweight.metrics.registry import METRICS, metric, metrics_for
from trueweight.metrics.truth import Truth

# Both sides sum a few hundred float64 numbers of size 1: errors near 1e-15, with a wide margin.
CLOSE = pytest.approx
TOLERANCE = {"rel": 1e-12, "abs": 1e-12}


def truth_of(value: np.ndarray, weight: np.ndarray | None = None) -> Truth:
    return Truth(value, np.ones(len(value), dtype=bool), weight)


def weights(rng: np.random.Generator, n: int, weighted: bool) -> np.ndarray | None:
    return rng.uniform(0.1, 3, n) if weighted else None


def class_case(seed: int, classes: int, *, weighted: bool, n: int = 300, absent: bool = False, unseen: bool = False):
    """Probabilities in hundredths, so that there are many ties."""
    rng = np.random.default_rng(seed)
    p = rng.multinomial(100, rng.dirichlet(np.ones(classes), n)) / 100
    y = rng.integers(0, classes - 1 if absent else classes, n)
    # Half of the rows agree with the answer, so that scores are not all near chance.
    y = np.where((rng.random(n) < 0.5) & (~absent | (p.argmax(1) < classes - 1)), p.argmax(1), y)
    if unseen:
        y[rng.choice(n, 7, replace=False)] = -1
    prediction = ClassPrediction(p, tuple(f"c{i}" for i in range(classes)), binary=classes == 2)
    return prediction, truth_of(y, weights(rng, n, weighted))


def quiet(function, *args, **kwargs) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of absent classes
        return function(*args, **kwargs)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_binary(seed: int, weighted: bool):
    prediction, truth = class_case(seed, 2, weighted=weighted)
    y, w, p, answer = truth.value, truth.weight_N, prediction.probability_NC[:, 1], prediction.answer_N()
    expected = {
        "accuracy": sk.accuracy_score(y, answer, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, answer, sample_weight=w),
        "precision": sk.precision_score(y, answer, sample_weight=w),
        "recall": sk.recall_score(y, answer, sample_weight=w),
        "f1": sk.f1_score(y, answer, sample_weight=w),
        "f1_macro": sk.f1_score(y, answer, sample_weight=w, average="macro"),
        "precision[c0]": sk.precision_score(y, answer, sample_weight=w, pos_label=0),
        "recall[c0]": sk.recall_score(y, answer, sample_weight=w, pos_label=0),
        "f1[c0]": sk.f1_score(y, answer, sample_weight=w, pos_label=0),
        "roc_auc": sk.roc_auc_score(y, p, sample_weight=w),
        "average_precision": sk.average_precision_score(y, p, sample_weight=w),
        "log_loss": sk.log_loss(y, prediction.probability_NC, sample_weight=w),
        "brier_score": sk.brier_score_loss(y, p, sample_weight=w),
    }
    for name, value in expected.items():
        assert metric(name).compute(prediction, truth) == CLOSE(value, **TOLERANCE), name


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("unseen", [False, True], ids=["seen", "unseen"])
@pytest.mark.parametrize("absent", [False, True], ids=["all", "absent"])
def test_classes(weighted: bool, unseen: bool, absent: bool):
    prediction, truth = class_case(5, 4, weighted=weighted, absent=absent, unseen=unseen)
    y, w, answer = truth.value, truth.weight_N, prediction.answer_N()
    # What scikit-learn is told: an unseen label is a fifth class, whose probability is 0.
    told = np.where(y < 0, 4, y)
    p = np.column_stack([prediction.probability_NC, np.zeros(len(y))]) if unseen else prediction.probability_NC
    labels = range(p.shape[1])
    expected = {
        "accuracy": sk.accuracy_score(told, answer, sample_weight=w),
        "balanced_accuracy": quiet(sk.balanced_accuracy_score, told, answer, sample_weight=w),
        "log_loss": sk.log_loss(told, p, sample_weight=w, labels=labels),
        "brier_score": sk.brier_score_loss(told, p, sample_weight=w, labels=labels),
    }
    for name, score in {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}.items():
        for average in ("macro", "micro"):
            value = score(told, answer, average=average, sample_weight=w, zero_division=0)
            expected[f"{name}_{average}"] = value
        expected[name] = expected[f"{name}_macro"]
        each = score(told, answer, average=None, labels=range(4), sample_weight=w, zero_division=0)
        expected |= {f"{name}[c{i}]": each[i] for i in range(4)}
    occurs = [c for c in range(4) if (y == c).any()]
    for name, score in {"roc_auc": sk.roc_auc_score, "average_precision": sk.average_precision_score}.items():
        each = {c: score(y == c, prediction.probability_NC[:, c], sample_weight=w) for c in occurs}
        expected[name] = np.mean(list(each.values()))
        expected |= {f"{name}[c{c}]": value for c, value in each.items()}
    for name, value in expected.items():
        assert metric(name).compute(prediction, truth) == CLOSE(value, **TOLERANCE), name


def test_one_against_rest_is_sklearns_when_all_classes_occur():
    prediction, truth = class_case(6, 4, weighted=True)
    p = prediction.probability_NC / prediction.probability_NC.sum(1, keepdims=True)
    prediction = replace(prediction, probability_NC=p)
    value = sk.roc_auc_score(truth.value, p, multi_class="ovr", sample_weight=truth.weight_N)
    assert metric("roc_auc").compute(prediction, truth) == CLOSE(value, **TOLERANCE)
    value = sk.average_precision_score(truth.value, p, sample_weight=truth.weight_N)
    assert metric("average_precision").compute(prediction, truth) == CLOSE(value, **TOLERANCE)


def test_certain_and_wrong_costs_what_sklearn_says():
    prediction = ClassPrediction(np.array([[1.0, 0.0], [0.0, 1.0]]), ("no", "yes"), binary=True)
    truth = truth_of(np.array([1, 1]))
    value = sk.log_loss([1, 1], prediction.probability_NC, labels=[0, 1])
    assert metric("log_loss").compute(prediction, truth) == CLOSE(value, **TOLERANCE)


@pytest.mark.parametrize("unseen", [False, True])
def test_confusion_matrix(unseen: bool):
    prediction, truth = class_case(7, 4, weighted=True, unseen=unseen)
    told = np.where(truth.value < 0, 4, truth.value)
    expected = sk.confusion_matrix(told, prediction.answer_N(), labels=range(5), sample_weight=truth.weight_N)
    found = confusion_matrix(prediction, truth)
    rows = 5 if unseen else 4
    np.testing.assert_allclose(found.weight_LC, expected[:rows, :4], rtol=1e-12)
    assert found.actual[-1] == ("(unseen)" if unseen else "c3")
    assert found.n == 300


@pytest.mark.parametrize("weighted", [False, True])
def test_numbers(weighted: bool):
    rng = np.random.default_rng(8)
    y = 1e6 + rng.normal(0, 3, 200)  # a large mean: sums of squares would cancel
    prediction = NumberPrediction(y + rng.normal(0, 1, 200))
    truth = truth_of(y, weights(rng, 200, weighted))
    w = truth.weight_N
    expected = {
        "mae": sk.mean_absolute_error(y, prediction.value_N, sample_weight=w),
        "rmse": sk.root_mean_squared_error(y, prediction.value_N, sample_weight=w),
        "r2": sk.r2_score(y, prediction.value_N, sample_weight=w),
        "mape": sk.mean_absolute_percentage_error(y, prediction.value_N, sample_weight=w),
    }
    for name, value in expected.items():
        assert metric(name).compute(prediction, truth) == CLOSE(value, **TOLERANCE), name


def test_mape_of_zero_truths_is_as_enormous_as_sklearns():
    prediction, truth = NumberPrediction(np.array([1.2, 0.1, 2.4])), truth_of(np.array([1.0, 0.0, 2.4]))
    value = sk.mean_absolute_percentage_error(truth.value, prediction.value_N)
    assert metric("mape").compute(prediction, truth) == CLOSE(value, rel=1e-12)


@pytest.mark.parametrize("answer", [0.1, 0.2])
def test_r2_of_a_constant_truth(answer: float):
    prediction, truth = NumberPrediction(np.full(5, answer)), truth_of(np.full(5, 0.1))
    assert metric("r2").compute(prediction, truth) == sk.r2_score(truth.value, prediction.value_N)


@pytest.mark.parametrize("weighted", [False, True])
def test_vectors(weighted: bool):
    rng = np.random.default_rng(9)
    y = rng.normal(size=(80, 5)) * [1, 2, 3, 4, 0]
    prediction = VectorPrediction(y + rng.normal(size=y.shape))
    truth = truth_of(y, weights(rng, 80, weighted))
    for name, score in {
        "mae": sk.mean_absolute_error, "rmse": sk.root_mean_squared_error, "r2": sk.r2_score,
    }.items():  # fmt: skip
        value = score(y, prediction.value_ND, sample_weight=truth.weight_N)
        assert metric(name).compute(prediction, truth) == CLOSE(value, **TOLERANCE), name


@pytest.mark.parametrize("weighted", [False, True])
def test_sets(weighted: bool):
    rng = np.random.default_rng(10)
    p = rng.random((150, 4)).round(1)
    y = rng.random((150, 4)) < (p + 0.2) / 1.5
    prediction, truth = SetPrediction(p, ("a", "b", "c", "d")), truth_of(y, weights(rng, 150, weighted))
    w, answer = truth.weight_N, p >= 0.5
    losses = [sk.log_loss(y[:, c], p[:, c], sample_weight=w) for c in range(4)]
    expected = {
        "accuracy": sk.accuracy_score(y, answer, sample_weight=w),
        "hamming_loss": sk.hamming_loss(y, answer, sample_weight=w),
        "roc_auc": sk.roc_auc_score(y, p, sample_weight=w),
        "average_precision": sk.average_precision_score(y, p, sample_weight=w),
        "log_loss": np.mean(losses),
        "brier_score": np.mean([sk.brier_score_loss(y[:, c], p[:, c], sample_weight=w) for c in range(4)]),
    }
    for name, score in {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}.items():
        for average in ("macro", "micro"):
            expected[f"{name}_{average}"] = score(y, answer, average=average, sample_weight=w, zero_division=0)
        expected[f"{name}[c]"] = score(y[:, 2], answer[:, 2], sample_weight=w)
    expected["f1"] = expected["f1_macro"]
    for name, value in expected.items():
        assert metric(name).compute(prediction, truth) == CLOSE(value, **TOLERANCE), name


def test_intervals():
    prediction = NumberPrediction(np.arange(4.0)).with_radius(0.5, 0.9)
    truth = truth_of(np.array([0.5, 1.6, 1.5, 9.0]), np.array([1.0, 1.0, 2.0, 4.0]))
    assert metric("coverage").compute(prediction, truth) == 3 / 8  # ends belong to the interval
    assert metric("interval_width").compute(prediction, truth) == 1.0
    for name in ("coverage", "interval_width"):
        without = metric(name).statistic(NumberPrediction(np.arange(4.0)), truth)
        assert without.reason == "this model predicts no intervals"
        assert np.isnan(without.values(np.ones((1, 4)))).all()


def test_more_classes_than_a_one_hot_matrix_would_bear():
    rng = np.random.default_rng(11)
    y = rng.integers(0, 3000, 5000)
    p = np.full((5000, 3000), 1 / 3000)
    p[np.arange(5000), np.where(rng.random(5000) < 0.7, y, 0)] = 0.5
    prediction = ClassPrediction(p, tuple(map(str, range(3000))))
    value = sk.f1_score(y, prediction.answer_N(), average="macro", zero_division=0)
    assert metric("f1_macro").compute(prediction, truth_of(y)) == CLOSE(value, **TOLERANCE)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_without_positive_rows_there_is_no_curve(name: str):
    prediction = ClassPrediction(np.array([[0.3, 0.7], [0.6, 0.4]]), ("no", "yes"), binary=True)
    assert np.isnan(metric(name).compute(prediction, truth_of(np.array([0, 0]))))


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_without_other_rows_there_is_no_ranking_either(name: str):
    """scikit-learn calls this average precision 1, whatever the model says."""
    prediction = ClassPrediction(np.array([[0.3, 0.7], [0.6, 0.4]]), ("no", "yes"), binary=True)
    found = metric(name).statistic(prediction, truth_of(np.array([1, 1])))
    assert np.isnan(found.values(np.ones((1, 2)))).all()
    assert found.reason == ONE_CLASS
    mixed = metric(name).statistic(prediction, truth_of(np.array([1, 0])))
    assert np.isnan(mixed.values(np.array([[2.0, 0.0]]))).all()  # a draw of positive rows alone


def test_a_model_that_answers_nan_gets_no_score():
    p = np.full((4, 2), 0.5)
    p[2] = np.nan
    prediction, truth = ClassPrediction(p, ("no", "yes"), binary=True), truth_of(np.array([0, 1, 0, 1]))
    for name in ("accuracy", "roc_auc", "log_loss"):
        assert np.isnan(metric(name).compute(prediction, truth))
    assert metric("accuracy").statistic(prediction, truth).reason == "2 of 8 answers are not finite"


@pytest.mark.parametrize(
    "name, hint",
    [("roc_ac", "roc_auc"), ("mean_absolute_error", "'mae'"), ("AUC", "roc_auc"), ("precison[a]", "precision")],
)
def test_unknown_names_are_answered_with_near_ones(name: str, hint: str):
    with pytest.raises(SpecError, match="unknown metric") as error:
        metric(name)
    assert hint in error.value.hint


def test_asking_for_what_does_not_exist():
    prediction, truth = class_case(1, 3, weighted=False)
    with pytest.raises(SpecError, match="cannot be asked of one label"):
        metric("accuracy[c1]")
    with pytest.raises(SpecError, match="no class is called 'c9'") as error:
        metric("recall[c9]").compute(prediction, truth)
    assert error.value.hint == "choose from c0, c1, c2"
    with pytest.raises(SpecError, match="no class is called 'c11'") as error:
        metric("roc_auc[c11]").compute(prediction, truth)
    assert error.value.hint == "did you mean 'c1'?"
    with pytest.raises(SpecError, match="'rmse' is for number, vector targets, not for binary and category"):
        metric("rmse").compute(prediction, truth)
    with pytest.raises(ValueError, match="300 predictions for 299"):
        metric("accuracy").compute(prediction, truth.take(np.arange(299)))


def test_metrics_for_a_kind_of_prediction():
    assert "roc_auc" in metrics_for(ClassPrediction)
    assert "rmse" not in metrics_for(ClassPrediction)
    assert metrics_for(VectorPrediction) == ["mae", "r2", "rmse"]
    assert set(metrics_for(NumberPrediction)) >= {"mae", "rmse", "r2", "mape", "coverage", "interval_width"}
    assert all(METRICS[name].name == name and METRICS[name].summary for name in METRICS)
