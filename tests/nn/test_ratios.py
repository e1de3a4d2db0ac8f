"""Penalties by log-count ratios, against counting by hand."""

import math

import numpy as np
import pytest
import torch

from trueweight.nn.design import Chunk
from trueweight.nn.ratios import SMOOTHING, penalty_shares
from trueweight.nn.rows import Columns, Rows


def chunks(x: np.ndarray, y: np.ndarray, weight: np.ndarray, size: int = 4) -> list[Chunk]:
    """Rows whose first two places are stored densely, all others sparsely."""
    columns = Columns(torch.arange(2), torch.arange(2, x.shape[1]))
    cuts = [slice(start, start + size) for start in range(0, len(x), size)]
    return [Chunk(Rows.of(torch.from_numpy(x[c]).float(), columns), torch.from_numpy(y[c]), torch.from_numpy(weight[c]))
            for c in cuts]  # fmt: skip


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    x = (rng.random((12, 8)) < 0.4) * rng.uniform(0.5, 2, (12, 8))
    x[:, 0] = rng.normal(size=12)  # a plain number
    return x, np.eye(3)[rng.integers(0, 3, 12)], rng.uniform(0.5, 2, 12)


def by_hand(x, y, weight, smoothing):
    """Place by place and class by class."""
    counts = [place for place in range(x.shape[1]) if x[:, place].min() >= 0]
    share = np.ones((x.shape[1] + 1, y.shape[1]))
    share[-1] = 0
    for c in range(y.shape[1]):
        p = {j: smoothing + sum(w * v for v, k, w in zip(x[:, j], y[:, c], weight, strict=True) if k) for j in counts}
        q = {
            j: smoothing + sum(w * v for v, k, w in zip(x[:, j], y[:, c], weight, strict=True) if not k) for j in counts
        }
        ratio = {j: abs(math.log(p[j] / sum(p.values()) / (q[j] / sum(q.values())))) for j in counts}
        square = {j: sum(w * v * v for v, w in zip(x[:, j], weight, strict=True)) for j in counts}
        mean = sum(square[j] * ratio[j] for j in counts) / sum(square.values())
        for j in counts:
            share[j, c] = mean / max(ratio[j], 0.01 * mean)
    return share


def test_shares_are_those_of_counting_by_hand(rows):
    np.testing.assert_allclose(penalty_shares(chunks(*rows)).numpy(), by_hand(*rows, SMOOTHING), rtol=1e-5)


def test_numbers_that_are_ever_negative_are_penalised_as_ever(rows):
    share = penalty_shares(chunks(*rows))
    assert share[0].tolist() == [1.0] * 3
    assert share[-1].tolist() == [0.0] * 3


def test_rows_keep_their_mean_squared_length(rows):
    x, _, weight = rows
    share = penalty_shares(chunks(*rows))[1:-1].numpy()
    square = (weight[:, None] * x[:, 1:] ** 2).sum(0)
    np.testing.assert_allclose((square[:, None] / share).sum(0), square.sum(), rtol=1e-3)


def test_what_tells_classes_apart_is_penalised_least(rows):
    x, y, weight = rows
    x[:, 5] = y[:, 0]  # only in rows of the first class
    share = penalty_shares(chunks(x, y, weight))
    assert int(share[1:-1, 0].argmin()) == 5 - 1


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_alone_and_empty_places_are_no_trouble(rows, label: int):
    x, _, weight = rows
    x[:, 3] = 0
    share = penalty_shares(chunks(x, np.full((12, 1), float(label)), weight))
    assert bool(torch.isfinite(share).all())
    assert bool((share[:-1] > 0).all())


def test_how_rows_are_cut_does_not_matter(rows):
    torch.testing.assert_close(penalty_shares(chunks(*rows, size=12)), penalty_shares(chunks(*rows, size=3)))
