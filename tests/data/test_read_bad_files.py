"""What a file that cannot be used gets: what is wrong with the value in it, where, and what to do."""

import gzip
import io
import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from trueweight.data.read import read_table
from trueweight.errors import DataError
from trueweight.spec.data import DataSpec

PARQUET = io.BytesIO()
parquet.write_table(pa.table({"a": [1, 2]}), PARQUET)

ROWS = "".join(f"{number},x,{number}\n" for number in range(300))

BAD = {
    # name: (file name, content, spec, where, words of the problem, words of the hint)
    "empty": ("e.csv", b"", {}, "e.csv", "empty (0 bytes)", "written completely"),
    "only blank lines": ("e.csv", b"\n\n", {}, "e.csv", "the file is empty", "line of column names"),
    "header only": ("h.csv", b"a,b,c\n", {}, "h.csv", "header of 3 columns, but no row", "complete"),
    "header without line break": ("h.csv", b"a,b", {}, "h.csv", "header of 2 columns, but no row", "complete"),
    "NUL bytes": ("junk.csv", b"a,b\n1,\0\n", {}, "junk.csv", "byte 6 is NUL", "data.format"),
    "random junk": ("junk.csv", bytes(range(256)) * 9, {}, "junk.csv", "byte 0 is NUL", "data.format"),
    "junk far in": ("junk.csv", b"a,b\n" + b"1,2\n" * 400_000 + b"\0", {}, "junk.csv", "byte 1,600,004 is NUL", ""),
    "parquet named csv": ("p.csv", PARQUET.getvalue(), {}, "p.csv", "but a Parquet file", "data.format to parquet"),
    "utf-16": ("u.csv", "a,b\n1,2\n".encode("utf-16"), {}, "u.csv", "UTF-16", "iconv"),
    "zip named csv": ("z.csv", b"PK\x03\x04rest", {}, "z.csv", "a zip archive", "unzip"),
    "duplicate names": ("d.csv", b"a,b,a,b\n1,2,3,4\n", {}, "d.csv", "'a', 'b'", "columns 1, 3 are all called 'a'"),
    "names equal once trimmed": ("d.csv", b"a, a\n1,2\n", {}, "d.csv", "duplicate column names: 'a'", "rename"),
    "wrong delimiter": (
        "w.csv", b"a;b;c\n1;2;3\n", {"delimiter": ","}, "w.csv", "',' does not split",
        "a semicolon gives 3",
    ),
    "wrong delimiter, split by chance": (
        "w.csv", b"a|b, c\n1|2\n3|4\n5|6\n", {"delimiter": ","}, "w.csv", "fewer than half", "a pipe gives 2 columns",
    ),
    "short rows": (
        "s.csv", b"a,b,c\n1,2,3\n1,2\n4,5,6\n4,5\n1,2,3\n", {}, "s.csv:3",
        "2 of 5 rows do not have 3 cells like the header (lines 3, 5)",
        "2 of them have 2",
    ),
    "one bad row too many": (
        "s.csv", ("a,b,c\n" + ROWS + "1,2\n").encode(), {"max_bad_rows": 0.001}, "s.csv:302", "1 of 301 rows",
        "data.max_bad_rows",
    ),
    "row names without a header": ("r.csv", b"a,b\nx,1,2\ny,3,4\n", {}, "r.csv:2", "2 of 2 rows", "2 of them have 3"),
    "unclosed quote": (
        "q.csv", b'a,b\n1,x\n2,"y\n3,z\n4,z\n', {}, "q.csv:3",
        "quote opened in line 3 is never closed: 3 lines became one cell", "close it",
    ),
    "unclosed quote in a bad row": (
        "q.csv", b'a,b,c\n1,x,1\n2,"y,1\n3,z,1\n', {}, "q.csv:3", "is never closed",
        "twice",
    ),
    "not utf-8 though said so": (
        "l.csv", b"a,b\nx,1\n\xe9t\xe9,2\n", {"encoding": "utf-8"}, "l.csv:3",
        "byte 0xE9 in line 3 is not UTF-8", "latin-1",
    ),
    "gzip cut short": (
        "g.csv.gz", gzip.compress(b"a,b\n" + os.urandom(4000).hex().encode())[:-30], {}, "g.csv.gz",
        "cut short", "again",
    ),
    "gzip cut in its head": (
        "g.csv.gz", gzip.compress(b"a,b\n1,2\n")[:12], {}, "g.csv.gz", "cut short or damaged",
        "copy",
    ),
    "parquet cut short": ("p.parquet", PARQUET.getvalue()[:-20], {}, "p.parquet", "not a readable Parquet", "PAR1"),
    "csv named parquet": ("p.parquet", b"a,b\n1,2\n", {}, "p.parquet", "not a readable Parquet file", "copied whole"),
    "arrow cut short": ("a.arrow", b"ARROW1\0\0abc", {}, "a.arrow", "not a readable Arrow file", "copied whole"),
    "csv named arrow": ("a.arrow", b"a,b\n1,2\n", {}, "a.arrow", "not a readable Arrow file", ""),
    "csv named xlsx": ("x.xlsx", b"a,b\n1,2\n", {}, "x.xlsx", "not a readable Excel workbook", "export"),
    "broken json lines": (
        "j.jsonl", b'{"a": 1}\n{"a": \n{"a": 3}\n[1]\n', {}, "j.jsonl:2",
        "2 of 4 lines are not JSON objects (lines 2, 4)", "max_bad_rows",
    ),
    "json array of numbers": ("j.json", b"[1, 2]", {}, "j.json", "not of objects", "one object a line"),
    "json array cut short": ("j.json", b'[{"a": 1}, {"a"', {}, "j.json", "not valid JSON", "a line"),
    "json without keys": ("j.jsonl", b"{}\n{}\n", {}, "j.jsonl", "no row with a value", "keys"),
    "empty json lines": ("j.jsonl", b"\n", {}, "j.jsonl", "empty", "one JSON object a line"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_a_bad_file_says_what_where_and_what_to_do(tmp_path: Path, case):
    name, content, spec, where, problem, hint = case
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / name, DataSpec(**spec))
    assert caught.value.where == where
    assert problem in caught.value.problem
    assert caught.value.hint
    assert hint in caught.value.hint
    assert str(tmp_path) not in caught.value.problem


def test_a_missing_file_names_its_neighbours(tmp_path: Path):
    (tmp_path / "claims.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"there is no file 'claim.csv'") as caught:
        read_table(tmp_path / "claim.csv")
    assert caught.value.hint == "did you mean 'claims.csv'?"
    with pytest.raises(DataError) as caught:
        read_table("zzz.parquet", base=tmp_path)
    assert caught.value.hint == f"the folder {tmp_path} holds claims.csv"
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "nowhere" / "claims.csv")
    assert "does not exist either" in caught.value.hint
    with pytest.raises(DataError, match=r"there is no file or folder 'x'"):
        read_table(tmp_path / "claims.csv" / "x")


def test_a_glob_without_matches(tmp_path: Path):
    (tmp_path / "claims.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"no file matches '\*\.parquet'") as caught:
        read_table("*.parquet", base=tmp_path)
    assert "holds claims.csv" in caught.value.hint


def test_a_folder(tmp_path: Path):
    with pytest.raises(DataError, match="is a folder, not a file") as caught:
        read_table(tmp_path)
    assert f"'{tmp_path}/*.csv'" in caught.value.hint


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "secret.csv"
    path.write_text("a\n1\n")
    if os.geteuid() == 0:  # root may read everything

        def refuse(self: Path, *args: object, **options: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
    else:
        path.chmod(0)
    with pytest.raises(DataError, match="no permission to read secret.csv") as caught:
        read_table(path)
    assert "chmod u+r" in caught.value.hint


def test_names_that_no_file_can_have():
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        read_table("x" * 5000)
    with pytest.raises(DataError, match="cannot be read: embedded null"):
        read_table("a\0b")


def test_addresses_and_nothing():
    with pytest.raises(DataError, match="is an address, not a file") as caught:
        read_table("https://example.org/a.csv")
    assert "nothing is fetched" in caught.value.hint
    with pytest.raises(DataError, match="no data was given"):
        read_table(None)
    with pytest.raises(DataError, match="list of files is empty"):
        read_table([])


def test_files_whose_columns_differ(tmp_path: Path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,z\n1,2\n")
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / "*.csv")
    assert caught.value.where == "b.csv"
    assert caught.value.problem == "its columns differ from those of a.csv: it lacks 'y' and has 'z' besides"


def test_files_whose_types_clash(tmp_path: Path):
    parquet.write_table(pa.table({"x": [1], "y": [2]}), tmp_path / "a.parquet")
    parquet.write_table(pa.table({"x": [1], "y": ["two"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="column 'y' is string, but int64 in a.parquet") as caught:
        read_table(tmp_path / "*.parquet")
    assert caught.value.where == "b.parquet"


def test_excel_without_openpyxl_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    (tmp_path / "x.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(DataError, match="needs openpyxl") as caught:
        read_table(tmp_path / "x.xlsx")
    assert "pip install 'trueweight[excel]'" in caught.value.hint


@pytest.mark.parametrize("rows", [None, 2])
def test_a_row_of_another_length_that_is_not_utf_8(rows: int | None) -> None:
    """Arrow cannot tell us its text, and was asked again for ever."""
    from trueweight.data.source import SourceFile
    from trueweight.data.sources.csv import CsvSource
    from trueweight.spec.data import DataSpec

    file = SourceFile.held("odd.csv", b"a,b\n1,x\n2,\xa2,y\n3,z\n4,\xe9\n")
    piece = CsvSource().read(file, DataSpec(max_bad_rows=0.5), rows)
    assert piece.data.column("a").to_pylist() == ["1", "3", "4"][:rows]
    assert piece.encoding == "latin-1"
    with pytest.raises(DataError, match="do not have 2 cells"):
        CsvSource().read(file, DataSpec(max_bad_rows=0.0), rows)
