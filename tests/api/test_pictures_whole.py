"""Pictures from files to answers: folders, tables with paths, broken ones among good ones, a mixed table."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from trueweight import api
from trueweight.cli.main import run
from trueweight.data.read import read_table
from trueweight.errors import DataError, SpecError
from trueweight.spec.load import parse_spec
from trueweight.train.prepare import prepare

RNG = np.random.default_rng(0)
SMALL: dict[str, Any] = {
    "model": {"encoder": {"type": "mlp", "hidden_sizes": [8], "embedding_size": 4}},
    "train": {"budget": {"steps": 40}, "batch_size": 16, "optimizer": {"type": "adamw", "learning_rate": 0.003}},
}


def png(level: int) -> bytes:
    """A noisy picture, dark or light."""
    stream = io.BytesIO()
    Image.fromarray(RNG.integers(level, level + 60, (8, 8, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Sixty dark and sixty light pictures."""
    for label, level in (("dark", 40), ("light", 150)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(60):
            (tmp_path / "photos" / label / f"{number}.png").write_bytes(png(level))
    return tmp_path / "photos"


def accuracy(bundle: Any) -> float:
    return next(e.value for e in bundle.evidence.entries if e.axis == "quality" and e.metric == "accuracy")


def test_a_folder_is_learnt_and_answered(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    bundle = api.train(photos, target="label", settings=["train.budget.steps=40", "train.batch_size=16"])
    assert accuracy(bundle) == 1.0
    with (photos / "new.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file"], ["dark/3.png"], ["light/4.png"], ["nowhere.png"]])
    answers = bundle.predict(read_table(photos / "new.csv"))
    assert answers.column("label").to_pylist()[:2] == ["dark", "light"]


