"""Solved models against NumPy, against scikit-learn, and on problems whose answer is known."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

from trueweight.nn import logistic
from trueweight.nn.design import Design
from trueweight.nn.encoding import Encoding
from trueweight.nn.logistic import logistic_path
from trueweight.nn.ridge import ridge_path


def design(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None, *, batch: int = 64) -> Design:
    def again():
        for start in range(0, len(x), batch):
            cut = slice(start, start + batch)
            target = {"y": torch.from_numpy(y[cut]), "present": torch.from_numpy(~np.isnan(y[cut]).any(1))}
            rows = None if weight is None else torch.from_numpy(weight[cut])
            yield Encoding(torch.from_numpy(x[cut]).unsqueeze(1)), target, rows

    return Design(again, lambda tensors: (tensors["y"], None))


def counted(rows: Design) -> tuple[Design, list[int]]:
    """The same rows, and a list that grows with every pass over them."""
    passes: list[int] = []

    def again() -> Iterator[Any]:
        passes.append(1)
        return whole()

    whole, rows.again = rows.again, again
    return rows, passes


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 6)) + 2
    logits = x @ rng.normal(size=(6, 3)) - 1
    weight = rng.uniform(0.2, 3, size=300)
    return x, logits, weight, rng


def test_ridge_agrees_with_scikit_learn(problem):
    x, logits, weight, rng = problem
    y = logits + rng.normal(size=logits.shape)
    for strength, _, coefficients, intercept in ridge_path(design(x, y, weight), design(x, y), (1e-3, 0.1, 1.0)):
        theirs = Ridge(alpha=strength * weight.sum(), solver="cholesky").fit(x, y, sample_weight=weight)
        # Both solve well-conditioned normal equations in float64.
        np.testing.assert_allclose(coefficients.numpy().T, theirs.coef_, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(intercept.numpy(), theirs.intercept_, rtol=1e-8, atol=1e-10)


def test_strength_zero_is_least_squares_even_with_equal_columns(problem):
    x, logits, _, rng = problem
    x = np.concatenate([x, x[:, :1], np.ones((len(x), 1))], axis=1)
    y = logits[:, :1] + rng.normal(size=(len(x), 1))
    _, loss, coefficients, intercept = next(iter(ridge_path(design(x, y), design(x, y), (0.0,))))
    best, *_ = np.linalg.lstsq(x, y, rcond=None)
    np.testing.assert_allclose(x @ coefficients.numpy() + intercept.numpy(), x @ best, rtol=1e-7, atol=1e-7)
    assert loss == pytest.approx(float(np.mean((y - x @ best) ** 2)))


def test_exact_line_is_recovered_exactly():
    x = np.arange(50.0)[:, None]
    _, loss, slope, intercept = next(iter(ridge_path(design(x, 3 * x + 2), design(x, 3 * x + 2), (0.0,))))
    # Float64 with numbers up to 150: far below float32's 1e-7.
    assert float(slope) == pytest.approx(3, abs=1e-12)
    assert float(intercept) == pytest.approx(2, abs=1e-11)
    assert loss < 1e-20


def test_columns_far_from_zero_lose_nothing():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2)) + 1e6
    y = (x - 1e6) @ np.array([[1.0], [2.0]])
    _, _, coefficients, _ = next(iter(ridge_path(design(x, y), design(x, y), (0.0,))))
    np.testing.assert_allclose(coefficients[:, 0].numpy(), [1, 2], rtol=1e-6)


def test_missing_labels_do_not_count(problem):
    x, logits, _, _ = problem
    y = logits[:, :1].copy()
    full = next(iter(ridge_path(design(x[:200], y[:200]), design(x, y), (0.1,))))
    y[200:] = np.nan
    part = next(iter(ridge_path(design(x, y), design(x[:0], y[:0]), (0.1,))))
    torch.testing.assert_close(part[2], full[2])
    assert np.isnan(part[1])


@pytest.mark.parametrize(("newton", "eigen"), [(True, False), (False, True), (False, False)])
def test_binary_logistic_agrees_with_scikit_learn(problem, newton: bool, eigen: bool, monkeypatch: pytest.MonkeyPatch):
    x, logits, weight, rng = problem
    y = (rng.random(len(x)) < 1 / (1 + np.exp(-logits[:, 0]))).astype(float)
    monkeypatch.setattr("trueweight.nn.logistic.NEWTON_FLOPS", 1e12 if newton else 0)
    monkeypatch.setattr("trueweight.nn.logistic.EIGEN_FLOPS", 1e12 if eigen else 0)
    rows = design(x, y[:, None], weight)
    for strength, _, coefficients, intercept in logistic_path(rows, rows, "sigmoid", (0.1, 1e-2, 1e-3)):
        theirs = LogisticRegression(C=1 / (strength * weight.sum()), tol=1e-10, max_iter=10_000)
        theirs.fit(x, y, sample_weight=weight)
        # Both end within about 1e-10 nats of the minimum; the whole Hessian's last step goes farther.
        tolerance = 1e-5 if newton else 1e-3
        np.testing.assert_allclose(coefficients[:, 0].numpy(), theirs.coef_[0], rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(intercept.numpy(), theirs.intercept_, rtol=tolerance, atol=tolerance)


def test_multinomial_agrees_with_scikit_learn(problem):
    x, logits, _, rng = problem
    y = np.array([rng.choice(3, p=np.exp(z) / np.exp(z).sum()) for z in logits])
    rows = design(x, np.eye(3)[y])
    ((_, loss, coefficients, intercept),) = list(logistic_path(rows, rows, "softmax", (1e-2,)))
    theirs = LogisticRegression(C=1 / (1e-2 * len(x)), tol=1e-10, max_iter=10_000).fit(x, y)
    z = x @ coefficients.numpy() + intercept.numpy()
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    np.testing.assert_allclose(p, theirs.predict_proba(x), atol=2e-4)
    assert loss == pytest.approx(float(-np.log(p[np.arange(len(x)), y]).mean()))


def test_independent_labels_are_fitted_independently(problem):
    x, logits, _, rng = problem
    y = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(float)
    ((_, _, together, _),) = list(logistic_path(design(x, y), design(x, y), "sigmoid", (1e-2,)))
    for c in range(3):
        one = design(x, y[:, c : c + 1])
        ((_, _, alone, _),) = list(logistic_path(one, one, "sigmoid", (1e-2,)))
        np.testing.assert_allclose(together[:, c].numpy(), alone[:, 0].numpy(), atol=1e-2)


def test_separable_classes_end_in_finite_weights():
    x = np.array([[-1.0], [-0.5], [0.5], [1.0]])
    y = (x > 0).astype(float)
    for *_, coefficients, intercept in logistic_path(design(x, y), design(x, y), "sigmoid"):
        assert torch.isfinite(coefficients).all()
        assert torch.isfinite(intercept).all()


@pytest.mark.parametrize("noise", [0.0, 0.3, 50.0])
def test_going_straight_on_along_a_path_takes_no_more_steps(noise: float, monkeypatch: pytest.MonkeyPatch):
    """Whether classes can be told apart at all, nearly, or not: weights then grow without end, to an end, or hardly."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 8))
    y = (x[:, :1] + x[:, 1:2] + noise * rng.normal(size=(400, 1)) > 0).astype(float)
    looked: list[int] = []

    def watched(*given: Any) -> Any:
        evaluate = whole(*given)
        return lambda weight: (looked.append(1), evaluate(weight))[1]

    whole = logistic._whole
    monkeypatch.setattr(logistic, "_whole", watched)
    onward = [loss for _, loss, _, _ in logistic_path(design(x[:200], y[:200]), design(x[200:], y[200:]), "sigmoid")]
    points = len(looked)
    monkeypatch.setattr(logistic, "_onward", lambda points, _: points[-1][1])
    before = [loss for _, loss, _, _ in logistic_path(design(x[:200], y[:200]), design(x[200:], y[200:]), "sigmoid")]
    assert points <= len(looked) - points
    np.testing.assert_allclose(onward, before, rtol=1e-4)


