"""Numeric embeddings against their formulas, their gradients and their promises."""

import numpy as np
import pytest
import torch

from trueweight.nn.numeric import BOUND, EmbedSome, Periodic, PiecewiseLinear, smooth_clip

KNOTS = [[-1.0, 0.0, 0.5, 2.0], [], [0.3], [-2.0, -2.0 + 1e-9, 4.0]]


@pytest.fixture
def embedding() -> PiecewiseLinear:
    torch.manual_seed(0)
    embedding = PiecewiseLinear(KNOTS, 5)
    torch.nn.init.normal_(embedding.weight_CTD)  # zero at birth, which would hide every mistake
    return embedding


def clip(x: np.ndarray | float) -> np.ndarray:
    return x / np.sqrt(1 + (np.asarray(x) / 3) ** 2)


def reference(embedding: PiecewiseLinear, x: np.ndarray) -> np.ndarray:
    """The docstring's formula, one row, column and bin at a time, in float64."""
    weight, linear, bias = (p.detach().double().numpy() for p in embedding.parameters())
    out = np.zeros((len(x), len(KNOTS), 5))
    for n in range(len(x)):
        for c, knots in enumerate(KNOTS):
            distinct = [k for i, k in enumerate(knots) if i == 0 or k - knots[i - 1] > 1e-3]
            edges = [-3.0, *(float(clip(k)) for k in distinct), 3.0]
            t = float(clip(x[n, c]))
            out[n, c] = linear[c] * t + bias[c]
            for b, (low, high) in enumerate(zip(edges, edges[1:], strict=False)):
                out[n, c] += min(max((t - low) / (high - low), 0.0), 1.0) * weight[c, b]
    return out.reshape(len(x), -1)


def test_piecewise_linear_matches_the_formula(embedding: PiecewiseLinear):
    x = np.random.default_rng(0).normal(size=(20, 4)) * 3
    y = embedding(torch.from_numpy(x).float()).detach().numpy()
    # Slopes up to 1/bin width of about 5, float32: 1e-5 leaves a tenfold margin.
    np.testing.assert_allclose(y, reference(embedding, x), rtol=1e-5, atol=1e-5)


def test_piecewise_linear_is_bounded_whatever_is_asked(embedding: PiecewiseLinear):
    far = embedding(torch.full((1, 4), 1e30))
    assert torch.isfinite(far).all()
    torch.testing.assert_close(far, embedding(torch.full((1, 4), 1e6)))


def test_piecewise_linear_starts_linear():
    torch.manual_seed(0)
    y = PiecewiseLinear([[0.0]], 2)(torch.tensor([[-0.02], [0.0], [0.02]])).detach()
    torch.testing.assert_close(y[1], (y[0] + y[2]) / 2)


@pytest.mark.parametrize("kind", ["piecewise_linear", "periodic"])
def test_gradient_matches_finite_differences(embedding: PiecewiseLinear, kind: str):
    module = (embedding if kind == "piecewise_linear" else Periodic(4, 5, sigma=0.5)).double()
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, x)


def test_embedding_some_columns_passes_the_others_on():
    x = torch.randn(5, 4)
    embedding = PiecewiseLinear([[-1.0, 0.0], [0.5]], 3)
    some = EmbedSome(embedding, [2, 0], [1, 3])(x)
    assert torch.equal(some[:, :6], embedding(x[:, [2, 0]]))
    assert torch.equal(some[:, 6:], smooth_clip(x[:, [1, 3]]))


def test_periodic_matches_the_formula():
    torch.manual_seed(0)
    module = Periodic(2, 3, frequencies=4, sigma=0.5)
    x = np.random.default_rng(1).normal(size=(7, 2))
    frequency, weight, bias = (p.detach().double().numpy() for p in module.parameters())
    v = 2 * np.pi * clip(x)[:, :, None] * frequency
    y = np.einsum("bcf,cfd->bcd", np.concatenate([np.cos(v), np.sin(v)], axis=2), weight) + bias
    np.testing.assert_allclose(
        module(torch.from_numpy(x).float()).detach().numpy(), np.maximum(y, 0).reshape(7, -1), rtol=1e-5, atol=1e-5
    )


def test_smooth_clip_is_odd_monotone_and_bounded():
    x = torch.linspace(-50, 50, 1001, dtype=torch.float64)
    y = smooth_clip(x)
    assert (y.diff() > 0).all()
    assert float(y.abs().max()) < BOUND
    torch.testing.assert_close(y, -y.flip(0))
