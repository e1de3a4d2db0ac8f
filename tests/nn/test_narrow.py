"""Wide problems of few rows: the short way has the answer of the long one."""

import pytest
import torch

from trueweight.nn import logistic, narrow, ridge
from trueweight.nn.design import Chunk
from trueweight.nn.narrow import narrowed
from trueweight.nn.rows import Columns, Rows


def chunks(rows: int, places: int, outputs: int, *, classes: bool, seed: int = 0, parts: int = 2) -> list[Chunk]:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, places, generator=rng, dtype=torch.float64) + 3
    y = torch.randn(rows, outputs, generator=rng, dtype=torch.float64)
    y = torch.nn.functional.one_hot(y.argmax(1), outputs).double() if classes else y
    weight = torch.rand(rows, generator=rng, dtype=torch.float64) + 0.5
    columns = Columns(torch.arange(places), torch.zeros(0, dtype=torch.int64))
    return [
        Chunk(Rows.of(a, columns), b, c)
        for a, b, c in zip(x.chunk(parts), y.chunk(parts), weight.chunk(parts), strict=True)
    ]


@pytest.mark.parametrize("kind", ["ridge", "softmax", "sigmoid"])
def test_the_short_way_finds_what_the_long_way_finds(kind, monkeypatch):
    train, validation = (chunks(24, 90, 3, classes=kind != "ridge", seed=seed) for seed in (0, 1))
    path = (
        (lambda: list(ridge.ridge_path(train, validation, (0.0, 1e-3, 0.1, 3.0))))
        if kind == "ridge"
        else (lambda: list(logistic.logistic_path(train, validation, kind, (1.0, 0.1, 0.01))))
    )
    assert narrowed(train, validation) is not None
    monkeypatch.setattr(logistic, "CLOSE_FEW", logistic.CLOSE)
    monkeypatch.setattr(logistic, "ROUGH_WIDE", logistic.ROUGH)
    short = path()
    monkeypatch.setattr(narrow, "MOST_ROWS", 0)
    assert narrowed(train, validation) is None
    for (strength, loss, weight, bias), (_, other_loss, other_weight, other_bias) in zip(short, path(), strict=True):
        if strength:  # least squares has many answers here, and the two ways cut off rounding at different places
            torch.testing.assert_close(weight, other_weight, rtol=1e-3, atol=1e-4)
            torch.testing.assert_close(bias, other_bias, rtol=1e-3, atol=1e-3)  # Newton stops a little early
        assert loss == pytest.approx(other_loss, rel=1e-4)


def test_narrow_problems_stop_early_and_lose_nothing_that_validation_sees(monkeypatch):
    train, validation = (chunks(60, 90, 5, classes=True, seed=seed) for seed in (0, 1))
    early = [loss for _, loss, _, _ in logistic.logistic_path(train, validation, "softmax", (1.0, 0.1, 0.01, 1e-3))]
    monkeypatch.setattr(logistic, "CLOSE_FEW", 1e-12)
    monkeypatch.setattr(logistic, "ROUGH_WIDE", 1e-3)
    late = [loss for _, loss, _, _ in logistic.logistic_path(train, validation, "softmax", (1.0, 0.1, 0.01, 1e-3))]
    assert early == pytest.approx(late, rel=1e-3)


def test_answers_of_the_narrow_problem_are_those_of_the_whole():
    train = chunks(10, 50, 2, classes=False)
    small = narrowed(train, train)
    weight, bias = torch.randn(small.direction_PQ.shape[1], 2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    whole, whole_bias = small.widened(weight, bias)
    for before, after in zip(train, small.train, strict=True):
        torch.testing.assert_close(before.x.dense_RD @ whole + whole_bias, after.x.dense_RD @ weight + bias)
    torch.testing.assert_close(whole.square().sum(), weight.square().sum())


def test_rows_that_are_all_alike_have_no_direction():
    columns = Columns(torch.arange(8), torch.zeros(0, dtype=torch.int64))
    one = Chunk(Rows.of(torch.ones(3, 8), columns), torch.tensor([[1.0], [2], [3]]).double(), torch.ones(3).double())
    *_, (_, _, weight, bias) = ridge.ridge_path([one], [one])
    assert weight.shape == (8, 1) and not weight.any()
    assert bias.item() == pytest.approx(2)
    y = torch.tensor([[1.0], [0], [1]]).double()
    *_, (_, _, weight, bias) = logistic.logistic_path([Chunk(one.x, y, one.weight_R)], [one], "sigmoid")
    assert not weight.any()
    assert torch.sigmoid(bias).item() == pytest.approx(2 / 3)


def test_enough_rows_take_the_ordinary_way():
    assert narrowed(chunks(50, 60, 1, classes=False), []) is None
