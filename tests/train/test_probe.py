"""What the plan is made of: batch sizes, looks, memory, and time measured without a trace."""

from dataclasses import replace

import pytest
import torch

from trueweight.data.feed import Feed
from trueweight.data.packed import Packed
from trueweight.errors import TrainError
from trueweight.spec.run import TrainSpec
from trueweight.train import probe
from trueweight.train.memory import needed
from trueweight.train.probe import choose_device, decide_plan, looks_for, usual
from trueweight.train.state import weights_of
from trueweight.train.watch import Stopwatch


@pytest.mark.parametrize(
    ("steps", "batch", "rows", "validation", "looks"),
    [
        (3200, 32, 1024, 100, 100),  # one per epoch
        (100_000, 32, 1024, 100, 100),  # never more than 100
        (320, 32, 10_240, 100, 20),  # one epoch: still 20 looks
        (320, 32, 10_240, 3072, 5),  # validation as large as a third of what is trained on
        (4, 32, 100, 10, 4),  # not more looks than steps
    ],
)
def test_looks(steps: int, batch: int, rows: int, validation: int, looks: int):
    assert looks_for(steps, batch, rows, validation) == looks


def test_pictures_are_looked_at_sparingly_in_short_runs():
    """A look costs many of their steps; runs of several passes are looked at as often as others."""
    assert looks_for(130, 256, 40_000, 2000) == 5
    assert looks_for(130, 256, 40_000, 2000, sparing=True) == 2
    assert looks_for(3200, 32, 1024, 100, sparing=True) == 100


