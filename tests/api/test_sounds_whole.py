"""Sounds from files to answers: a table with paths, a folder, broken ones among good ones, beside another column."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from trueweight import api
from trueweight.data.read import read_table
from trueweight.spec.load import parse_spec
from trueweight.train.prepare import prepare

RNG = np.random.default_rng(0)
SMALL = ["train.budget.steps=60", "train.batch_size=16"]


def tone(path: Path, frequency: int) -> None:
    """A tone in noise, of some length and some rate."""
    rate = int(RNG.choice([8000, 16000, 22050]))
    time = np.arange(int(rate * RNG.uniform(0.1, 0.4))) / rate
    value = np.sin(2 * np.pi * frequency * time) * RNG.uniform(0.1, 0.5) + RNG.normal(size=len(time)) * 0.02
    soundfile.write(path, np.clip(value, -1, 1), rate)


def fifty_of_each(folder: Path) -> Path:
    """Fifty low and fifty high tones, and a table that names them."""
    rows = []
    for label, frequency in (("low", 400), ("high", 1500)):
        (folder / "clips" / label).mkdir(parents=True)
        for number in range(50):
            tone(folder / "clips" / label / f"{number}.flac", frequency)
            rows.append((f"{label}/{number}.flac", number % 7, label))
    with (folder / "clips" / "all.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("clip", "size", "kind"), *rows])
    return folder / "clips"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fifty_of_each(tmp_path_factory.mktemp("sounds"))


@pytest.fixture(scope="module")
def bundle(clips: Path) -> Any:
    """Learnt with all defaults, in few steps."""
    spec = {"targets": {"kind": "binary"}, "features": {"size": "number"}}
    return api.train(clips / "all.csv", spec=spec, settings=SMALL, out=clips / "run")


def accuracy(bundle: Any) -> float:
    return next(e.value for e in bundle.evidence.entries if e.axis == "quality" and e.metric == "accuracy")


def test_a_table_of_sounds_is_learnt_answered_and_verified(bundle: Any, clips: Path, caplog: pytest.LogCaptureFixture):
    assert bundle.loaded.predictor.signature.columns["clip"].type == "audio"
    assert accuracy(bundle) >= 0.9
    assert api.verify(bundle.path).ok
    (clips / "half.flac").write_bytes((clips / "low" / "3.flac").read_bytes()[:-900])
    names = ["low/1.flac", "high/2.flac", "nowhere.flac", "half.flac"]
    (clips / "new.csv").write_text("clip,size\n" + "".join(f"{name},3\n" for name in names))
    assert bundle.predict(read_table(clips / "new.csv")).column("kind").to_pylist()[:2] == ["low", "high"]
    assert any("1 sound cannot be decoded" in r.message for r in caplog.records)


def test_answers_do_not_depend_on_the_rows_beside(bundle: Any, clips: Path):
    table = read_table(clips / "all.csv")
    whole = bundle.predict(table).data.to_pylist()
    for row in (0, 17, 99):
        alone = bundle.predict(table.take([row])).data.to_pylist()[0]
        for key, value in alone.items():
            assert value == (pytest.approx(whole[row][key], abs=1e-5) if isinstance(value, float) else whole[row][key])


def test_no_name_and_no_sound_is_in_a_bundle(bundle: Any, clips: Path):
    content = b"".join(path.read_bytes() for path in Path(bundle.path).rglob("*") if path.is_file())
    assert b".flac" not in content
    assert (clips / "low" / "3.flac").read_bytes()[200:260] not in content


def test_broken_ones_are_left_out_and_counted(tmp_path: Path):
    clips = fifty_of_each(tmp_path)
    (clips / "low" / "3.flac").write_bytes(b"")
    raw = {"targets": {"kind": "binary"}, "features": {"size": "ignore"}, "data": {"max_bad_rows": 0.05}}
    ready = prepare(read_table(clips / "all.csv"), parse_spec(raw))
    assert ready.signature.columns["clip"].notes == {"empty file": 1}
    assert len(ready.cases) == 99
