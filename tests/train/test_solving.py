"""The solve fitter drives heads over both parts of the data, and minds Ctrl-C."""

import math
import os
import signal

import pytest
import torch
from torch import nn

from trueweight.errors import TrainError
from trueweight.nn.encoding import Encoding, Form
from trueweight.train import watch
from trueweight.train.fitters.solve import SolveFitter
from trueweight.train.job import fit_member
from trueweight.train.plan import MemberPlan


class RidgeHead(nn.Module):
    """Least squares with a penalty, smallest penalty last."""

    def __init__(self, strengths=(1e3, 1.0, 1e-9), *, press_at=None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3, dtype=torch.float64), requires_grad=False)
        self.strengths, self.press_at = strengths, press_at

    def solve(self, train, validation, enough=None):  # noqa: ARG002
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
    form = Form(width=3)

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


class SlowHead(RidgeHead):
    """Each point of its path takes so many seconds of the clock that it is given."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        super().__init__((1e3, 10.0, 1.0, 1e-3, 1e-9))
        self.clock, self.seconds = clock, seconds

    def solve(self, train, validation, enough=None):
        self.clock[0] += self.seconds
        for point in super().solve(train, validation, enough):
            yield point
            self.clock[0] += self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """One number, the seconds that any stopwatch shows."""
    shown = [0.0]
    monkeypatch.setattr(watch.Stopwatch, "seconds", lambda _: shown[0])
    return shown


def test_the_path_ends_once_the_budget_is_spent(solve_job, clock):
    plans = []
    network = SolvableNetwork(y=SlowHead(clock, 4.0), twin=SlowHead(clock, 4.0))
    result = fit_member(solve_job(network, seconds=10.0, on_plan=plans.append), SolveFitter())
    # 4, 8 and 12 seconds are spent on one path; the other gets the two points that every path does.
    assert {name: len(path) for name, path in result.facts["paths"].items()} == {"y": 3, "twin": 2}
    assert [(event.kind, event.step) for event in result.events] == [("slow", 3), ("slow", 5)]
    assert result.events[0].note == "12 s of 10 s spent, so no penalty weaker than 1 was tried"
    assert result.stopped == "finished"
    assert all(head.weight.abs().sum() > 0 for head in network.heads.values())
    assert plans == [result.plan]
    assert result.plan.events == result.events


def test_a_replay_ends_where_the_clock_had_ended_it(solve_job, clock):
    timed = fit_member(solve_job(SolvableNetwork(y=SlowHead(clock, 4.0)), seconds=10.0), SolveFitter())
    for plan in (timed.plan, MemberPlan.from_json(timed.plan.to_json()).replayed()):
        quick = solve_job(SolvableNetwork(y=SlowHead(clock, 0.0)), seconds=10.0, plan=plan)
        again = fit_member(quick, SolveFitter())
        assert (again.facts, again.events, again.plan) == (timed.facts, timed.events, plan)


def test_a_replay_of_a_whole_path_is_never_cut(solve_job, clock):
    whole = fit_member(solve_job(SolvableNetwork(y=SlowHead(clock, 1.0)), seconds=10.0), SolveFitter())
    slow = solve_job(SolvableNetwork(y=SlowHead(clock, 9.0)), seconds=10.0, plan=whole.plan)
    again = fit_member(slow, SolveFitter())
    assert (again.facts, again.events) == (whole.facts, ())


class LongHead(RidgeHead):
    """Its points are long, and it asks in the middle of each whether it is to go on."""

    def __init__(self, clock: list[float], *, press_in: int | None = None) -> None:
        super().__init__((1e3, 10.0, 1.0, 1e-3, 1e-9))
        self.clock, self.press_in = clock, press_in

    def solve(self, train, validation, enough=None):
        for number, point in enumerate(super().solve(train, validation), 1):
            self.clock[0] += 3.0
            if number == self.press_in:
                os.kill(os.getpid(), signal.SIGINT)
            if enough is not None and enough():
                return
            self.clock[0] += 1.0
            yield point


def test_a_point_in_whose_midst_the_budget_ends_is_given_up(solve_job, clock):
    network = SolvableNetwork(y=LongHead(clock), twin=LongHead(clock))
    timed = fit_member(solve_job(network, seconds=10.0), SolveFitter())
    # The third point would end at 12 s, and is left at 11.
    assert {name: len(path) for name, path in timed.facts["paths"].items()} == {"y": 2, "twin": 2}
    assert [(event.kind, event.step) for event in timed.events] == [("slow", 2), ("slow", 4)]
    assert timed.events[0].note == "11 s of 10 s spent, so no penalty weaker than 10 was tried"
    again = fit_member(solve_job(SolvableNetwork(y=LongHead(clock), twin=LongHead(clock)), plan=timed.plan),
                       SolveFitter())  # fmt: skip
    assert (again.facts, again.events) == (timed.facts, timed.events)


def test_ctrl_c_in_the_midst_of_a_point(solve_job, clock):
    network = SolvableNetwork(y=LongHead(clock, press_in=2), twin=LongHead(clock))
    result = fit_member(solve_job(network), SolveFitter())
    assert result.stopped == "interrupted"
    assert {name: len(path) for name, path in result.facts["paths"].items()} == {"y": 1, "twin": 1}
    assert all(head.weight.abs().sum() > 0 for head in network.heads.values())


def test_ctrl_c_in_the_midst_of_the_first_point_waits_for_its_end(solve_job, clock):
    network = SolvableNetwork(y=LongHead(clock, press_in=1))
    result = fit_member(solve_job(network), SolveFitter())
    assert (result.steps, result.stopped) == (1, "interrupted")


class LateHead(RidgeHead):
    """Ctrl-C is pressed when its last point has been taken."""

    def solve(self, train, validation, enough=None):
        yield from super().solve(train, validation, enough)
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_after_the_last_point_is_not_lost(solve_job):
    with pytest.raises(KeyboardInterrupt):
        fit_member(solve_job(SolvableNetwork(y=LateHead())), SolveFitter())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_points_that_cost_nothing_are_taken_late_too(solve_job, clock):
    network = SolvableNetwork(y=SlowHead(clock, 0.05))
    clock[0] = 20.0  # reading alone took longer than the budget
    result = fit_member(solve_job(network, seconds=10.0), SolveFitter())
    assert (result.steps, result.events) == (5, ())


def test_no_budget_no_end(solve_job, clock):
    result = fit_member(solve_job(SolvableNetwork(y=SlowHead(clock, 1e6))), SolveFitter())
    assert (result.steps, result.events) == (5, ())
