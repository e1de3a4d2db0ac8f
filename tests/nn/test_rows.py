"""Sparse storage against dense, and solvers on wide one-hot problems against scikit-learn."""

import threading

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from trueweight.nn import rows as storage
from trueweight.nn.design import Design
from trueweight.nn.encoding import Encoding
from trueweight.nn.logistic import logistic_path
from trueweight.nn.ridge import ridge_path
from trueweight.nn.rows import Columns, Rows, few_threads

LEVELS = 400


def design(x: np.ndarray, y: np.ndarray, weight: np.ndarray, *, batch: int = 500) -> Design:
    def again():
        for start in range(0, len(x), batch):
            cut = slice(start, start + batch)
            target = {"y": torch.from_numpy(y[cut]), "present": torch.ones(len(y[cut]), dtype=torch.bool)}
            yield Encoding(torch.from_numpy(x[cut]).unsqueeze(1)), target, torch.from_numpy(weight[cut])

    return Design(again, lambda tensors: (tensors["y"], None))


@pytest.fixture(scope="module")
def wide():
    """1,500 rows of two numbers, one category of 400 levels and a third number: x, a linear answer, weights."""
    rng = np.random.default_rng(0)
    code = (LEVELS * rng.random(1500) ** 2).astype(int)
    number = rng.normal(size=(1500, 3)) + 5
    x = np.concatenate([number[:, :2], np.eye(LEVELS)[code], number[:, 2:]], axis=1)
    answer = (number - 5) @ rng.normal(size=3) + rng.normal(size=LEVELS)[code]
    return x, answer, rng.uniform(0.3, 2, size=1500), rng


@pytest.fixture
def everything_dense(monkeypatch: pytest.MonkeyPatch):
    def switch() -> None:
        monkeypatch.setattr(storage, "WORTHWHILE", 10**9)

    return switch


def targets(wide, link: str) -> np.ndarray:
    _, answer, *_ = wide
    noisy = answer + np.random.default_rng(1).logistic(size=len(answer))
    return np.eye(3)[np.digitize(noisy, [-1, 1])] if link == "softmax" else (noisy > 0).astype(float)[:, None]


def test_products_are_those_of_the_dense_matrix(wide):
    x, _, weight, rng = wide
    x = np.where(x == 0, 0, x * rng.normal(size=x.shape))
    whole, columns = torch.from_numpy(x), Columns.of(torch.from_numpy(x))
    assert columns.dense_D.tolist() == [0, 1, LEVELS + 2]
    parts = Rows.cat([Rows.of(whole[:700], columns), Rows.of(whole[700:701], columns), Rows.of(whole[701:], columns)])
    assert (len(parts), parts.width, len(parts.value_N)) == (*x.shape, 1500)
    right, left = rng.normal(size=(x.shape[1], 2)), rng.normal(size=(len(x), 2))
    close = {"rtol": 1e-12, "atol": 1e-10}
    np.testing.assert_allclose(parts.times(torch.from_numpy(right)), x @ right, **close)
    np.testing.assert_allclose(parts.transposed_times(torch.from_numpy(left)), x.T @ left, **close)
    np.testing.assert_allclose(parts.squares_times(torch.from_numpy(left)), (x * x).T @ left, **close)
    np.testing.assert_allclose(parts.gram(torch.from_numpy(weight)), x.T @ (x * weight[:, None]), **close)


@pytest.mark.parametrize("outputs", [1, 2, storage.FEW, storage.FEW + 1])
@pytest.mark.parametrize("dense", [False, True])
def test_products_are_right_whichever_way_round_they_are_computed(wide, outputs, dense, everything_dense):
    if dense:
        everything_dense()
    whole, rng = torch.from_numpy(wide[0]), np.random.default_rng(3)
    rows = Rows.of(whole, Columns.of(whole))
    assert rows.sparse != dense
    weight, error = (torch.from_numpy(rng.normal(size=(side, outputs))) for side in (whole.shape[1], len(whole)))
    torch.testing.assert_close(rows.times(weight), whole @ weight)
    torch.testing.assert_close(rows.transposed_times(error), whole.t() @ error)


