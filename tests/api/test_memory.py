"""``show --memory``: what a spec needs, before anything is trained."""

from pathlib import Path

import numpy as np
import pytest

from trueweight import api
from trueweight.errors import SpecError
from trueweight.train.starting import networks_in

ROWS = 1000


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = [f"{a:.4f},{'xyz'[i % 3]},{a * 2:.4f}" for i, a in enumerate(rng.normal(size=ROWS))]
    (tmp_path / "a.csv").write_text("\n".join(["a,b,y", *lines]))
    path = tmp_path / "a.yaml"
    path.write_text("data: {source: a.csv}\ntargets: {y: number}\ntrain: {batch_size: 128}\n")
    return path


def test_members_that_take_steps_tell_all_and_solved_ones_their_size(spec: Path) -> None:
    solved, descended = api.memory(spec)
    assert (solved["name"], solved["fitter"]) == ("linear", "solve")
    assert "total" not in solved
    assert descended["batch_size"] == 128
    parts = ("weights", "gradients", "optimizer", "copies", "activations", "rows")
    assert all(descended[part] > 0 for part in parts)
    assert descended["total"] == sum(descended[part] for part in parts)
    steady = sum(descended[part] for part in ("weights", "optimizer", "copies", "rows"))
    assert descended["whole"] == max(descended["total"], steady + descended["between"])
    assert descended["gradients"] == 4 * descended["parameters"]
    assert descended["rows"] > 0.6 * ROWS * (3 * 4)  # a number, a code, a target


def test_it_is_what_the_plan_of_a_run_says(spec: Path, tmp_path: Path) -> None:
    _, predicted = api.memory(spec)
    bundle = api.train(spec=spec, settings=["train.budget.steps=3"], out=tmp_path / "run")
    planned = next(m for m in bundle.plan["members"] if m["name"] == predicted["name"])
    assert planned["batch_size"] == predicted["batch_size"]
    # The run holds all rows as tensors, the prediction those that train.
    assert planned["memory_bytes"] == pytest.approx(predicted["whole"], rel=0.02)


def test_settings_count(spec: Path) -> None:
    whole, pieces = (api.memory(spec, settings=[f"train.accumulate={n}"])[1]["activations"] for n in (1, 4))
    assert pieces < 0.6 * whole


def test_a_wrong_spec_is_told(spec: Path) -> None:
    spec.write_text("targets: {y: number}\ntrain: {acumulate: 2}\n")
    with pytest.raises(SpecError, match="acumulate"):
        api.memory(spec)


def test_a_run_in_pieces_ends_where_the_whole_one_does(spec: Path, tmp_path: Path) -> None:
    small = ["train.budget.steps=20", "model.encoder.type=mlp", "model.encoder.dropout=0.0"]

    def answers(pieces: int) -> np.ndarray:
        settings = [*small, f"train.accumulate={pieces}"]
        bundle = api.train(spec=spec, settings=settings, out=tmp_path / f"run-{pieces}")
        return api.predict(bundle, str(spec.parent / "a.csv"))["y"]

    # Sums in another order, twenty steps of Adam: far below what any metric would show.
    np.testing.assert_allclose(answers(3), answers(1), atol=2e-3)


def test_what_writes_counts_like_what_reads(tmp_path: Path) -> None:
    words = [" ".join("abc"[(i + k) % 3] * 3 for k in range(5 + i % 4)) for i in range(120)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b", *(f"{word},{word[::-1]}" for word in words)]))
    path, part = tmp_path / "t.yaml", "{type: transformer, width: 16, heads: 2, layers: %d}"
    parts = f"features: {{a: {{type: text, encoder: {part % 1}}}}}\ntargets: {{b: {{type: text, decoder: {part}}}}}\n"
    found = []
    for layers in (1, 3):
        path.write_text(f"data: {{source: t.csv}}\n{parts % layers}train: {{batch_size: 16}}\n")
        (member,) = api.memory(path)
        found.append(member)
    # Of a layer: four matrices of attention to itself and four to what is read, and the perceptron of four widths.
    assert found[1]["parameters"] - found[0]["parameters"] > 2 * (8 + 8) * 16 * 16
    assert all(
        found[1][part] > found[0][part] for part in ("weights", "gradients", "optimizer", "activations", "whole")
    )
    bundle = api.train(spec=path, settings=["train.budget.steps=2", "evaluate.checks=[]", "evaluate.baselines=[]"],
                       out=tmp_path / "run")  # fmt: skip
    (leaf,) = networks_in(bundle.predictor)
    assert found[1]["parameters"] == sum(p.numel() for p in leaf.network.parameters())
