"""The solve fitter drives heads over both parts of the data, and minds Ctrl-C."""

import math
import os
import signal

import pytest
import torch
from torch import nn

from trueweight.errors import TrainError
from trueweight.nn.encoding import Encoding
from trueweight.train.fitters.solve import SolveFitter
from trueweight.train.job import fit_member


class RidgeHead(nn.Module):
    """Least squares with a penalty, smallest penalty last."""

    def __init__(self, strengths=(1e3, 1.0, 1e-9), *, press_at=None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dtype=torch.float64), requires_grad=False)
        self.strengths, self.press_at = strengths, press_at

    def solve(self, train, validation):
        best = math.inf
        for strength in self.strengths:
            if strength == self.press_at:
                os.kill(os.getpid(), signal.SIGINT)
            xx, xy = torch.zeros(3, 3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
            for z, y, _ in train():
                x = z.tokens_BLD[:, 0].double()
                xx, xy = xx + x.T @ x, xy + x.T @ y["value"][:, 0].double()
            weight = torch.linalg.solve(xx + strength * torch.eye(3), xy)
            pairs = [(z.tokens_BLD[:, 0].double() @ weight, y["value"][:, 0]) for z, y, _ in validation()]
            loss = sum(float((a - b).square().sum()) for a, b in pairs)
            if loss < best:
                best = loss
                self.weight.copy_(weight)
            yield strength, loss


class SolvableNetwork(nn.Module):
    def __init__(self, **heads: RidgeHead) -> None:
        super().__init__()
        self.heads = nn.ModuleDict(heads)

    @property
    def targets(self):
        return tuple(self.heads)

    def head(self, target: str) -> RidgeHead:
        return self.heads[target]

    def encode(self, batch) -> Encoding:
        return Encoding(batch.inputs["table"]["number"][:, None])


@pytest.fixture
def solve_job(make_job):
    def make(network: nn.Module, **fields):
        job = make_job(network=network, score=lambda net: float(net.heads["y"].weight.square().sum()), **fields)
        for feed in (job.train, job.validation):
            x = feed.inputs["table"]["number"]
            feed.targets["y"]["value"] = x @ torch.tensor([[1.0], [2.0], [-3.0]])
            feed.targets["twin"] = feed.targets["y"]
        return job

    return make


def test_an_exact_plane_is_found_exactly(solve_job):
    job = solve_job(SolvableNetwork(y=RidgeHead()))
    result = fit_member(job, SolveFitter())
    # The targets were made in float32: about 1e-7 relative.
    exact = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    torch.testing.assert_close(job.network.heads["y"].weight, exact, rtol=1e-6, atol=1e-6)
    assert (result.steps, result.stopped) == (3, "finished")
    assert [strength for strength, _ in result.facts["paths"]["y"]] == [1e3, 1.0, 1e-9]
    assert result.best_score == pytest.approx(14, rel=1e-5)


def test_ctrl_c_leaves_every_head_with_an_answer(solve_job):
    network = SolvableNetwork(y=RidgeHead(press_at=1.0), twin=RidgeHead())
    result = fit_member(solve_job(network), SolveFitter())
    assert result.stopped == "interrupted"
    assert {name: len(path) for name, path in result.facts["paths"].items()} == {"y": 2, "twin": 1}
    assert all(head.weight.abs().sum() > 0 for head in network.heads.values())


def test_an_answer_that_is_not_finite(solve_job):
    job = solve_job(SolvableNetwork(y=RidgeHead()))
    job.network.heads["y"].weight.fill_(math.nan)
    job.validation.inputs["table"]["number"][0] = math.nan  # no point of the path is better than what was there
    with pytest.raises(TrainError, match="ended with a validation score of nan"):
        fit_member(job, SolveFitter())
