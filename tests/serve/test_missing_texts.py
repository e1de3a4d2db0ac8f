"""A text that says "NA" is a text, except where a file has no other way to say that there is none; and everybody who
reads rows agrees on that."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from trueweight.bundle.bundle import Bundle
from trueweight.data.frames import from_frame
from trueweight.data.read import read_table
from trueweight.data.reading import cells_of
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.serve.limits import Limits
from trueweight.serve.rows import ARROW, arrow_bytes, read_rows, table_of
from trueweight.spec.data import DataSpec

NOTES = ["NA", "null", "None", "-", "paid late", "", None]
TYPED = [False, False, False, False, False, True, True]
MARKED = [True, True, True, True, False, True, True]


def missing(table: Table, signature: Signature) -> list[bool]:
    found: list[bool] = cells_of(table, signature.columns["note"], signature.options).missing_N.tolist()
    return found


def body(kind: str) -> bytes:
    rows = [{"amount": 1.0, "note": note} for note in NOTES]
    if kind == "text/csv":
        return pd.DataFrame(rows).to_csv(index=False).encode()
    if kind == ARROW:
        return arrow_bytes(pa.Table.from_pylist(rows))
    return json.dumps(rows).encode() if kind.endswith("/json") else "\n".join(map(json.dumps, rows)).encode()


@pytest.mark.parametrize(
    ("kind", "suffix", "expected"),
    [("application/json", "", TYPED), ("application/jsonl", "jsonl", TYPED), (ARROW, "arrow", TYPED),
     ("text/csv", "csv", MARKED)],
)  # fmt: skip
def test_http_files_and_frames_agree(
    kind: str, suffix: str, expected: list[bool], every: Bundle, tmp_path: Path
) -> None:
    assert not every.signature.options.marked_texts
    asked = read_rows(kind, body(kind), Limits(), DataSpec())
    assert missing(table_of([asked]), every.signature) == expected
    if suffix:
        path = tmp_path / f"rows.{suffix}"
        path.write_bytes(body(kind))
        assert missing(read_table(str(path), DataSpec()), every.signature) == expected
    if expected == TYPED:
        assert missing(from_frame([{"amount": 1.0, "note": note} for note in NOTES]), every.signature) == expected
        assert missing(from_frame(pd.DataFrame({"note": NOTES})), every.signature) == expected


def test_other_columns_have_their_marks_in_every_form(every: Bundle) -> None:
    facts = every.signature.columns["kind"]
    cells = cells_of(from_frame({"kind": ["NA", "red"]}), facts, every.signature.options)
    assert cells.missing_N.tolist() == [True, False]


def test_older_bundles_read_as_they_were_taught(every: Bundle) -> None:
    told = every.signature.to_json()
    assert told["options"].pop("marked_texts") is False
    older = Signature.from_json(told)
    assert older.options == replace(every.signature.options, marked_texts=True)
    assert "marked_texts" not in older.to_json()["options"]
    assert missing(from_frame({"note": NOTES}), older) == MARKED


def test_whoever_lists_marks_means_them(tmp_path: Path) -> None:
    from trueweight.data.roles import read_options_of

    options = read_options_of(DataSpec(missing_values=["", "NA"]))
    assert options.marked_texts
    assert not read_options_of(DataSpec()).marked_texts


def test_csv_and_arrow_of_the_same_columns_are_not_put_together() -> None:
    table = pa.table({"note": pa.array(["NA"], pa.string())})
    arrow = read_rows(ARROW, arrow_bytes(table), Limits(), DataSpec())
    csv = read_rows("text/csv", b"note\nNA\n", Limits(), DataSpec())
    assert arrow.key != csv.key
    again: Any = read_rows("text/csv", io.BytesIO(b"note\nlate\n").read(), Limits(), DataSpec())
    assert again.key == csv.key
