"""The step plan from end to end: forced by a plan file, told by evidence and ``show``, not in the bundle's weights."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from safetensors.numpy import load_file

from trueweight import api
from trueweight.api.run import _trial_entry
from trueweight.cli.main import run
from trueweight.cli.show import _lines
from trueweight.train.plan import MemberPlan, Trial

SPEC: dict[str, Any] = {
    "version": 1, "name": "run", "targets": {"label": "category"}, "evaluate": {"baselines": [], "checks": []},
    "features": {"image": {"type": "image", "augment": [], "encoder": {"type": "cnn", "channels": [8, 16]}}},
    "model": {"encoder": {"type": "mlp", "hidden_sizes": [8]}},
    "train": {"budget": {"steps": 20}, "batch_size": 16, "optimizer": "adamw"},
}  # fmt: skip
OTHER = {"dtype": "bfloat16", "layout": "channels_last", "optimizer": "foreach", "rate": 0.5}


@pytest.fixture
def pictures() -> pd.DataFrame:
    """Dark ones and light ones."""
    rng = np.random.default_rng(0)

    def png(level: int) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(rng.integers(level, level + 60, (8, 8, 3), dtype=np.uint8)).save(stream, "PNG")
        return stream.getvalue()

    levels = [40, 150] * 50
    labels = ["dark" if level < 100 else "light" for level in levels]
    return pd.DataFrame({"image": [png(level) for level in levels], "label": labels})


def weights(bundle: Any) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for path in sorted(bundle.path.rglob("*.safetensors")):
        found |= {f"{path.name}/{name}": array for name, array in load_file(path).items()}
    return found


def test_a_plan_forces_other_steps_and_the_bundle_is_as_ever(
    pictures: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    plain = api.train(pictures, spec=SPEC, out=tmp_path / "plain")
    raw = json.loads((tmp_path / "plain" / "plan.json").read_text())
    raw["members"] = [member | OTHER for member in raw["members"]]
    (tmp_path / "forced.json").write_text(json.dumps(raw))
    once, again = (
        api.train(pictures, spec=SPEC, out=tmp_path / name, plan=tmp_path / "forced.json") for name in ("once", "again")
    )
    (followed,) = once.plan["members"]
    assert {key: followed[key] for key in OTHER} == OTHER
    ours, theirs, same = weights(plain), weights(once), weights(again)
    assert all(np.array_equal(theirs[name], same[name]) for name in theirs)  # bit for bit
    assert any(not np.array_equal(ours[name], theirs[name]) for name in ours)
    assert {name: (a.dtype, a.shape) for name, a in ours.items()} == {n: (a.dtype, a.shape) for n, a in theirs.items()}
    assert np.float16 not in {array.dtype for array in theirs.values()}
    assert run(["verify", str(once.path)]) == 0  # its golden rows are answered as they were when it was tested
    told = plain.evidence.find("fit/0/step_plan/all")
    assert (told.status, told.reason) == ("not_run", "the budget has no time limit, so no clock is read")
    assert not [e for e in once.evidence if "step_plan" in e.id]  # it was not measured in that run
    assert "seconds a step" not in (plain.path / "MODEL_CARD.md").read_text()
    capsys.readouterr()
    assert run(["show", str(plain.path)]) == 0
    assert "Step plan of mlp: plain. the budget has no time limit" in capsys.readouterr().out


@pytest.mark.slow
def test_what_was_tried_is_told(pictures: pd.DataFrame, tmp_path: Path):
    """A run that is long enough measures; whatever comes out, evidence and plan tell the same."""
    budget = {"time": 30}
    spec = SPEC | {"train": SPEC["train"] | {"budget": budget, "early_stopping": None}}
    bundle = api.train(pictures, spec=spec, out=tmp_path / "run")
    (member,) = bundle.plan["members"]
    trials = {trial["name"]: trial for trial in member["trials"]}
    if "all" in trials and trials["all"]["reason"].startswith("the run is too short"):
        pytest.skip("this machine is too busy: " + trials["all"]["reason"])
    assert sum(trial["chosen"] for trial in trials.values()) >= 1
    for name, trial in trials.items():
        entry = bundle.evidence.find(f"fit/0/step_plan/{name.replace(' ', '_')}")
        assert entry.status == trial["status"]
        assert (entry.value is None) == (trial["seconds"] is None)
        assert entry.value is None or entry.value == pytest.approx(trial["seconds"], rel=1e-3)
    assert trials["batch 32"]["reason"] == "train.batch_size was asked for"


def test_each_way_is_an_entry():
    slow = Trial(name="1 thread", seconds=0.0123456, ratio=1.2, difference=0.0, agrees=True, reason="slower")
    told = _trial_entry("fit/0", "cnn", slow)
    assert (told.id, told.metric) == ("fit/0/step_plan/1_thread", "seconds a step of cnn, 1 thread")
    assert (told.value, told.unit, told.status, told.reason) == (0.01235, "s", "measured", "slower")
    assert told.method is not None
    assert told.method.parameters == {
        "time of a row to plain": 1.2, "difference of losses": 0.0, "losses agree": True, "chosen": False,
    }  # fmt: skip
    broken = _trial_entry("fit/0", "cnn", Trial(name="float16", status="failed", reason="RuntimeError: no kernel"))
    assert (broken.value, broken.status, broken.reason) == (None, "failed", "RuntimeError: no kernel")


def test_the_table_is_printed():
    counts = {"steps": 10, "batch_size": 32, "epochs": 1.0, "validate_every": 5, "checkpoint_every": 5}
    trials = (
        Trial(name="plain", seconds=0.01, ratio=1.0, difference=0.0, agrees=True),
        Trial(name="channels last", seconds=0.006, ratio=0.6, difference=1e-6, agrees=True, chosen=True),
        Trial(name="bfloat16", seconds=0.004, ratio=0.4, difference=0.3, agrees=False, reason="its losses differ"),
        Trial(name="compiled", status="not_run", reason="out of time"),
    )
    plan = MemberPlan(name="cnn", **counts, trials=trials)
    facts = {"name": "run", "columns": [], "plan": {"members": [json.loads(json.dumps(plan.to_json()))]}}
    assert list(_lines(facts))[-6:] == [
        "Step plan of cnn:",
        "  way             ms a step   to plain, a row   losses agree",
        "  plain                  10              1.00            yes",
        "  channels last           6              0.60            yes   chosen",
        "  bfloat16                4              0.40             NO   its losses differ",
        "  compiled                                           not run   out of time",
    ]
