"""Quantiles against a slow reference, against their law, and against scikit-learn."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.linear_model import QuantileRegressor

from trueweight.data.cells import ReadOptions
from trueweight.data.sample import BottomK
from trueweight.model.heads.number import NumberHead
from trueweight.nn.decoding import GREEDY
from trueweight.nn.design import Design
from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.pinball import STRENGTHS, pinball_loss, quantile_path

SHARES = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)


def design(x: np.ndarray, y: np.ndarray, weight: np.ndarray | None = None) -> Design:
    def again():
        for cut in (slice(0, 50), slice(50, None)):
            target = {"y": torch.from_numpy(y[cut]), "present": torch.ones(len(y[cut]), dtype=torch.bool)}
            rows = None if weight is None else torch.from_numpy(weight[cut])
            yield Encoding(torch.from_numpy(x[cut]).unsqueeze(1)), target, rows

    return Design(again, lambda tensors: (tensors["y"], None))


def slow_pinball(predicted: float, true: float, share: float) -> float:
    return share * (true - predicted) if true >= predicted else (1 - share) * (predicted - true)


def test_the_loss_is_that_of_the_formula_row_by_row():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(20, 2, 3)), rng.normal(size=20)
    found = pinball_loss(torch.from_numpy(z), torch.from_numpy(y), SHARES)
    for row in range(20):
        for member in range(2):
            expected = np.mean([slow_pinball(z[row, member, t], y[row], float(SHARES[t])) for t in range(3)])
            assert found[row, member].item() == pytest.approx(expected)


def test_of_all_constants_the_quantile_costs_least():
    y = np.random.default_rng(1).exponential(size=999)
    for share in (0.1, 0.55, 0.9):
        z = torch.from_numpy(y)[:, None, None].expand(-1, 999, 1).transpose(0, 1)
        loss = pinball_loss(z, torch.from_numpy(y), torch.tensor([share], dtype=torch.float64)).mean(0)
        assert y[int(loss.argmin())] == np.quantile(y, share, method="inverted_cdf")


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(600, 4)) * [1.0, 5.0, 0.1, 1.0] + [0.0, 20.0, 0.0, 0.0]
    return x, (x @ [1.0, 0.1, -3.0, 0.0] + (1 + 0.8 * np.abs(x[:, 0])) * rng.normal(size=600))[:, None]


def test_solved_lines_cost_as_little_as_those_of_linear_programming(rows):
    x, y = rows
    start = torch.zeros(5, 3, dtype=torch.float64)
    _, loss, weight_QT = list(quantile_path(design(x, y), design(x, y), SHARES, start, 1.0))[-1]
    ours = torch.from_numpy(np.c_[x, np.ones(600)]) @ weight_QT
    best = []
    for t, share in enumerate(SHARES.tolist()):
        theirs = QuantileRegressor(quantile=share, alpha=0.0).fit(x, y[:, 0]).predict(x)
        best.append(np.mean([slow_pinball(a, b, share) for a, b in zip(theirs, y[:, 0], strict=True)]))
        # A quantile of the rows it was fitted to has its share of them below: the law of the first-order condition.
        assert np.mean(y[:, 0] <= ours[:, t].numpy()) == pytest.approx(share, abs=0.02)
    # The rounded corner and the weakest penalty cost something, but hardly anything.
    assert np.mean(best) <= loss <= 1.005 * np.mean(best)


def test_a_row_of_weight_two_counts_twice(rows):
    x, y = rows
    x, y = x[:80], y[:80]
    weight = np.random.default_rng(3).choice([1.0, 2.0], 80)
    twice = np.repeat(np.arange(80), weight.astype(int))
    start = torch.zeros(5, 3, dtype=torch.float64)
    a = [w for _, _, w in quantile_path(design(x, y, weight), design(x, y), SHARES, start, 1.0)]
    b = [w for _, _, w in quantile_path(design(x[twice], y[twice]), design(x, y), SHARES, start, 1.0)]
    assert len(a) == len(STRENGTHS)
    torch.testing.assert_close(a[0], b[0], rtol=1e-3, atol=1e-3)


def test_stopped_early_the_quantiles_lie_beside_the_value(rows):
    x, y = rows
    part = NumberHead(quantiles=[0.1, 0.9])
    cells = part.read(pa.chunked_array([pa.array(y[:, 0])]), ReadOptions())
    learnt = part.learn(cells, np.arange(600), BottomK.of(np.arange(600)), name="y")
    target = {key: torch.from_numpy(a) for key, a in part.encode(cells, learnt).items()}
    z = Encoding(torch.from_numpy(x).float().unsqueeze(1))
    head = part.build_solving(Form(4), learnt)
    next(iter(head.solve(lambda: [(z, target, None)], lambda: [(z, target, None)])))
    answer = head.read(head.outputs(z, GREEDY, {}), learnt, None)
    assert ((answer.low_N < answer.value_N) & (answer.value_N < answer.high_N)).all()
    assert np.mean((answer.low_N <= y[:, 0]) & (y[:, 0] <= answer.high_N)) == pytest.approx(0.8, abs=0.07)
