"""Columns to files and back."""

import csv
import io
import json
import os
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from trueweight.data.read import read_table
from trueweight.data.write import write_columns
from trueweight.errors import SpecError, TrainError

COLUMNS = {
    "id": np.array(["a,1", 'b "2"', None], dtype=object),
    "y": np.array(["no", "two\nlines", ""]),
    "p": np.array([0.1, np.nan, 1e-20]),
    "k": np.array([1, 2**53 + 1, -3]),
    "b": np.array([True, False, True]),
    "s": np.array([["x", "y"], [], None], dtype=object),
    "v": np.array([[1.0, 2.5], [np.nan, 0.0], [3.0, 4.0]]),
}


def written(columns: dict[str, np.ndarray], format: str) -> bytes:
    stream = io.BytesIO()
    write_columns(columns, stream, format)
    return stream.getvalue()


def test_csv_is_what_other_readers_read():
    text = written(COLUMNS, "csv").decode()
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["id", "y", "p", "k", "b", "s", "v"],
        ["a,1", "no", "0.1", "1", "true", '["x", "y"]', "[1.0, 2.5]"],
        ['b "2"', "two\nlines", "", "9007199254740993", "false", "[]", "[null, 0.0]"],
        ["", "", "1e-20", "-3", "true", "", "[3.0, 4.0]"],
    ]
    assert text.startswith("id,y,p,")  # no quotes that are not needed
    assert "\r" not in text


def test_json_lines():
    lines = [json.loads(line) for line in written(COLUMNS, "jsonl").decode().splitlines()]
    assert lines[1] == {
        "id": 'b "2"',
        "y": "two\nlines",
        "p": None,
        "k": 2**53 + 1,
        "b": False,
        "s": [],
        "v": [None, 0.0],
    }
    odd = {"day": np.array([date(2020, 1, 2)], dtype=object), "é": np.array(["雪"]), "inf": np.array([np.inf])}
    assert written(odd, "jsonl").decode() == '{"day": "2020-01-02", "é": "雪", "inf": null}\n'


def test_parquet():
    data = parquet.read_table(io.BytesIO(written(COLUMNS, "parquet")))
    assert data.column("p").to_pylist() == [0.1, None, 1e-20]
    assert data.column("s").to_pylist() == [["x", "y"], [], None]
    assert data.column("v").to_pylist()[0] == [1.0, 2.5]


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_no_rows(format: str):
    stream = io.BytesIO(written({"a": np.zeros(0), "b": np.zeros(0, object)}, format))
    assert stream.getvalue() == {"csv": b"a,b\n", "jsonl": b""}.get(format, stream.getvalue())


@given(st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_texts_survive_csv(rows: list[tuple[str, str]]):
    texts = written(
        {"a": np.array([r[0] for r in rows], object), "b,\n": np.array([r[1] for r in rows], object)}, "csv"
    )
    assert list(csv.reader(io.StringIO(texts.decode(), newline=""))) == [["a", "b,\n"], *(list(row) for row in rows)]


def test_one_column_keeps_its_empty_rows(tmp_path: Path):
    write_columns({"a": np.array(["", "x", ""])}, tmp_path / "a.csv", "csv")
    assert read_table(tmp_path / "a.csv").column("a").to_pylist() == ["", "x", ""]


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet"])
def test_many_rows_keep_their_order(tmp_path: Path, format: str):
    count = 70_000
    write_columns({"k": np.arange(count), "p": np.linspace(0, 1, count)}, tmp_path / f"a.{format}", format)
    data = read_table(tmp_path / f"a.{format}").data
    assert np.array_equal(data.column("k").cast(pa.int64()).to_numpy(), np.arange(count))
    assert np.array_equal(data.column("p").cast(pa.float64()).to_numpy(), np.linspace(0, 1, count))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.csv"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainError, match="no space left for a.csv"):
        write_columns(COLUMNS, path, "csv")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]


def test_links_and_devices_are_kept(tmp_path: Path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    write_columns({"a": np.array([1])}, tmp_path / "link.csv", "csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a\n1\n"
    write_columns({"a": np.array([1])}, Path(os.devnull), "csv")
    assert not Path(os.devnull).is_file()


def test_places_that_cannot_be_written(tmp_path: Path):
    with pytest.raises(TrainError, match="does not exist") as caught:
        write_columns(COLUMNS, tmp_path / "no" / "a.csv", "csv")
    assert "mkdir -p" in caught.value.hint
    with pytest.raises(TrainError, match="is a folder"):
        write_columns(COLUMNS, tmp_path, "csv")
    with pytest.raises(SpecError, match="unknown output format 'xml'") as refused:
        write_columns(COLUMNS, tmp_path / "a.xml", "xml")
    assert refused.value.hint == "choose from csv, parquet, jsonl"
