"""Whole runs that start from another maker's folder of pictures, and are written as one."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from safetensors.torch import load_file

import trueweight
from trueweight.errors import SpecError
from trueweight.train.starting import networks_in

FOLDERS = Path(__file__).parents[1] / "fixtures" / "foreign"


def rows(count: int = 60) -> pa.Table:
    """Pictures of 40 by 30, bright on one side."""
    rng, photos = np.random.default_rng(0), []
    for number in range(count):
        value = rng.integers(0, 90, (30, 40, 1), dtype=np.uint8)
        value[:, slice(20) if number % 2 else slice(20, None)] += 120
        stream = io.BytesIO()
        Image.fromarray(value[:, :, 0]).save(stream, "PNG")
        photos.append(stream.getvalue())
    return pa.table({"photo": photos, "side": ["left" if n % 2 else "right" for n in range(count)]})


def classify(kind: str, train: str = "frozen", **photo: Any) -> dict[str, Any]:
    return {
        "features": {"photo": {"type": "image", "augment": [], **photo}}, "targets": {"side": "binary"}, "name": kind,
        "evaluate": {"baselines": []}, "train": {"budget": {"steps": 2}, "batch_size": 16, "step_plan": "off"},
        "model": {"encoder": {"type": "mlp"}, "start_from": {"source": kind, "train": train}},
    }  # fmt: skip


@pytest.fixture
def at_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(FOLDERS, tmp_path / "foreign")
    monkeypatch.chdir(tmp_path / "foreign")
    return tmp_path / "foreign"


def test_a_classifier_of_pictures_begins_with_a_folder_and_is_written_as_one(at_folders: Path):
    bundle = trueweight.train(rows(), spec=classify("resnet-bottleneck"), out=at_folders / "runs")
    assert bundle.manifest.lineage is not None and "encoder" in json.dumps(bundle.manifest.to_json())
    again = trueweight.load(bundle.path)
    assert again.predict(rows(8)) == bundle.predict(rows(8))
    facts = bundle.signature.columns["photo"]
    assert list(facts.learnt["size"]) == [36, 36] and facts.learnt["channels"] == 3  # grey ones, as theirs reads them
    found = trueweight.export(bundle.path, out=at_folders / "again")
    assert (found.kind, found.place, found.left_out, found.unsaid) == ("resnet", "features.photo", ("side",), ())
    mine, theirs = (load_file(at_folders / name / "model.safetensors") for name in ("again", "resnet-bottleneck"))
    assert mine.keys() == {name.removeprefix("resnet.") for name in theirs if not name.startswith("classifier.")}
    assert all((mine[name] == theirs[f"resnet.{name}"]).all() for name in mine)  # frozen, running means too
    one, other = (
        json.loads((at_folders / n / "preprocessor_config.json").read_text()) for n in ("again", "resnet-bottleneck")
    )
    assert {name: one[name] for name in ("image_mean", "image_std", "size", "crop_size")} == {
        name: other[name] for name in ("image_mean", "image_std", "size", "crop_size")
    }


def test_all_of_it_can_learn_on_at_another_size(at_folders: Path):
    bundle = trueweight.train(rows(), spec=classify("resnet-basic", "whole", size=48), out=at_folders / "runs")
    (network,) = [n for n in networks_in(bundle.predictor) if not n.solving]
    stem = network.network.encoders["f0"].state_dict()
    before = load_file(at_folders / "resnet-basic" / "model.safetensors")["resnet.embedder.embedder.convolution.weight"]
    (weight,) = [tensor for name, tensor in stem.items() if name.endswith("stem.0.weight")]
    assert 0 < (weight - before).abs().max() < 0.5
    assert list(bundle.signature.columns["photo"].learnt["size"]) == [48, 48]


def test_an_encoder_of_other_options_is_refused(at_folders: Path):
    spec = classify("resnet-basic", encoder={"type": "resnet", "layers": 18, "width": 4, "small": False})
    with pytest.raises(SpecError, match="layers is 18 here and 10 there"):
        trueweight.train(rows(), spec=spec, out=at_folders / "runs")
    spec = classify("resnet-basic", encoder={"type": "cnn", "channels": [4]})
    with pytest.raises(SpecError, match=r"no encoder fits: this model has .*cnn.*, that one resnet"):
        trueweight.train(rows(), spec=spec, out=at_folders / "runs")


def test_layers_cannot_be_counted(at_folders: Path):
    with pytest.raises(SpecError, match="not made of layers that could be counted"):
        trueweight.train(rows(), spec=classify("resnet-basic", "last_layers"), out=at_folders / "runs")
