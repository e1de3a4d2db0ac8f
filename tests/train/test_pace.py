"""How long steps take is remembered for the next run of the same, and corrected by what the run then took."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trueweight
from trueweight.files import cache_dir
from trueweight.train.fitters.gradient import GradientFitter
from trueweight.train.job import Job, fit_member
from trueweight.train.pace import Pace, pace_path
from trueweight.train.probe import decide_plan
from trueweight.train.watch import Stopwatch

PACE = Pace(batch_size=16, memory_bytes=1000, seconds_per_step=0.25, seconds_per_look=1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pace.json"


def test_what_is_remembered_is_recalled(path: Path):
    assert Pace.recalled(path) is None
    PACE.remember(path)
    assert Pace.recalled(path) == PACE


@pytest.mark.parametrize("content", ["", "[1]", '{"batch_size": 16}', "null"])
def test_what_cannot_be_read_is_measured_again(path: Path, content: str):
    path.write_text(content)
    assert Pace.recalled(path) is None


def test_times_below_zero_are_not_believed(path: Path):
    PACE.remember(path)
    path.write_text(path.read_text().replace("0.25", "-0.25"))
    assert Pace.recalled(path) is None


def test_a_remembered_pace_decides_the_plan(make_job: Callable[..., Job], path: Path):
    PACE.remember(path)
    plan = decide_plan(make_job(train={"budget": {"time": 60}}, pace=path), Stopwatch())
    assert (plan.batch_size, plan.memory_bytes, plan.seconds_per_step) == (16, 1000, 0.25)
    looks = plan.steps // plan.validate_every
    assert plan.steps * 0.25 + looks * 2.0 == pytest.approx(60, rel=0.1)


def test_a_run_measures_and_then_corrects(make_job: Callable[..., Job], path: Path):
    decide_plan(make_job(pace=path), Stopwatch())
    measured = Pace.recalled(path)
    assert measured is not None
    assert measured.seconds_per_step < 0.25
    PACE.remember(path)
    result = fit_member(make_job(train={"budget": {"steps": 60}}, pace=path), GradientFitter())
    assert result.steps == 60
    assert Pace.recalled(path) == PACE.corrected(0.0)  # it was far quicker: a quarter, the most that one run may say


def test_a_pace_only_gets_faster(path: Path):
    assert PACE.corrected(3.0) == PACE
    assert PACE.corrected(0.5).seconds_per_step == 0.125


def test_a_pace_of_a_busy_hour_is_not_believed(make_job: Callable[..., Job], path: Path):
    decide_plan(make_job(pace=path), Stopwatch())
    measured = Pace.recalled(path)
    assert measured is not None
    busy = Pace(measured.batch_size, measured.memory_bytes, 0.03, 0.05)
    busy.remember(path)
    plan = decide_plan(make_job(train={"budget": {"time": 60}}, pace=path), Stopwatch())
    assert plan.seconds_per_step < 0.03


def test_a_pace_belongs_to_what_was_asked():
    assert pace_path("data", {"a": 1}) == pace_path("data", {"a": 1}) != pace_path("data", {"a": 2})


def trained(folder: Path, data: Path, budget: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The network's plan, and the evidence's values."""
    raw = {
        "version": 1, "name": "run", "targets": {"y": "number"}, "model": {"encoder": {"type": "mlp"}},
        "train": {"budget": budget, "early_stopping": None}, "evaluate": {"baselines": []},
    }  # fmt: skip
    bundle = trueweight.train(data, spec=raw, out=folder)
    plan = json.loads((folder / "plan.json").read_text())["members"][0]
    return plan, {e.id: e.value for e in bundle.evidence}


def test_the_second_run_hardly_measures_and_tells_where_its_time_went(tmp_path: Path):
    x = np.random.default_rng(0).normal(size=(400, 3))
    data = tmp_path / "data.csv"
    lines = ["a,b,c,y", *(",".join(map(repr, row.tolist())) for row in np.column_stack([x, x[:, 0] * 2]))]
    data.write_text("\n".join(lines) + "\n")
    first, _ = trained(tmp_path / "one", data, {"steps": 30})
    (kept,) = (cache_dir() / "paces").glob("*.json")
    slow = Pace.recalled(kept)
    assert slow is not None
    replace(slow, seconds_per_step=7.0).remember(kept)
    second, facts = trained(tmp_path / "two", data, {"steps": 30, "time": "1h"})
    assert second["seconds_per_step"] == 7.0
    assert second["batch_size"] == first["batch_size"]
    for stage in ("reading", "preparing", "opening_the_run", "encoding"):
        assert 0 <= facts[f"cost/start/{stage}"] < 60
    assert 0 < facts["fit/0/first_step"] <= facts["fit/0/seconds"]
