"""Solvers on rows of many places, as texts give, against scikit-learn and against the exact solvers."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from trueweight.nn import logistic
from trueweight.nn import rows as storage
from trueweight.nn.design import Design
from trueweight.nn.encoding import Encoding
from trueweight.nn.logistic import logistic_path
from trueweight.nn.members import MemberLinear
from trueweight.nn.path import keep_best
from trueweight.nn.ratios import penalty_shares
from trueweight.nn.ridge import ridge_path
from trueweight.nn.ridge_wide import wide_ridge_path

PLACES = 600


@pytest.fixture(autouse=True)
def _narrow_is_wide(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(storage, "WIDE", 300)


@pytest.fixture
def texts():
    """700 rows of 600 places, about 15 numbers in each, beside two plain numbers; weights."""
    rng = np.random.default_rng(0)
    bag = (rng.random((700, PLACES)) < 0.025) * rng.uniform(0.5, 2, (700, PLACES))
    x = np.concatenate([rng.normal(size=(700, 2)), bag], 1).astype(np.float32)
    return x, x @ rng.normal(size=PLACES + 2), rng.uniform(0.3, 2, 700).astype(np.float32)


def design(x, y, weight, rows=200):
    def again():
        for start in range(0, len(x), rows):
            cut = slice(start, start + rows)
            target = {"y": torch.from_numpy(y[cut]), "present": torch.ones(len(y[cut]), dtype=torch.bool)}
            yield Encoding(torch.from_numpy(x[cut]).unsqueeze(1)), target, torch.from_numpy(weight[cut])

    return Design(again, lambda tensors: (tensors["y"], None))


def test_numbers_are_kept_in_float32_and_answers_are_float64(texts):
    x, y, weight = texts
    chunk = next(iter(design(x, y[:, None], weight)))
    assert chunk.x.wide
    assert chunk.x.value_N.dtype == torch.float32
    assert chunk.x.times(torch.ones(PLACES + 2, 1, dtype=torch.float64)).dtype == torch.float64
    assert chunk.x.transposed_times(torch.ones(len(chunk), 1, dtype=torch.float64)).dtype == torch.float64


def test_ridge_is_that_of_scikit_learn(texts):
    x, y, weight = texts
    train = design(x[:500], y[:500, None], weight[:500])
    ((_, loss, found, bias),) = wide_ridge_path(train, design(x[500:], y[500:, None], weight[500:]), (0.01,))
    reference = Ridge(alpha=0.01 * weight[:500].sum()).fit(x[:500].astype(float), y[:500], sample_weight=weight[:500])
    # Products in float32, and equations solved to a ten-thousandth.
    np.testing.assert_allclose(found[:, 0], reference.coef_, atol=2e-3)
    np.testing.assert_allclose(bias[0], reference.intercept_, atol=5e-3)
    error = reference.predict(x[500:].astype(float)) - y[500:]
    np.testing.assert_allclose(loss, np.average(error**2, weights=weight[500:]), rtol=2e-2)


def test_ridge_takes_the_way_of_wide_rows_by_itself(texts):
    x, y, weight = texts
    path = ridge_path(design(x[:500], y[:500, None], weight[:500]), design(x[500:], y[500:, None], weight[500:]))
    assert next(path)[0] == 3.0


@pytest.mark.parametrize("classes", [2, 3])
def test_logistic_with_equal_penalties_is_that_of_scikit_learn(texts, classes: int, monkeypatch):
    monkeypatch.setattr(logistic, "penalty_shares", lambda _: logistic._alike(PLACES + 2))
    monkeypatch.setattr(logistic, "CLOSE_WIDE", 1e-6)
    x, answer, weight = texts
    label = np.digitize(answer, np.quantile(answer, np.linspace(0, 1, classes + 1)[1:-1]))
    train = design(x, np.eye(classes)[label], weight)
    nobody = design(x[:0], np.eye(classes)[label][:0], weight[:0])
    ((_, _, found, bias),) = logistic_path(train, nobody, "softmax", (0.01,))
    reference = LogisticRegression(C=1 / (0.01 * weight.sum()), tol=1e-8, max_iter=5000)
    reference.fit(x.astype(float), label, sample_weight=weight)
    ours = torch.softmax(torch.from_numpy(x).double() @ found + bias, 1).numpy()
    if classes > 2:
        np.testing.assert_allclose(ours, reference.predict_proba(x.astype(float)), atol=2e-3)
    else:  # scikit-learn has one weight for two classes, whose penalty is half of that of two
        assert (ours.argmax(1) == label).mean() > 0.9


def test_logistic_is_that_of_places_multiplied_by_the_root_of_their_ratio(texts, monkeypatch):
    monkeypatch.setattr(logistic, "CLOSE_WIDE", 1e-6)
    x, answer, weight = texts
    label = (answer > 0).astype(float)
    train = design(x, label[:, None], weight)
    ((_, _, found, bias),) = logistic_path(train, design(x[:0], label[:0, None], weight[:0]), "sigmoid", (0.01,))
    root = penalty_shares(train)[:-1, 0].rsqrt().numpy()
    reference = LogisticRegression(C=1 / (0.01 * weight.sum()), tol=1e-8, max_iter=5000)
    reference.fit(x * root, label, sample_weight=weight)
    np.testing.assert_allclose(found[:, 0].numpy(), reference.coef_[0] * root, atol=2e-3)
    np.testing.assert_allclose(bias.numpy(), reference.intercept_, atol=1e-2)  # flat: steps end early


def test_each_class_has_penalties_of_its_own(texts):
    x, answer, weight = texts
    hot = np.eye(3)[np.digitize(answer, np.quantile(answer, [1 / 3, 2 / 3]))]
    train = design(x, hot, weight)
    ((_, _, found, bias),) = logistic_path(train, design(x[:0], hot[:0], weight[:0]), "softmax", (0.01,))
    # Where the objective is least, its gradient is nothing.
    share = weight / weight.sum()
    error = torch.softmax(torch.from_numpy(x).double() @ found + bias, 1).numpy() - hot
    slope = x.T @ (error * share[:, None]) + 0.01 * penalty_shares(train)[:-1].numpy() * found.numpy()
    np.testing.assert_allclose(slope, 0, atol=1e-3)
    assert np.abs(x.T @ ((hot.mean(0) - hot) * share[:, None])).max() > 0.02  # where it began


def test_every_point_is_as_close_to_the_minimum_as_is_said(texts, monkeypatch):
    x, answer, weight = texts
    hot = np.eye(3)[np.digitize(answer, np.quantile(answer, [1 / 3, 2 / 3]))]
    train, nobody = design(x, hot, weight), design(x[:0], hot[:0], weight[:0])
    strengths = (1.0, 0.1, 0.03, 0.01, 3e-3, 1e-3, 1e-4)
    z, share = torch.from_numpy(x).double(), torch.from_numpy(weight / weight.sum()).double()

    def objectives() -> np.ndarray:
        found = []
        for strength, _, weight_PC, bias_C in logistic_path(train, nobody, "softmax", strengths):
            loss = torch.nn.functional.cross_entropy(z @ weight_PC + bias_C, torch.from_numpy(hot), reduction="none")
            penalty = (penalty_shares(train)[:-1] * weight_PC.square()).sum()
            found.append(float(loss @ share + strength / 2 * penalty))
        return np.array(found)

    ours, close = objectives(), logistic.CLOSE_WIDE
    monkeypatch.setattr(logistic, "CLOSE_WIDE", 1e-10)
    least = objectives()
    assert (ours >= least - 1e-9).all()
    assert (ours - least < close / 2).all()


@pytest.mark.parametrize("kind", ["ridge", "logistic"])
def test_paths_end_in_the_midst_of_a_point_when_told_to(texts, kind: str):
    x, answer, weight = texts
    y = (answer > 0).astype(float)[:, None]
    told = []
    head = MemberLinear(1, PLACES + 2, 1)

    def path(enough):
        train, rows = design(x[:500], y[:500], weight[:500]), design(x[500:], y[500:], weight[500:])
        train.enough = enough
        return keep_best(head, ridge_path(train, rows) if kind == "ridge" else logistic_path(train, rows, "sigmoid"))

    whole = list(path(None))
    some = []
    for point in path(lambda: bool(told)):
        some.append(point)
        if len(some) == 2:
            kept = head.weight_KDO.clone()
            told.append("enough")
    assert some == whole[:2]
    assert torch.equal(kept, head.weight_KDO)


def test_paths_end_once_they_get_worse(texts):
    x, _, weight = texts
    label = np.random.default_rng(2).integers(0, 2, len(x))  # nothing to learn: all but the strongest overfit
    y = np.eye(2)[label]
    path = logistic_path(design(x[:500], y[:500], weight[:500]), design(x[500:], y[500:], weight[500:]), "softmax")
    assert len(list(path)) < 6
