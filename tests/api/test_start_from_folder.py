"""Whole runs that start from another maker's folder."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from safetensors.torch import load_file

import trueweight
from trueweight.errors import SpecError
from trueweight.train.folders import bodies_in_folder
from trueweight.train.starting import bodies_in, networks_in

FOLDERS = Path(__file__).parents[1] / "fixtures" / "foreign"
QUICK: dict[str, Any] = {"budget": {"steps": 4}, "batch_size": 16, "step_plan": "off"}


def rows(count: int = 120) -> pa.Table:
    rng = np.random.default_rng(0)
    notes = [" ".join(rng.choice(["the cat", "a mat", "the line", "two spaces"], 3)) for _ in range(count)]
    return pa.table({"note": notes, "cat": ["yes" if "cat" in note else "no" for note in notes]})


def classify(kind: str, **start: Any) -> dict[str, Any]:
    return {
        "features": {"note": "text"}, "targets": {"cat": "binary"}, "evaluate": {"baselines": []}, "train": QUICK,
        "model": {"encoder": {"type": "mlp"}, "start_from": {"source": kind, **start}}, "name": kind,
    }  # fmt: skip


@pytest.fixture
def at_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(FOLDERS, tmp_path / "foreign")
    monkeypatch.chdir(tmp_path / "foreign")
    return tmp_path / "foreign"


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_a_classifier_begins_with_a_folder_and_answers_from_its_bundle(at_folders: Path, kind: str):
    bundle = trueweight.train(rows(), spec=classify(kind, train="frozen"), out=at_folders / "runs")
    assert bundle.manifest.lineage is not None and "tensors" in json.dumps(bundle.manifest.to_json())
    again = trueweight.load(bundle.path)
    assert again.predict(rows(12)) == bundle.predict(rows(12))
    (network,) = [n for n in networks_in(again.predictor) if not n.solving]
    table = network.network.encoders["f0"].state_dict()
    theirs = load_file(at_folders / "bert" / "model.safetensors") if kind == "bert" else None
    if theirs is not None:
        found = [t for t in table.values() if t.shape[0] == theirs["embeddings.word_embeddings.weight"].shape[0] + 2]
        assert (found[0][2:] == theirs["embeddings.word_embeddings.weight"]).all()


def test_a_writer_begins_with_a_folder(at_folders: Path):
    spec = {
        "targets": {"note": "text"}, "evaluate": {"baselines": []}, "train": QUICK, "name": "writer",
        "model": {"encoder": {"type": "mlp"}, "start_from": "gpt2"},
    }  # fmt: skip
    bundle = trueweight.train(rows().select(["note"]), spec=spec, out=at_folders / "runs")
    assert bundle.manifest.lineage is not None
    assert len(bundle.predict(rows(3).select(["note"]))) == 3


def test_a_kind_that_is_not_known_is_told_before_anything_is_done(at_folders: Path):
    config = json.loads((at_folders / "bert" / "config.json").read_text())
    (at_folders / "bert" / "config.json").write_text(json.dumps({**config, "model_type": "t5"}))
    with pytest.raises(SpecError, match="models of type 't5' cannot be started from"):
        trueweight.train(rows(), spec=classify("bert"), out=at_folders / "runs")
    assert not (at_folders / "runs").exists()


def test_what_began_with_a_folder_is_written_as_one(at_folders: Path):
    bundle = trueweight.train(rows(), spec=classify("bert", train="frozen"), out=at_folders / "runs")
    found = trueweight.export(bundle.path, out=at_folders / "again")
    assert (found.kind, found.place, found.left_out) == ("bert", "features.note", ("cat",))
    mine, theirs = (load_file(at_folders / name / "model.safetensors") for name in ("again", "bert"))
    assert mine.keys() == {name for name in theirs if not name.startswith("pooler.")}
    assert all((mine[name] == theirs[name]).all() for name in mine)
    one, other = (bodies_in_folder(at_folders / name) for name in ("again", "bert"))
    assert one.parts["folder"].spelling == other.parts["folder"].spelling


def test_a_language_model_of_ours_is_written_and_taken_up_again(at_folders: Path):
    decoder = {"type": "transformer", "width": 16, "layers": 1, "heads": 2, "normalization": "layer",
               "positions": "learned", "qk_norm": False}  # fmt: skip
    spec = {
        "targets": {"note": {"type": "text", "decoder": decoder}}, "evaluate": {"baselines": []}, "train": QUICK,
        "name": "own", "model": {"encoder": {"type": "mlp"}},
    }  # fmt: skip
    bundle = trueweight.train(rows().select(["note"]), spec=spec, out=at_folders / "runs")
    found = trueweight.export(bundle, to="hf", out=at_folders / "own")
    assert found.kind == "gpt2"
    body = bodies_in_folder(at_folders / "own").parts["folder"]
    own = bodies_in(bundle.predictor, digest="", origin="").parts["targets.note"]
    assert body.spelling.tokens == 2 + own.spelling.tokens
    assert (body.tensors["table"][2:] == own.tensors["table"] * 4).all()  # 4: the root of the width


def test_what_is_built_otherwise_is_refused_with_every_difference(at_folders: Path):
    spec = classify("bert")
    spec["model"] = {"encoder": {"type": "mlp"}}
    small = {"type": "transformer", "width": 16, "layers": 1, "heads": 2}
    spec["features"] = {"note": {"type": "text", "encoder": small}}
    bundle = trueweight.train(rows(), spec=spec, out=at_folders / "runs")
    with pytest.raises(SpecError, match=r"llama: activation is 'gelu', not 'swiglu'"):
        trueweight.export(bundle, out=at_folders / "no")
    with pytest.raises(SpecError, match="models are not exported to 'tflite'"):
        trueweight.export(bundle, to="tflite", out=at_folders / "no")
    assert not (at_folders / "no").exists()
