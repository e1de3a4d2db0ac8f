"""kill -9 at any moment of a whole run, and --resume: the same bundle in the end. By really killing."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trueweight import api
from trueweight.cli.main import run

STEPS = ("--set", "train.budget.steps=60")

SPEC = """\
name: rows
data: {source: rows.csv}
targets: {won: {type: binary}}
model:
  members:
    - {name: line, encoder: linear, fusion: concat, fitter: solve}
    - {name: net, encoder: {type: mlp, hidden_sizes: [16], members: 2, dropout: 0.2}, fusion: concat, fitter: gradient}
evaluate: {interval: {n_resamples: 100}}
"""
"""A blend that is small enough to be killed twenty times."""

STAGES = (
    "train.runs:write_json:1",  # before the run says that it has begun
    "data.blocks:_put:2",  # encoding
    "train.plan:Plan.write:1",  # probing is over, its plan not yet written
    "train.descent:Descent.after:25",  # fitting, between two checkpoints
    "train.checkpoint:write_json:1",  # a checkpoint without its head
    "evaluate.measure:quality:2",  # the test rows are open
    "bundle.save:_write_file:30",  # half of the model's bundle; the baselines' are whole
    "train.runs:Run.finish:1",  # the bundle is there, and nobody was told
)
MORE_STAGES = (
    "train.runs:write_atomic:2", "data.blocks:write_json:2", "train.probe:decide_plan:1",
    "train.descent:Descent.after:1", "train.descent:Descent.look:2", "train.members:greedy_blend:1",
    "evaluate.baselines:fit_linear:1", "bundle.save:_write_file:4", "api.run:make_golden:2",
)  # fmt: skip


def call(place: Path, kills: str, *arguments: str) -> list[dict[str, Any]]:
    script = Path(__file__).with_name("kill_run.py")
    command = [sys.executable, str(script), kills, "--", "train", "rows.yaml", *arguments]
    # Encoded here, not taken from another run.
    own = os.environ | {"TRUEWEIGHT_CACHE": str(place / f"cache {arguments[-1]}")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=place, env=own)
    assert done.returncode == 0, done.stderr
    story: list[dict[str, Any]] = json.loads(done.stdout)
    return story


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("killed")


@pytest.fixture
def rows(place: Path, make_csv: Callable[..., Path], make_table: Callable[..., Any]) -> Path:
    columns = make_table(240)
    del columns["cost"]
    (place / "rows.yaml").write_text(SPEC)
    return make_csv(place / "rows.csv", columns)


@pytest.fixture
def whole(place: Path, rows: Path) -> Path:
    """The same run, uninterrupted."""
    if not (place / "whole").exists():
        assert [end["end"] for end in call(place, "", *STEPS, "--out", "whole")] == [0]
    return place / "whole" / "rows.bundle"


def looks(place: Path) -> int:
    return len((place / "looks.jsonl").read_text().splitlines())


def assert_same(one: Path, other: Path, weights: Any, facts: Any) -> None:
    assert weights(one) == weights(other)
    assert facts(api.load(one)) == facts(api.load(other))


def test_killed_at_every_stage(place: Path, whole: Path, weights: Any, facts: Any) -> None:
    before = looks(place)
    story = call(place, " ".join(STAGES), *STEPS, "--out", "broken")
    assert [part["end"] for part in story] == ["killed"] * len(STAGES) + [0], story
    assert_same(place / "broken" / "rows.bundle", whole, weights, facts)
    half = story[STAGES.index("bundle.save:_write_file:30")]["names"]
    assert any(name.startswith(".rows.bundle.") for name in half)
    assert "rows.bundle" not in half
    left = {path.name for path in (place / "broken").iterdir()}
    assert left == {
        ".lock", "checkpoints", "constant.bundle", "linear.bundle", "rows.bundle", "plan.json", "resolved.yaml",
        "run.json", "spec.yaml",
    }  # fmt: skip
    # A killed run may have seen the test rows: each opening of them counts, and the last says the how-manieth it was.
    assert looks(place) - before == 4
    assert api.load(place / "broken" / "rows.bundle").evidence.find("ledger/test/look").value == looks(place)


def test_a_finished_run_has_nothing_to_resume(
    place: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    assert run(["train", "rows.yaml", *STEPS, "--out", "whole", "--resume"]) == 4
    said = capsys.readouterr().err
    assert "nothing to resume: the run has finished" in said
    assert "rows.bundle" in said
    assert whole.exists()


def test_seconds_with_the_same_plan(place: Path, rows: Path, weights: Any, facts: Any) -> None:
    timed = ("--budget", "0.4s")
    story = call(place, "train.descent:Descent.after:1", *timed, "--out", "timed")
    assert [part["end"] for part in story] == ["killed", 0]  # before its first checkpoint: it must not plan again
    *_, net = json.loads((place / "timed/plan.json").read_text())["members"]
    # By places it passes, not by seconds: a fast machine has finished before they are over.
    kills = f"train.descent:Descent.after:{max(1, net['steps'] // 2)} train.members:greedy_blend:1"
    story = call(place, kills, *timed, "--plan", "timed/plan.json", "--out", "again")
    assert [part["end"] for part in story] == ["killed", "killed", 0]
    assert_same(place / "again" / "rows.bundle", place / "timed" / "rows.bundle", weights, facts)
    assert rows.exists()


@pytest.mark.slow
def test_killed_at_random_moments(place: Path, whole: Path, weights: Any, facts: Any) -> None:
    draw = random.Random(5)
    moments = [f"after:{draw.uniform(0.02, 1.5):.2f}" for _ in range(12)]
    story = call(place, " ".join([*MORE_STAGES, *moments]), *STEPS, "--out", "random")
    assert [part["end"] for part in story].count("killed") >= len(MORE_STAGES)
    assert_same(place / "random" / "rows.bundle", whole, weights, facts)


@pytest.mark.slow
def test_the_real_command_killed_from_outside(place: Path, whole: Path, weights: Any, facts: Any) -> None:
    draw = random.Random(6)
    command = [sys.executable, "-m", "trueweight", "train", "rows.yaml", *STEPS, "--out", "real"]
    for attempt in range(8):
        process = subprocess.Popen([*command, "--resume"] if (place / "real").exists() else command, cwd=place)
        try:
            process.wait(timeout=draw.uniform(0.5, 6) + attempt)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        else:
            break
    if process.returncode == -signal.SIGKILL:  # a busy machine takes longer than all attempts: now it may end
        process = subprocess.Popen([*command, "--resume"] if (place / "real").exists() else command, cwd=place)
        process.wait()
    assert process.returncode == 0
    assert_same(place / "real" / "rows.bundle", whole, weights, facts)