@pytest.mark.parametrize("many", [2, 64])
def test_rows_may_hold_several_or_no_ones(many: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(storage, "MANY", many)
    monkeypatch.setattr(storage, "SLICE", 25)
    rng = np.random.default_rng(0)
    x = (rng.random((60, 300)) < 0.03) * rng.normal(size=(60, 300))
    x[7] = 0
    stored = Rows.of(torch.from_numpy(x), Columns.of(torch.from_numpy(x)))
    assert stored.sparse
    weight = rng.random(60)
    np.testing.assert_allclose(stored.gram(torch.from_numpy(weight)), x.T @ (x * weight[:, None]), atol=1e-12)
    np.testing.assert_allclose(stored.times(torch.eye(300, dtype=torch.float64)), x)


def test_columns_that_fill_up_later_are_still_right():
    x = np.zeros((400, 220))
    x[200:] = np.random.default_rng(0).normal(size=(200, 220))
    y, weight = x[:, :1] * 2 + 1, np.ones(400)
    _, loss, coefficients, _ = next(iter(ridge_path(design(x, y, weight, batch=50), design(x, y, weight), (1e-3,))))
    theirs = Ridge(alpha=1e-3 * 400, solver="cholesky").fit(x, y)
    np.testing.assert_allclose(coefficients.numpy()[:, 0], theirs.coef_.ravel(), atol=1e-8)


def test_columns_that_are_half_full_make_nothing_wide():
    rng = np.random.default_rng(0)
    x = (rng.random((80, 5000)) < 0.3).astype(np.float32)
    assert not Columns.of(torch.from_numpy(x)).wide
    x[:, :4000] *= rng.random((80, 4000)) < 0.1  # beside as many that are nearly empty, they are stored like those
    columns = Columns.of(torch.from_numpy(x))
    assert columns.wide
    assert len(columns.sparse_S) == 5000


def test_few_columns_stay_dense():
    assert not len(Columns.of(torch.eye(100)).sparse_S)


@pytest.mark.parametrize("link", ["sigmoid", "softmax"])
def test_wide_logistic_agrees_with_scikit_learn(wide, link):
    x, _, weight, _ = wide
    hot = targets(wide, link)
    y = hot.argmax(1) if link == "softmax" else hot[:, 0]
    rows = design(x, hot, weight)
    for strength, _, coefficients, intercept in logistic_path(rows, rows, link, (0.1, 1e-2, 1e-3)):
        theirs = LogisticRegression(C=1 / (strength * weight.sum()), solver="newton-cholesky", tol=1e-10)
        theirs.fit(x, y, sample_weight=weight)
        z = x @ coefficients.numpy() + intercept.numpy()
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True) if link == "softmax" else 1 / (1 + np.exp(-z))
        # Within about 1e-10 nats of the minimum, where a curvature of 1e-3 leaves weights uncertain by 3e-4.
        np.testing.assert_allclose(p, theirs.predict_proba(x)[:, -p.shape[1] :], atol=1e-4)
        if link == "sigmoid":
            np.testing.assert_allclose(coefficients.numpy()[:, 0], theirs.coef_[0], atol=1e-3)


def test_wide_ridge_agrees_with_scikit_learn(wide):
    x, answer, weight, _ = wide
    rows = design(x, answer[:, None], weight)
    for strength, _, coefficients, intercept in ridge_path(rows, rows, (1e-4, 1e-2)):
        theirs = Ridge(alpha=strength * weight.sum(), solver="cholesky").fit(x, answer, sample_weight=weight)
        np.testing.assert_allclose(coefficients[:, 0].numpy(), theirs.coef_, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(intercept.numpy(), theirs.intercept_, rtol=1e-7)


@pytest.mark.parametrize("link", ["sigmoid", "softmax", "ridge"])
def test_storage_does_not_change_the_answer(wide, link, everything_dense, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trueweight.nn.logistic.NEWTON_FLOPS", 0)  # the same method for both
    monkeypatch.setattr("trueweight.nn.logistic.EIGEN_FLOPS", 0)
    monkeypatch.setattr("trueweight.nn.logistic.CLOSE", 1e-18)  # so that all that is left is rounding
    x, answer, weight, _ = wide
    y = answer[:, None] if link == "ridge" else targets(wide, link)

    def solved() -> list[tuple[float, torch.Tensor]]:
        rows = design(x, y, weight)
        path = ridge_path(rows, rows) if link == "ridge" else logistic_path(rows, rows, link, (0.1, 1e-2, 3e-3))
        return [(loss, weight_PO) for _, loss, weight_PO, _ in path]

    sparse = solved()
    for one, again in zip(sparse, solved(), strict=True):
        assert one[0] == again[0]
        assert torch.equal(one[1], again[1])
    everything_dense()
    skipped = 1 if link == "ridge" else 0  # least squares of columns that sum to one is decided by rounding
    for one, dense in list(zip(sparse, solved(), strict=True))[skipped:]:
        assert one[0] == pytest.approx(dense[0], abs=1e-8)
        # The objective is known to 1e-16 or so and is flat at its minimum: weights are known to the root of that.
        torch.testing.assert_close(one[1], dense[1], rtol=1e-8, atol=1e-6 if link == "softmax" else 1e-8)


def test_passes_over_rows_that_do_not_fit_give_the_same(wide, monkeypatch: pytest.MonkeyPatch):
    x, _, weight, _ = wide
    rows = design(x, targets(wide, "sigmoid"), weight)
    kept = list(logistic_path(rows, rows, "sigmoid", (0.1, 1e-2)))
    monkeypatch.setattr("trueweight.nn.design.FIRST_BYTES", 1000)
    monkeypatch.setattr("trueweight.nn.design.KEEP_BYTES", 1000)
    rows = design(x, targets(wide, "sigmoid"), weight)
    read = list(logistic_path(rows, rows, "sigmoid", (0.1, 1e-2)))
    assert all(torch.equal(one[2], other[2]) for one, other in zip(kept, read, strict=True))


def test_threads_come_back_whoever_leaves_first(wide):
    """Two overlapping solves, the first to come being the first to leave: neither is left with one thread."""
    x = torch.from_numpy(wide[0])
    sparse = Rows.of(x, Columns.of(x))
    outside = torch.get_num_threads()
    torch.set_num_threads(3)
    second_is_in, first_is_out = threading.Event(), threading.Event()
    found: list[int] = []

    def second() -> None:
        with few_threads(sparse):
            second_is_in.set()
            assert first_is_out.wait(10)
        found.append(torch.get_num_threads())

    other = threading.Thread(target=second)
    try:
        with few_threads(sparse):
            assert torch.get_num_threads() == 1
            other.start()
            assert second_is_in.wait(10)
        found.append(torch.get_num_threads())
        first_is_out.set()
        other.join()
        found.append(torch.get_num_threads())
        assert found == [3, 3, 3]
    finally:
        torch.set_num_threads(outside)
