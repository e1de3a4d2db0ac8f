"""What is read in part, or not at all, is counted and said when a model is asked."""

import base64
import io
import logging
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import trueweight
from trueweight.bundle.bundle import Bundle
from trueweight.data.table import Table
from trueweight.model.heads.masked import MaskedHead
from trueweight.model.heads.text import TextHead
from trueweight.spec.load import parse_spec
from trueweight.train.prepare import prepare

SMALL: dict[str, Any] = {"type": "transformer", "width": 8, "layers": 1, "heads": 2}
QUICK: dict[str, Any] = {
    "train": {"budget": {"steps": 2}, "batch_size": 16, "step_plan": "off"},
    "evaluate": {"checks": [], "baselines": []},
}


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    words = [" ".join("xyz"[(i + k) % 3] for k in range(1 + i % 4)) for i in range(60)]
    spec = QUICK | {
        "features": {"a": {"type": "text", "max_tokens": 9, "encoder": SMALL}},
        "targets": {"b": {"type": "text", "decoder": SMALL}},
    }
    table = pa.table({"a": words, "b": words})
    return trueweight.train(table, spec=spec, out=tmp_path_factory.mktemp("writer") / "run")


def told(caplog: pytest.LogCaptureFixture, bundle: Bundle, cells: list[Any], column: str = "a") -> list[str]:
    with caplog.at_level(logging.WARNING):
        found = bundle.predict(pa.table({column: pa.array(cells)}))
    assert len(found) if not isinstance(found, dict) else all(len(v) == len(cells) for v in found.values())
    return [record.getMessage() for record in caplog.records]


def test_texts_beyond_the_context_are_counted(writer: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    (said,) = told(caplog, writer, ["x y", "x " * 400, "y " * 200])
    assert said.startswith(
        "a: 2 rows longer than 9 tokens, of which only the beginning was read: ask in shorter pieces"
    )
    assert "features.a.max_tokens" in said


def test_rows_that_hold_nothing_are_counted(writer: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    (said,) = told(caplog, writer, ["x y", "", "   ", None, "NA"])
    # In rows that come from Python "NA" is a text.
    assert said.startswith("there is nothing to read in 3 rows (empty, or a marker such as NA)")


def test_scripts_that_were_never_seen_are_read_byte_by_byte(writer: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, writer, ["日本", "हि", "😀"]) == []


def tone(seconds: float, pitch: float) -> str:
    file, time = io.BytesIO(), np.arange(int(1000 * seconds)) / 1000
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(1000)
        sound.writeframes((9000 * np.sin(2 * np.pi * pitch * time)).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"


def test_sounds_much_longer_than_usual_are_counted_where_classes_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sounds = [tone(0.5 + 0.01 * (i % 7), 60 + 200 * (i % 2)) for i in range(40)]
    table = pa.table({"sound": sounds, "high": ["no", "yes"] * 20})
    encoder = {"type": "cnn", "channels": [4], "kernel_sizes": [3]}
    spec = QUICK | {
        "features": {"sound": {"type": "audio", "sample_rate": 1000, "n_mels": 8, "max_seconds": 1, "augment": [],
                               "encoder": encoder}},
        "targets": {"high": "binary"}, "model": {"encoder": {"type": "mlp"}},
    }  # fmt: skip
    bundle = trueweight.train(table, spec=spec, out=tmp_path / "run")
    caplog.clear()
    assert told(caplog, bundle, [tone(0.5, 60), tone(1.5, 60)], "sound") == []
    silence = tone(0.5, 0)
    assert told(caplog, bundle, [silence], "sound") == []  # as good a sound as any
    (said,) = told(caplog, bundle, [tone(3600, 260)], "sound")
    assert said == "sound: 1 row longer than 2 seconds, of which only the first 1 seconds were heard"


WORDS = ["NA", "-", "?", "none", "", None, "null and void", "N/A"]


@pytest.mark.parametrize("head", [TextHead(), MaskedHead()], ids=["text", "masked"])
def test_markers_are_texts_where_a_text_is_written(head: Any) -> None:
    asked = parse_spec({"targets": {"b": head.type}})
    ready = prepare(Table(pa.table({"b": [*WORDS * 5, *["more text"] * 20]})), asked)
    kept = ready.table.column("b").take(pa.array(ready.cases.rows)).to_pylist()
    assert {"NA", "-", "?", "none", "N/A"} <= set(kept) and "" not in kept and None not in kept
    assert ready.signature.columns["b"].missing == 10


def test_a_list_of_its_own_is_followed() -> None:
    asked = parse_spec({"targets": {"b": "text"}, "data": {"missing_values": ["", "NA"]}})
    ready = prepare(Table(pa.table({"b": [*WORDS * 5, *["more text"] * 20]})), asked)
    kept = ready.table.column("b").take(pa.array(ready.cases.rows)).to_pylist()
    assert "NA" not in kept and "N/A" in kept


def test_what_is_written_piece_by_piece_is_told_of_too(writer: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert isinstance("".join(writer.stream("x " * 400)), str)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("a: 1 row longer than 9 tokens")
