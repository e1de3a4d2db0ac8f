"""Reading what people have: text in many dialects, typed files, several files, pipes."""

import gzip
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv, feather, parquet

from trueweight.data.frames import from_frame
from trueweight.data.read import read_table
from trueweight.data.source import arrow_stream
from trueweight.data.table import Table
from trueweight.progress import Progress, listen
from trueweight.spec.data import DataSpec


def read(tmp_path: Path, content: bytes, name: str = "t.csv", rows: int | None = None, **spec: object) -> Table:
    (tmp_path / name).write_bytes(content)
    return read_table(tmp_path / name, DataSpec(**spec), rows=rows)


TEXTS = {
    "comma": b"a,b\n1,x\n2,y\n",
    "semicolon": b"a;b\n1;x\n2;y\n",
    "tab": b"a\tb\n1\tx\n2\ty\n",
    "pipe": b"a|b\n1|x\n2|y\n",
    "crlf": b"a,b\r\n1,x\r\n2,y\r\n",
    "cr": b"a,b\r1,x\r2,y\r",
    "no final line break": b"a,b\n1,x\n2,y",
    "byte order mark": b"\xef\xbb\xbfa,b\n1,x\n2,y\n",
    "blank lines": b"\n\na,b\n\n1,x\n\n2,y\n\n",
    "quoted": b'"a","b"\n"1","x"\n"2","y"\n',
    "gzip": gzip.compress(b"a,b\n1,x\n2,y\n"),
    "what Excel says first": b"sep=;\r\na;b\r\n1;x\r\n2;y\r\n",
    "spaces in the header": b" a ,b\n1,x\n2,y\n",
}


@pytest.mark.parametrize("rows", [None, 2, 10], ids=str)
@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS.keys())
def test_dialects_of_one_table(tmp_path: Path, content: bytes, rows: int | None):
    table = read(tmp_path, content, rows=rows)
    assert table.data.to_pydict() == {"a": ["1", "2"], "b": ["x", "y"]}
    assert table.provenance.format == "csv"
    assert table.provenance.encoding == "utf-8"
    assert table.provenance.names == ("t.csv",)


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        (b"name;price\nx;1,5\ny;2,5\n", ";"),  # decimal commas
        (b"name;price, EUR\nx;1,5\ny;2,5\n", ";"),  # both split every row in two
        (b'id,text\n1,"a;b;c"\n2,"d;e;f"\n', ","),
        (b'"last, first";age\n"a, b";1\n', ";"),  # quotes are respected
        (b"a,b,c\n1,2,3\n1,2\n4,5,6\n7,8,9\n", ","),  # a broken row does not mislead
        (b"word\nhello\nthere\n", ","),
        (b"text\nhello, world\nbye, now, then\n", "|"),  # one column whose texts hold commas
    ],
)
def test_the_delimiter_is_found(tmp_path: Path, content: bytes, delimiter: str):
    table = read(tmp_path, content, max_bad_rows=0.5)
    assert table.provenance.delimiter == delimiter
    assert table.provenance.skipped_rows == (b"1,2\n4" in content)


def test_a_name_that_ends_in_tsv_settles_the_delimiter(tmp_path: Path):
    assert read(tmp_path, b"a,b\tc\n1,2\t3\n", "t.tsv").names == ["a,b", "c"]
    assert read(tmp_path, b"a,b,c\n1,2,3\n", "t.tsv").names == ["a", "b", "c"]  # it is not what it says
    assert read(tmp_path, b"a,b\tc\n1,2\t3\n", "t.txt", format="tsv").names == ["a,b", "c"]


def test_cells_keep_everything_in_them(tmp_path: Path):
    cells = [
        "",
        " padded ",
        'a "quoted" word',
        "two\nlines",
        "two\r\nlines",
        "1,5",
        "NA",
        "007",
        "5\u2033 wide",
        "émigré 雪 🎈",
    ]
    lines = "".join(f'{place},"{cell.replace(chr(34), chr(34) * 2)}"\n' for place, cell in enumerate(cells))
    table = read(tmp_path, f"n,cell\n{lines}".encode())
    assert table.column("cell").to_pylist() == cells
    assert table.data.schema.field("cell").type == pa.string()