@pytest.mark.parametrize(
    ("kind", "target", "looks"),
    [
        (torch.float16, "value", 3),
        (torch.float32, "value", 10),
        (torch.float16, "token", 10),
        (torch.float32, "token", 10),
    ],
    ids=["sounds", "series", "speech", "masked texts beside a series"],
)
def test_sounds_are_looked_at_sparingly_unless_texts_are_told(make_job, monkeypatch, kind, target, looks):
    rows = 200
    monkeypatch.setattr(probe, "_measure", lambda *_: (0.01, 0.01))
    start = torch.arange(rows + 1) * 5
    inputs = {
        "table": {"number": torch.zeros(rows, 3)},
        "column heard": {"frame": Packed(torch.zeros(rows * 5, 4, dtype=kind), start)},
    }
    targets = {"y": {"value": torch.zeros(rows, 1), target: torch.zeros(rows, 1), "present": torch.ones(rows).bool()}}
    plan = decide_plan(replace(make_job(), train=Feed(torch.arange(rows), inputs, targets)), Stopwatch())
    assert (plan.steps, plan.steps // plan.validate_every) == (60, looks)


@pytest.mark.parametrize(("reads", "looks"), [("token", 2), ("number", 5), (None, 5)])
def test_texts_that_are_written_from_texts_are_looked_at_sparingly(
    make_job, monkeypatch, reads: str | None, looks: int
):
    rows = 200
    monkeypatch.setattr(probe, "_measure", lambda *_: (0.01, 0.01))
    token = Packed(torch.ones(rows * 2, 1, dtype=torch.int32), torch.arange(rows + 1) * 2)
    inputs = {"table": {"number": torch.zeros(rows, 3)}} | ({} if reads is None else {"column": {reads: token}})
    whole = torch.ones(rows, dtype=torch.bool)
    targets = {"y": {"value": torch.zeros(rows, 1), "token": token, "whole": whole, "present": whole}}
    train = {"budget": {"steps": 60}, "batch_size": 10}
    plan = decide_plan(replace(make_job(train=train), train=Feed(torch.arange(rows), inputs, targets)), Stopwatch())
    assert plan.steps // plan.validate_every == looks


@pytest.mark.parametrize(("seconds", "size"), [(1.0, 128), (60.0, 256)])
def test_pictures_without_time_take_small_steps(make_job, monkeypatch, seconds, size):
    rows = 8000
    monkeypatch.setattr(probe, "_measure", lambda *_: (0.01, 0.01))
    present = torch.ones(rows, dtype=torch.bool)
    inputs = {"table": {"number": torch.zeros(rows, 3), "pixel": torch.zeros(rows, 1, 1, 1, dtype=torch.uint8)}}
    feed = Feed(torch.arange(rows), inputs, {"y": {"value": torch.zeros(rows, 1), "present": present}})
    job = replace(make_job(train={"budget": {"time": seconds}}), train=feed)
    assert decide_plan(job, Stopwatch()).batch_size == size


def test_steps_and_epochs_need_no_clock(make_job):
    plan = decide_plan(make_job(train={"budget": {"steps": 50}}), Stopwatch())
    assert (plan.steps, plan.batch_size, plan.limited_by, plan.validate_every) == (50, 32, "steps", 6)
    plan = decide_plan(make_job(train={"budget": {"epochs": 3}, "batch_size": 64}), Stopwatch())
    assert (plan.steps, plan.batch_size, plan.limited_by) == (10, 64, "epochs")
    assert plan.epochs == pytest.approx(3.2)
    plan = decide_plan(make_job(train={"budget": {}}), Stopwatch())
    assert plan.limited_by == "epochs"
    assert plan.steps == 100 * 200 / 32


def test_the_lowest_limit_counts(make_job):
    plan = decide_plan(make_job(train={"budget": {"steps": 50, "epochs": 1, "time": "1h"}}), Stopwatch())
    assert (plan.limited_by, plan.steps, plan.seconds) == ("epochs", 7, 3600)


def test_time_becomes_steps(make_job, monkeypatch):
    monkeypatch.setattr(probe, "_measure", lambda *_: (0.010, 0.050))
    plan = decide_plan(make_job(train={"budget": {"time": 60}, "step_plan": "off"}), Stopwatch())
    predicted = plan.steps * 0.010 + plan.steps / plan.validate_every * 0.100
    assert plan.limited_by == "time"
    assert 0.93 * 60 < predicted < 60
    assert plan.checkpoint_every == pytest.approx(probe.CHECKPOINT_SECONDS / (predicted / plan.steps), rel=0.01)
    share = decide_plan(make_job(train={"budget": {"time": 60}}, seconds=6.0), Stopwatch())
    assert share.steps == pytest.approx(plan.steps / 10, rel=0.15)


def test_dear_looks_become_rare_when_time_is_short(make_job, monkeypatch):
    monkeypatch.setattr(probe, "_measure", lambda *_: (0.001, 0.5))
    plan = decide_plan(make_job(train={"budget": {"time": 20}, "step_plan": "off"}), Stopwatch())
    assert 0.25 * plan.validate_every * 0.001 >= 1.0
    assert plan.steps * 0.001 + (plan.steps // plan.validate_every + 1) * 1.0 < 20


def test_measuring_leaves_no_trace(make_job):
    job = make_job(train={"budget": {"time": 1}})
    before = {name: tensor.clone() for name, tensor in weights_of(job.network).items()}
    state = torch.get_rng_state()
    plan = decide_plan(job, Stopwatch())
    assert plan.seconds_per_step > 0
    assert plan.seconds_per_look > 0
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in weights_of(job.network).items())
    assert all(p.grad is None for p in job.network.parameters())


def test_an_automatic_batch_shrinks_to_the_memory(make_job):
    need = needed(make_job(), 16).total
    plan = decide_plan(make_job(train={"budget": {"steps": 5, "memory": need}}), Stopwatch())
    assert (plan.batch_size, plan.memory_bytes) == (16, need)


@pytest.mark.parametrize("batch", ["auto", 32])
def test_too_little_memory_is_refused_with_both_numbers(make_job, batch):
    job = make_job(train={"budget": {"memory": "2KB"}, "batch_size": batch})
    with pytest.raises(TrainError, match=r"toy needs about \d+(\.\d)? KB, and 2\.0 KB are allowed") as error:
        decide_plan(job, Stopwatch())
    assert error.value.where == "train.budget.memory"


def test_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    assert TrainSpec(device="cpu").device == "cpu"
    with pytest.raises(TrainError, match="no device 'cuda' here"):
        choose_device("cuda")


def test_a_busy_moment_does_not_shrink_the_plan():
    assert usual([0.01] * 4 + [0.3] * 8) == 0.01
    assert usual([0.02]) == 0.02