def test_a_picture_beside_other_columns(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    rows = [(f"{label}/{i}.png", i % 7, label) for label in ("dark", "light") for i in range(60)]
    with (photos / "all.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("photo", "size", "kind"), *rows])
    encoder = {"type": "cnn", "channels": [4]}
    spec = {"targets": {"kind": "binary"}, "features": {"photo": {"type": "image", "encoder": encoder}}, **SMALL}
    bundle = api.train(photos / "all.csv", spec=spec)
    assert accuracy(bundle) > 0.9


def test_mixed_pictures_are_learnt(photos: Path, tmp_path: Path):
    photo = {"type": "image", "augment": ["mixup"], "encoder": {"type": "cnn", "channels": [4]}}
    spec = {"targets": {"label": "binary"}, "features": {"file": photo}, **SMALL}
    bundle = api.train(photos, spec=spec, settings=["train.accumulate=2"], out=tmp_path / "run")
    assert accuracy(bundle) > 0.9


def test_augmentations_that_cannot_be_done_are_refused_together(photos: Path):
    (photos / "all.csv").write_text(
        "photo,size,label\n" + "".join(f"dark/{i}.png,{i},{'ab'[i % 2]}\n" for i in range(60))
    )
    augment = ["mixup", "shift", "mixup"]
    raw = {"data": {"source": "all.csv"}, "targets": {"label": "binary"},
           "features": {"photo": {"type": "image", "augment": augment}, "size": "number"}}  # fmt: skip
    (photos / "spec.yaml").write_text(json.dumps({"version": 1, **raw}))
    for refused in (
        lambda: api.check(photos / "spec.yaml"),
        lambda: prepare(read_table(photos / "all.csv"), parse_spec(raw)),
    ):
        with pytest.raises(SpecError, match="2 augmentations cannot be done") as caught:
            refused()
        assert "'mixup' mixes whole rows, and cannot mix 'size': leave it out, or learn from 'photo' alone" in str(
            caught.value
        )
        assert "'mixup' and 'mixup' both mix rows: keep one" in str(caught.value)


@pytest.mark.parametrize(
    ("encoder", "says"),
    [
        ("mlp", "encoder 'mlp' reads numbers and categories, no pictures, sounds, texts or series"),
        ("bag", "encoder 'bag' reads texts, and these columns are none"),
    ],
)
def test_encoders_that_cannot_read_pictures_are_told_with_the_column(photos: Path, encoder: str, says: str):
    spec = {"targets": {"label": "binary"}, "features": {"file": {"type": "image", "encoder": encoder}}}
    with pytest.raises(SpecError, match=says) as caught:
        api.train(photos, spec=spec, settings=["train.budget.steps=2"], out=photos.parent / "run")
    assert caught.value.where == "features.file.encoder"
    assert caught.value.hint


def test_broken_ones_are_left_out_and_counted(photos: Path):
    (photos / "dark" / "3.png").write_bytes(b"")
    raw = {"targets": {"label": "binary"}, "data": {"max_bad_rows": 0.05}}
    ready = prepare(read_table(photos), parse_spec(raw))
    assert len(ready.cases) == 119
    assert any("1 row left out whose files are broken or missing" in note for note in ready.cases.notes)
    assert ready.signature.columns["file"].notes == {"empty file": 1}


def test_a_frame_of_whole_paths(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any):
    """They are followed where the folder is named, while training and while answering; the bundle does not tell it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    rows = [(str(photos / label / f"{i}.png"), label) for label in ("dark", "light") for i in range(60)]
    frame = pd.DataFrame(rows, columns=["photo", "kind"])
    with pytest.raises(DataError, match="no column is left") as caught:
        api.train(frame, target="kind")
    assert "name a folder that holds them, data.media_dir" in caught.value.hint
    settings = ["model.preset=fast", "features.photo.type=image"]
    with pytest.raises(DataError, match=r"path out of the data's folder: 120") as caught:
        api.train(frame, target="kind", settings=settings)
    assert "data.media_dir" in caught.value.hint
    bundle = api.train(frame, target="kind", settings=[*settings, f"data.media_dir={tmp_path}"])
    assert accuracy(bundle) == 1.0
    asked = frame[["photo"]]
    assert (bundle.predict(asked, media_dir=photos)["kind"] == frame["kind"]).all()
    assert (api.predict(bundle, asked, media_dir="..")["kind"] == frame["kind"]).all()
    assert bundle.evaluate(frame, media_dir=photos).entries
    assert api.verify(bundle.path, recompute=True, data=frame, media_dir=tmp_path).ok
    asked.to_csv("new.csv", index=False)
    assert run(["predict", str(bundle.path), "new.csv", "--media-dir", str(photos), "-o", "out.csv"]) == 0
    assert (pd.read_csv("out.csv")["kind"] == frame["kind"]).all()
    caplog.clear()
    bundle.predict(asked)
    assert "photo: path out of the data's folder in 120 rows, answered as missing; to follow it, name" in caplog.text


def test_wrong_paths_end_the_run(photos: Path):
    (photos / "table.csv").write_text("file,label\n" + "".join(f"dark/{i}.png,{'yn'[i % 2]}\n" for i in range(30)))
    spec = parse_spec({"targets": {"label": "binary"}, "data": {"media_dir": "elsewhere"}})
    with pytest.raises(DataError, match="no column is left to learn from") as caught:
        prepare(read_table(photos / "table.csv", spec.data), spec)
    assert "the files are not there: say where they start with data.media_dir" in caught.value.hint


def test_the_answers_of_a_folder_name_its_files(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """With class folders or without; what is measured needs the classes."""
    bundle = api.train(photos, target="label", settings=["model.preset=fast"], out=tmp_path / "run")
    inside = api.predict(bundle, photos)
    assert list(inside) == ["file", "label", "label.p[light]", "label.set"]
    assert [name.split("/")[0] for name in inside["file"]] == list(inside["label"])
    (photos / "light" / "about.txt").write_text("no picture")
    assert run(["predict", str(bundle.path), str(photos / "light")]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "file,label,label.p[light],label.set"
    assert [line.split(",")[0] for line in told[1:]] == sorted(f"{number}.png" for number in range(60))
    with pytest.raises(DataError, match="column 'label' is not there"):
        api.evaluate(bundle, photos / "light")
    with pytest.raises(DataError, match="there are no class folders"):
        api.train(photos / "light", target="label")


def test_a_picture_that_is_not_there_is_told_when_it_is_answered(
    photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    bundle = api.train(photos, target="label", settings=["model.preset=fast"], out=tmp_path / "run")
    new = tmp_path / "new.csv"
    new.write_text("file\nnope.png\n")
    assert len(api.predict(bundle, new)["label"]) == 1
    assert "file: file not found in 1 row, answered as missing" in caplog.text