def test_an_empty_cell_is_an_empty_text_quoted_or_not(tmp_path: Path):
    assert read(tmp_path, b'a,b\n,""\n').data.to_pydict() == {"a": [""], "b": [""]}


def test_a_quote_inside_a_cell_is_only_a_quote(tmp_path: Path):
    assert read(tmp_path, b'a,b\n1,5" pipe\n2,x\n').column("b").to_pylist() == ['5" pipe', "x"]


@pytest.mark.parametrize("rows", [None, 2], ids=str)
def test_a_cell_of_ten_megabytes(tmp_path: Path, rows: int | None):
    long = "x" * 10_000_000
    table = read(tmp_path, f"a,b\n1,{long}\n2,short\n".encode(), rows=rows)
    assert [len(cell) for cell in table.column("b").to_pylist()] == [10_000_000, 5]


def test_a_long_header(tmp_path: Path):
    names = [f"a rather long name of column {place} " * 25 + "." for place in range(1_500)]
    table = read(tmp_path, (",".join(names) + "\n" + ",".join("1" for _ in names) + "\n").encode())
    assert table.names == names


def test_latin_1_is_read_and_said(tmp_path: Path):
    table = read(tmp_path, "name,n\nAndré,1\n".encode("latin-1"))
    assert table.column("name").to_pylist() == ["André"]
    assert table.provenance.encoding == "latin-1"
    assert table.provenance.notes == ("read as Latin-1: byte 0xE9 in line 2 is not UTF-8",)
    assert read(tmp_path, "prénom,n\nAndré,1\n".encode("latin-1")).names == ["prénom", "n"]
    assert read(tmp_path, "prénom,n\nJo,1\n".encode("latin-1")).provenance.notes == (
        "read as Latin-1: the column names are not UTF-8",
    )


def test_utf_8_with_one_broken_byte_stays_utf_8(tmp_path: Path):
    content = "".join(f"{place},雪が降る\n" for place in range(50)).encode()
    table = read(tmp_path, b"n,text\n" + content + b"50,\xe9\n")
    assert table.column("text").to_pylist()[49:] == ["雪が降る", "\ufffd"]
    assert table.provenance.encoding == "utf-8"
    assert table.provenance.notes[0].startswith("1 broken character was replaced: byte 0xE9 in line 52")


def test_bad_rows_are_skipped_and_counted(tmp_path: Path):
    rows = "".join(f"{place},x\n" for place in range(300))
    table = read(tmp_path, f"a,b\n{rows}1,2,3\nlonely\n".encode())
    assert len(table) == 300
    assert table.provenance.skipped_rows == 2
    assert table.provenance.notes == ("2 unreadable rows were skipped",)


def test_doubtful_headers_are_noted(tmp_path: Path):
    assert "every column name is a number" in read(tmp_path, b"1,2.5\n3,4\n").provenance.notes[0]
    repeated = read(tmp_path, b"brazil,uk\nuk,uk\nbrazil,brazil\n").provenance.notes[0]
    assert "also occurs as a cell below it" in repeated
    table = read(tmp_path, b",b,\n1,2,3\n")
    assert table.names == ["column_1", "b", "column_3"]
    assert table.provenance.notes == ("columns without a name are called column_1, column_3",)


def test_rows_limits_what_is_read(tmp_path: Path):
    path = tmp_path / "long.csv"
    path.write_text("a,b\n" + "".join(f"{place},some text in every row\n" for place in range(400_000)))
    path.write_bytes(path.read_bytes() + b"\0broken,\xff\n")  # which nobody who reads 1,000 rows gets to see
    for stored in (path.read_bytes(), gzip.compress(path.read_bytes())[:-100]):
        path.write_bytes(stored)
        table = read_table(path, rows=1000)
        assert table.column("a").to_pylist() == [str(place) for place in range(1000)]


def test_progress_counts_bytes(tmp_path: Path):
    seen: list[Progress] = []
    with listen(seen.append):
        read(tmp_path, b"a,b\n" + b"1,2\n" * 1000)
    assert seen[0].task == "reading t.csv"
    assert (seen[-1].done, seen[-1].total, seen[-1].unit) == (4004, 4004, "bytes")


