"""kill -9 at any step, and resume: the same final weights, bit for bit. By really killing."""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trueweight.train.plan import MemberPlan, Plan


def run(folder: Path, budget: str, kills: str) -> dict:
    folder.mkdir(exist_ok=True)
    script = Path(__file__).with_name("kill_me.py")
    command = [sys.executable, str(script), str(folder), budget, kills]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def kills() -> str:
    """Before anything is written, in a first step, at random steps, and at random moments."""
    draw = random.Random(20)  # the moments are random anyhow, since the machine's pace is
    steps = [f"step:{draw.randint(2, 90)}" for _ in range(4)]
    return " ".join(["after:0.01", "step:1", *steps, *[f"after:{draw.uniform(0.05, 0.3):.2f}" for _ in range(4)]])


def test_with_a_budget_of_steps(tmp_path: Path, kills: str):
    whole = run(tmp_path / "whole", "steps=300", "")
    broken = run(tmp_path / "broken", "steps=300", kills)
    assert broken.pop("killed") >= 6
    assert whole.pop("killed") == 0
    assert broken == whole


def test_with_a_budget_of_seconds_and_the_same_plan(tmp_path: Path, kills: str):
    broken = run(tmp_path / "broken", "seconds=1.5", kills)
    assert broken.pop("killed") >= 6
    (tmp_path / "whole").mkdir()
    shutil.copy(tmp_path / "broken" / "plan.json", tmp_path / "planned.json")
    Plan.read(tmp_path / "planned.json").replayed().write(tmp_path / "whole" / "plan.json")
    whole = run(tmp_path / "whole", "seconds=1.5", "")
    assert whole.pop("killed") == 0
    assert broken == whole


def test_with_a_plan_of_other_steps(tmp_path: Path, kills: str):
    """Half precision, another layout, another kernel, another rate: none of them needs a memory of its own."""
    chosen = {"dtype": "bfloat16", "layout": "channels_last", "optimizer": "foreach", "rate": 0.5}
    counts = {"steps": 300, "batch_size": 64, "validate_every": 20, "checkpoint_every": 7}
    found = {}
    for name, killed in (("whole", ""), ("broken", kills)):
        (tmp_path / name).mkdir()
        Plan((MemberPlan(name="toy", epochs=64.0, **counts, **chosen),)).write(tmp_path / name / "plan.json")
        found[name] = run(tmp_path / name, "steps=300", killed)
    assert found["broken"].pop("killed") >= 6
    assert found["whole"].pop("killed") == 0
    assert found["broken"] == found["whole"]
    plain = run(tmp_path / "plain", "steps=300", "")
    assert plain["weights"] != found["whole"]["weights"]  # the plan was followed
