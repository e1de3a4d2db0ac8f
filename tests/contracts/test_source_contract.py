"""What every kind of file promises, checked for every source that is installed."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from trueweight.data.read import read_table
from trueweight.data.table import Table
from trueweight.errors import DataError
from trueweight.registry import registry

SOURCES = registry("source")
COLUMNS = {"ts": ("label", "series")}
"""What sources call the columns ``name`` and ``count`` that cannot call them so; counts are then lists of one."""


@pytest.fixture(params=list(SOURCES))
def source(request: pytest.FixtureRequest):
    if request.param == "excel":
        pytest.importorskip("openpyxl")
    return SOURCES[request.param]()


@pytest.fixture
def path(source, tmp_path: Path) -> Path:
    path = tmp_path / f"example{source.suffixes[0]}"
    path.write_bytes(source.example())
    return path


def test_the_example_is_read(source, path: Path):
    table = read_table(path)
    name, count = COLUMNS.get(source.type, ("name", "count"))
    assert set(table.names) == {name, count}
    assert table.column(name).to_pylist() == ["a", "b", "c"]
    counts = [cell[0] if isinstance(cell, list) else cell for cell in table.column(count).to_pylist()]
    assert [int(cell) for cell in counts] == [1, 2, 3]
    assert table.provenance.format == source.type
    assert table.provenance.digest.startswith("sha256:")


def test_rows_are_the_first_rows(source, path: Path):
    for rows in (1, 2, 3, 100):
        assert read_table(path, rows=rows).data.equals(read_table(path).data.slice(0, rows))


def test_reading_twice_gives_the_same(source, path: Path):
    assert read_table(path).data.equals(read_table(path).data)
    assert read_table(path).provenance == read_table(path).provenance


def test_names_that_begin_with_no_known_end_are_recognised(source, path: Path):
    other = path.rename(path.with_name("download"))
    assert read_table(other).provenance.format == source.type


def test_gzip_is_undone(source, path: Path):
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_table(packed).data.equals(read_table(path).data)


def attempt(path: Path) -> tuple[Table | None, DataError]:
    try:
        return read_table(path), DataError("")
    except DataError as error:
        return None, error


def test_half_a_file_is_refused_or_reads_as_fewer_rows(source, path: Path):
    content = path.read_bytes()
    for length in (1, len(content) // 4, len(content) // 2, len(content) - 3):
        path.write_bytes(content[:length])
        table, error = attempt(path)
        if table is None:
            assert error.where.startswith(path.name)
            assert error.hint
        else:
            assert source.type in ("csv", "jsonl", "ts")  # which have no end that could be missing
            assert len(table) <= 3


def test_suffixes_are_lower_case_ends(source):
    assert source.suffixes
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in source.suffixes)


def test_importing_the_part_needs_no_torch(source):
    module = type(source).__module__
    code = f"import sys, {module}; assert not {{'torch', 'openpyxl', 'pandas', 'polars'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
