"""What every fitter promises, checked for every fitter we ship or have installed."""

import math
import os
import signal
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed
from trueweight.nn.answers import Values
from trueweight.nn.boosted import boosted
from trueweight.nn.encoding import Encoding, Form
from trueweight.registry import registry
from trueweight.spec.base import FitterPart, Spec
from trueweight.spec.run import TrainSpec
from trueweight.train.job import Job, fit_member
from trueweight.train.plan import MemberPlan


class Asked(Spec):
    fitter: FitterPart


class LineHead(nn.Module):
    """A line that can be descended to and solved for."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, 1))

    @torch.no_grad()
    def solve(self, train, validation, enough=None):  # noqa: ARG002
        for strength in (1e-3, 1e-6):
            pairs = [(z.tokens_BLD[:, 0], y["value"]) for z, y, _ in train()]
            x, y = torch.cat([x for x, _ in pairs]), torch.cat([y for _, y in pairs])
            self.weight.copy_(torch.linalg.solve(x.T @ x + strength * torch.eye(2), x.T @ y))
            misses = [z.tokens_BLD[:, 0] @ self.weight - y["value"] for z, y, _ in validation()]
            yield strength, sum(float(miss.square().sum()) for miss in misses)


class LineNetwork(nn.Module):
    form = Form(width=2)

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleDict({"t0": LineHead()})
        self.targets = ("y",)

    def head(self, target: str) -> nn.Module:
        return self.heads[f"t{self.targets.index(target)}"]

    def encode(self, batch: Batch) -> Encoding:
        return Encoding(batch.inputs["table"]["number"][:, None])

    def forward(self, batch: Batch, rng: Generator) -> Tensor:
        answer = self.encode(batch).tokens_BLD[:, 0] @ self.head("y").weight
        return (answer - batch.targets["y"]["value"]).square().mean()


class TreesNetwork(LineNetwork):
    """The same, answered by trees."""

    def __init__(self) -> None:
        super().__init__()
        build = partial(Values, outputs=1, loss="mse", huber_delta=1.0, reader=lambda values, facts: None)
        self.heads = nn.ModuleDict({"t0": boosted(build, 1, Form(width=2, raw=(0, 0)))})

    def forward(self, batch: Batch, rng: Generator) -> Tensor:
        return self.head("y").loss(self.encode(batch), batch.targets["y"], None, rng)


def feed(rows: int, seed: int) -> Feed:
    x = torch.randn(rows, 2, generator=Generator().manual_seed(seed))
    present = torch.ones(rows, dtype=torch.bool)
    y = x @ torch.tensor([[2.0], [-1.0]])
    return Feed(torch.arange(rows), {"table": {"number": x}}, {"y": {"value": y, "present": present}})


@pytest.fixture(params=list(registry("fitter")))
def fitter(request: pytest.FixtureRequest):
    return Asked(fitter=request.param).fitter  # entered through a spec, like a user


@pytest.fixture
def job(fitter) -> Job:
    validation = feed(40, 2)

    def score(network: nn.Module) -> float:
        return float(network(validation.batch(torch.arange(40)), Generator()))

    optimizer = {"type": "adamw", "learning_rate": 0.1, "weight_decay": 0}
    spec = TrainSpec.model_validate({"optimizer": optimizer, "budget": {"steps": 200}, "device": "cpu"})
    network, train = TreesNetwork() if fitter.boosting else LineNetwork(), feed(100, 1)
    return Job(name="line", network=network, train=train, validation=validation, spec=spec, seed=0, score=score)


def test_finds_a_line_and_leaves_it_in_the_network(fitter, job: Job):
    result = fit_member(job, fitter)
    with torch.no_grad():
        assert job.score(job.network) == pytest.approx(result.best_score)
    assert result.best_score < (1.0 if fitter.boosting else 1e-3)  # of 5: trees have steps
    assert result.stopped == "finished"
    assert not job.network.training


def test_steps_count_from_one(fitter, job: Job):
    steps = list(fitter.fit(job))
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert all(math.isfinite(step.loss.item()) and step.rows > 0 for step in steps)


def test_leaves_the_random_state_alone(fitter, job: Job):
    before = torch.get_rng_state()
    fit_member(job, fitter)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_interrupt_at_a_step_keeps_what_there_is(fitter, job: Job):
    steps = fitter.fit(job)
    next(steps)
    with pytest.raises(StopIteration) as end:
        steps.throw(KeyboardInterrupt())
    result = end.value.value
    assert (result.stopped, result.steps) == ("interrupted", 1)
    with torch.no_grad():
        assert job.score(job.network) == pytest.approx(result.best_score)


def test_ctrl_c_reaches_it(fitter, job: Job):
    class Pressing(type(job.network)):
        def encode(self, batch: Batch) -> Encoding:
            if not self.__dict__.get("pressed"):
                self.__dict__["pressed"] = True
                os.kill(os.getpid(), signal.SIGINT)
            return super().encode(batch)

    given = replace(job, network=Pressing())
    if not fitter.solving:  # its plan is made by measuring a copy, which must not be the one that is stopped
        plan = MemberPlan(name="line", steps=50, batch_size=32, epochs=16, validate_every=5, checkpoint_every=50)
        given = replace(given, plan=plan)
    assert fit_member(given, fitter).stopped == "interrupted"


def test_is_documented(fitter):
    assert "Example" in type(fitter).__doc__
    assert isinstance(fitter.solving, bool)
    assert isinstance(fitter.boosting, bool)


def test_needs_nothing_that_is_not_installed_here(fitter):
    fitter.require()