def test_rows_too_large_to_keep_are_read_again(problem, monkeypatch: pytest.MonkeyPatch):
    x, logits, _, _ = problem
    kept = next(iter(ridge_path(design(x, logits), design(x, logits), (0.1,))))
    monkeypatch.setattr("trueweight.nn.design.FIRST_BYTES", 1000)
    monkeypatch.setattr("trueweight.nn.design.KEEP_BYTES", 1000)
    read = next(iter(ridge_path(design(x, logits), design(x, logits), (0.1,))))
    torch.testing.assert_close(kept[2], read[2])


def test_rows_too_large_for_a_first_pass_are_kept_by_the_second(problem, monkeypatch: pytest.MonkeyPatch):
    x, logits, _, _ = problem
    rows, passes = counted(design(x, logits))
    monkeypatch.setattr("trueweight.nn.design.FIRST_BYTES", 1000)
    first, *more = [[chunk.x.dense_RD for chunk in rows] for _ in range(4)]
    assert len(passes) == 2
    assert all(torch.equal(torch.cat(first), torch.cat(other)) for other in more)


@pytest.mark.parametrize(("together", "read"), [(64, 2), (1000, 1)])
def test_looking_at_the_first_chunk_is_a_pass_if_it_is_the_only_one(
    problem, together: int, read: int, monkeypatch: pytest.MonkeyPatch
):
    x, logits, _, _ = problem
    rows, passes = counted(design(x, logits))
    monkeypatch.setattr("trueweight.nn.design.ROWS", together)
    next(iter(rows))
    assert torch.equal(torch.cat([chunk.x.dense_RD for chunk in rows]), torch.from_numpy(x))
    assert len(passes) == read


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6])
def test_collinear_columns_do_not_lead_up(size: float):
    """Equal columns and their sums, large: in float32 their Hessian has negative eigenvalues."""
    rng = np.random.default_rng(0)
    few = rng.normal(size=(400, 3)) * size
    x = np.concatenate([few, few, few.sum(1, keepdims=True), rng.normal(size=(400, 1))], axis=1)
    y = (few[:, :1] / size + x[:, -1:] + rng.normal(size=(400, 1)) > 0).astype(float)
    before = np.inf
    for strength, loss, weight_PC, bias_C in logistic_path(design(x, y), design(x, y), "sigmoid"):
        assert torch.isfinite(weight_PC).all()
        z = x @ weight_PC.numpy() + bias_C.numpy()
        assert loss == pytest.approx(np.mean(np.logaddexp(0, z) - y * z))
        assert loss <= before * (1 + 1e-9)  # on the rows it was fitted to, a weaker penalty never costs
        gradient = x.T @ (1 / (1 + np.exp(-z)) - y) / len(x) + strength * weight_PC.numpy()
        assert np.abs(gradient).max() < 1e-4 * size
        before = loss
    theirs = LogisticRegression(C=1e9, max_iter=2000).fit(x / [*[size] * 7, 1], y[:, 0])
    assert before == pytest.approx(log_loss(y, theirs.predict_proba(x / [*[size] * 7, 1])), rel=1e-3)