def test_the_digest_is_of_the_cells_as_read(tmp_path: Path):
    def digest(content: bytes, **options: object) -> str:
        return read(tmp_path, content, **options).provenance.digest

    assert digest(b"a,b\n1,2\n") == digest(b"a,b\n1,2\n", delimiter=",") == digest(b"a,b\n1,2\n", missing_values=["?"])
    assert (
        len({digest(b"a;b\n1;2\n"), digest(b"a,b\n1,2\n"), digest(b"a,b\n1,3\n"), digest(b"a,b\n1,2\n", rows=1)}) == 4
    )


def test_several_files_in_the_order_of_their_names(tmp_path: Path):
    (tmp_path / "b.csv").write_text("y;x\n3;4\n")
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    table = read_table("*.csv", base=tmp_path)
    assert table.data.to_pydict() == {"x": ["1", "4"], "y": ["2", "3"]}
    assert table.provenance.names == ("a.csv", "b.csv")
    assert read_table(["b.csv", "a.csv"], base=tmp_path).column("x").to_pylist() == ["4", "1"]
    assert len(read_table("*.csv", base=tmp_path, rows=1)) == 1
    (tmp_path / "odd[1].csv").write_text("x,y\n5,6\n")
    assert read_table(tmp_path / "odd[1].csv").column("x").to_pylist() == ["5"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch):
    for content in (b"a,b\n1,2\n", gzip.compress(b"a,b\n1,2\n")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        table = read_table("-")
        assert table.data.to_pydict() == {"a": ["1"], "b": ["2"]}
        assert table.provenance.names == ("standard input",)


def test_the_first_bytes_decide_where_the_name_does_not(tmp_path: Path):
    content = io.BytesIO()
    parquet.write_table(pa.table({"a": [1]}), content)
    assert read(tmp_path, content.getvalue(), "upload").provenance.format == "parquet"
    assert read(tmp_path, b'{"a": 1}\n', "upload").provenance.format == "jsonl"
    assert read(tmp_path, b"a,b\n1,2\n", "upload").provenance.format == "csv"


def test_json_lines_keep_types_and_lists(tmp_path: Path):
    lines = [
        {"n": 1, "v": [1.5, 2.0], "s": ["a", "b"], "day": "2020-01-02", "big": 2**53 + 1, "deep": {"x": 1}},
        {"n": None, "v": [0.0, 1.0], "s": [], "day": "2020-01-03", "big": 1, "deep": {"x": 2}, "late": True},
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    data = read(tmp_path, content, "t.jsonl").data
    assert data.column("v").to_pylist() == [[1.5, 2.0], [0.0, 1.0]]
    assert data.column("s").to_pylist() == [["a", "b"], []]
    assert data.column("day").to_pylist() == ["2020-01-02", "2020-01-03"]
    assert data.column("big").to_pylist() == [2**53 + 1, 1]
    assert data.column("deep.x").to_pylist() == [1, 2]
    assert data.column("late").to_pylist() == [None, True]
    assert data.equals(read(tmp_path, gzip.compress(content), "t.jsonl.gz").data)
    assert len(read(tmp_path, content, "t.jsonl", rows=1)) == 1


def test_json_lines_with_mixed_types_and_broken_lines(tmp_path: Path):
    good = b"".join(b'{"a": %d, "b": "x"}\n' % place for place in range(300))
    table = read(tmp_path, b'{"a": "one", "b": 2}\n' + good + b'{"a": \n', "t.jsonl")
    assert table.column("a").to_pylist()[:3] == ["one", "0", "1"]
    assert table.column("b").to_pylist()[:2] == ["2", "x"]
    assert table.provenance.skipped_rows == 1
    assert read(tmp_path, b'[{"a": 1}, {"a": 2}]', "t.json").column("a").to_pylist() == [1, 2]


def test_excel_sheets(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    from datetime import datetime

    book = openpyxl.Workbook()
    for row in (
        [None],
        ["n", "day", "mixed", None],
        [1, datetime(2020, 1, 2), "a", None],
        [2.5, datetime(2020, 1, 3), 7, None],
        [],
    ):
        book.active.append(row)
    book.create_sheet("more")
    book.save(tmp_path / "t.xlsx")
    table = read_table(tmp_path / "t.xlsx")
    assert table.data.to_pydict() == {
        "n": [1.0, 2.5],
        "day": [datetime(2020, 1, 2), datetime(2020, 1, 3)],
        "mixed": ["a", "7"],
    }
    assert table.provenance.notes == ("only the first sheet, 'Sheet', was read",)


def test_arrow_streams_and_files(tmp_path: Path):
    data = pa.table({"a": [1, 2, 3]})
    for name, opener in (("t.arrow", pa.ipc.new_file), ("t.arrows", pa.ipc.new_stream)):
        with opener(str(tmp_path / name), data.schema) as writer:
            writer.write_table(data, max_chunksize=1)
        assert read_table(tmp_path / name).data.equals(data)
        assert len(read_table(tmp_path / name, rows=2)) == 2


def test_provenance_holds_no_path(tmp_path: Path):
    assert str(tmp_path) not in repr(read(tmp_path, b"a,b\n1,2\n").provenance)


def test_memory_that_arrow_reads_from_is_not_python_s():
    """A thread of Arrow's that lets go of Python's memory while Python shuts down aborts the process."""
    content = b"x,y\n1,2\n" * 100
    before = sys.getrefcount(content)
    stream = arrow_stream(content)
    assert sys.getrefcount(content) == before
    assert stream.read() == content


@pytest.mark.parametrize(("text", "tries"), [
    ("x,y\n1,2\n3,4\n", [(True, False)]),
    ("x,y\n1,2\n3\n" + "5,6\n" * 200, [(True, False), (False, True)]),
])  # fmt: skip
def test_no_thread_of_arrow_holds_a_python_function(tmp_path, monkeypatch, text, tries):
    threads, functions = [], []

    def reading(*, use_threads, **options):
        threads.append(use_threads)
        return csv.ReadOptions(use_threads=use_threads, **options)

    def parsing(*, invalid_row_handler, **options):
        functions.append(invalid_row_handler is not None)
        return csv.ParseOptions(invalid_row_handler=invalid_row_handler, **options)

    patched = SimpleNamespace(**{**vars(csv), "ReadOptions": reading, "ParseOptions": parsing})
    monkeypatch.setattr("pyarrow.csv", patched)
    table = read(tmp_path, text.encode())
    assert list(zip(threads, functions, strict=True)) == tries
    assert len(table) == text.count(",") - 1


@pytest.mark.parametrize("form", ["parquet", "feather"])
def test_the_index_of_a_pandas_frame_is_no_column(tmp_path: Path, form: str) -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]}, index=[7, 3, 5])
    written = pa.Table.from_pandas(frame)
    assert "__index_level_0__" in written.column_names
    stream = io.BytesIO()
    parquet.write_table(written, stream) if form == "parquet" else feather.write_feather(written, stream)
    told = "'__index_level_0__' left out: the index of the pandas frame that was written"
    found = read(tmp_path, stream.getvalue(), f"rows.{form}")
    assert (found.names, found.provenance.notes) == (["a", "b"], (told,))
    assert from_frame(written).names == ["a", "b"]


def test_a_column_is_an_index_only_where_pandas_says_so(tmp_path: Path) -> None:
    plain = pa.table({"a": [1, 2], "__index_level_0__": [1, 2]})
    kept = pa.Table.from_pandas(pd.DataFrame({"a": [1, 2]}, index=pd.Index([4, 5], name="customer")))
    broken = plain.replace_schema_metadata({"pandas": "{"})
    odd = plain.replace_schema_metadata({"pandas": '{"index_columns": [{"kind": "range"}, 3]}'})
    alone = pa.Table.from_pandas(pd.DataFrame(index=[4, 5]))
    names = [from_frame(table).names for table in (plain, kept, broken, odd, alone)]
    both = ["a", "__index_level_0__"]
    assert names == [both, ["a", "customer"], both, both, ["__index_level_0__"]]
