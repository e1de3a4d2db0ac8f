"""What the evidence tells of a fit: which weights were kept, and who moved them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trueweight


def facts(tmp_path: Path, optimizer: Any) -> dict[str, Any]:
    x = np.random.default_rng(0).normal(size=(300, 3))
    lines = ["a,b,c,y", *(",".join(map(repr, row.tolist())) for row in np.column_stack([x, x[:, 0] * x[:, 1]]))]
    data = tmp_path / "data.csv"
    data.write_text("\n".join(lines) + "\n")
    raw = {
        "version": 1, "name": "run", "targets": {"y": "number"}, "model": {"encoder": {"type": "mlp"}},
        "train": {"budget": {"steps": 60}, "optimizer": optimizer, "batch_size": 32}, "evaluate": {"baselines": []},
    }  # fmt: skip
    return {e.id: e for e in trueweight.train(data, spec=raw, out=tmp_path / "out").evidence}


def test_the_weights_kept_are_those_that_validation_rows_liked_best(tmp_path: Path):
    found = facts(tmp_path, {"type": "adamw", "learning_rate": 0.01})
    raw, averaged = (dict(found[f"fit/0/curve/{name}"].curve.points) for name in ("validation", "averaged"))
    best = min(*raw.values(), *averaged.values())
    steps = {f"weights of step {step:.0f}" for step, score in raw.items() if score == best}
    steps |= {f"averaged weights of step {step:.0f}" for step, score in averaged.items() if score == best}
    assert found["fit/0/weights"].value in steps
    assert found["fit/0/optimizer"].value == "adamw"


@pytest.mark.parametrize(("layers", "few"), [("all", True), ("auto", False)])
def test_who_moved_which_weights(tmp_path: Path, layers: str, few: bool):
    told = facts(tmp_path, {"type": "muon", "layers": layers})["fit/0/optimizer"].value
    # Matrices of 32 rows a step are dear; all of them are moved so where that is asked for.
    if few:
        assert told.startswith("muon ")
        assert ".weight" in told
        assert told.endswith("; adamw the others")
    else:
        assert told == "adamw"
