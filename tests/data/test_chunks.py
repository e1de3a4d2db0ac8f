"""Text files as rows."""

import gzip
from pathlib import Path

import pytest

from trueweight.data.read import read_table
from trueweight.errors import DataError
from trueweight.spec.data import ChunksSpec, DataSpec

POEM = "First line,\nsecond; line.\n\n  \nNext one\r\n\r\n\r\nLast\n"


def texts(path: Path | str, **options) -> list[str]:
    table = read_table(path, DataSpec(chunks=ChunksSpec(**options)))
    assert table.names == ["file", "text"]
    return table.column("text").to_pylist()


@pytest.fixture
def poem(tmp_path: Path) -> Path:
    path = tmp_path / "poem.txt"
    path.write_bytes(POEM.encode())
    return path


def test_paragraphs_stand_between_blank_lines(poem: Path):
    assert texts(poem) == ["First line,\nsecond; line.", "Next one", "Last"]


def test_lines_and_characters(poem: Path):
    assert texts(poem, by="lines", size=3) == ["First line,\nsecond; line.\nNext one", "Last"]
    assert texts(poem, by="lines") == ["First line,", "second; line.", "Next one", "Last"]
    assert texts(poem, by="size", size=12)[0] == "First line,"


def test_several_files_say_where_each_row_is_from(poem: Path):
    poem.with_name("other.txt.gz").write_bytes(gzip.compress("Ümläut".encode("latin-1")))
    table = read_table(str(poem.parent / "*.txt*"), DataSpec(chunks=ChunksSpec()))
    assert table.column("file").to_pylist() == ["other.txt.gz", *["poem.txt"] * 3] or table.column(
        "file"
    ).to_pylist() == [*["poem.txt"] * 3, "other.txt.gz"]
    assert "Ümläut" in table.column("text").to_pylist()


def test_what_a_row_is_belongs_to_the_digest(poem: Path):
    kinds = [ChunksSpec(), ChunksSpec(by="lines"), ChunksSpec(by="lines", size=2), ChunksSpec(by="size", size=2)]
    assert len({read_table(poem, DataSpec(chunks=kind)).provenance.digest for kind in kinds}) == 4


def test_rows_are_the_first_rows(poem: Path):
    assert read_table(poem, DataSpec(chunks=ChunksSpec()), rows=2).column("text").to_pylist() == texts(poem)[:2]


@pytest.mark.parametrize(
    ("content", "problem"), [(b" \n\n \n", "nothing but blank lines"), (b"PK\x03\x04\x00\x00", "not plain text")]
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, problem: str):
    path = tmp_path / "odd.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=problem):
        texts(path)
    path.write_bytes(b"caf\xe9")
    with pytest.raises(DataError, match="not utf-8"):
        read_table(path, DataSpec(chunks=ChunksSpec(), encoding="utf-8"))
