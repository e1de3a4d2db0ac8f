"""Which step sees small pictures follows from the plan alone: resumed, replayed and cut short."""

from dataclasses import replace

import pytest
import torch

from trueweight.nn.resizing import Resized
from trueweight.train.descent import descend
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import fit_member
from trueweight.train.plan import Event
from trueweight.train.probe import decide_plan
from trueweight.train.watch import Stopwatch


class Watched(torch.nn.Module):
    """A network that notes how far each training step is said to be, in a list that copies share."""

    seen: list[float] = []

    def __init__(self, network):
        super().__init__()
        self.network, self.resized = network, Resized((8, 8), 0.5, 0.6)

    def answer(self, batch):
        return self.network.answer(batch)

    def forward(self, batch, rng):
        if self.training:
            self.seen.append(self.resized.progress)
        return self.network(batch, rng)


@pytest.fixture
def job(make_job):
    Watched.seen.clear()

    def make(**options):
        made = make_job(**options)
        return replace(made, network=Watched(made.network))

    return make


def test_each_step_knows_how_much_is_over(job):
    fit_member(job(plan={"steps": 20}), GradientFitter())
    assert Watched.seen == [step / 20 for step in range(20)]


def test_a_resumed_run_goes_on_where_it_was(job, tmp_path):
    steps = descend(job(plan={"steps": 20, "checkpoint_every": 5}, folder=tmp_path))
    for _ in range(12):
        next(steps)
    steps.close()
    Watched.seen.clear()
    fit_member(job(plan={"steps": 20, "checkpoint_every": 5}, folder=tmp_path), GradientFitter())
    assert Watched.seen == [step / 20 for step in range(10, 20)]


def test_a_run_that_is_cut_short_ends_at_full_size(job):
    fit_member(job(plan={"steps": 40, "events": (Event("slow", 10, 10),)}), GradientFitter())
    assert Watched.seen == [step / 40 for step in range(10)] + [step / 20 for step in range(10, 20)]


def test_both_sizes_are_timed(job):
    made = job(train={"budget": {"time": 5}})
    plan = decide_plan(made, Stopwatch())
    assert plan.seconds_per_step > 0
    assert set(Watched.seen) == {0.0, 1.0}
    assert made.network.resized.progress == 1.0  # a copy was timed
