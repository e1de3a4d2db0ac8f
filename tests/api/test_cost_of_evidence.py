"""What a run says of its own cost: fitting, the simple models, judging, and every check apart."""

from pathlib import Path

import numpy as np

import trueweight
from trueweight.evaluate.checks import CHECKS


def test_each_part_of_a_run_and_each_check_tell_their_seconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = {"a": rng.normal(size=300), "b": rng.normal(size=300), "y": rng.choice(["no", "yes"], 300)}
    spec = {"targets": {"y": "binary"}, "model": {"preset": "fast"}, "train": {"budget": {"time": "5s"}}}
    bundle = trueweight.train(data, spec=spec, out=tmp_path / "run")
    found = {entry.id: entry for entry in bundle.evidence}
    parts = [found[f"cost/{part}/wall_seconds"].value for part in ("fit", "baselines", "judge")]
    assert sum(parts) <= found["cost/train/wall_seconds"].value
    assert found["cost/fit/wall_seconds"].value >= found["fit/0/seconds"].value - 0.001  # which is rounded
    assert [entry.metric for entry in bundle.evidence].count("wall_seconds") == 1  # gates mean the whole run
    checks = {name: found[f"cost/check/{name}"] for name in CHECKS}
    assert sum(entry.value for entry in checks.values()) <= found["cost/judge/wall_seconds"].value + 0.01
    assert all(entry.cost["seconds"] == entry.value for entry in checks.values())
    assert sum(entry.cost["cpu_seconds"] for entry in checks.values()) <= found["cost/judge/cpu_seconds"].value + 0.01
