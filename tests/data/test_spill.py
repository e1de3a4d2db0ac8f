"""Tables larger than memory: written once, mapped, and read as any other."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from trueweight.data import reading, spill
from trueweight.data.cells import ReadOptions, cut
from trueweight.data.read import read_table
from trueweight.data.reading import cells_between, cells_of, plain_facts
from trueweight.data.table import Table
from trueweight.errors import TrainError
from trueweight.files import cache_dir

COUNTING = pa.proxy_memory_pool(pa.default_memory_pool())
"""Lives as long as this module: what was made in it must not outlive it."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    table = pa.table({f"x{i}": rng.normal(size=3000) for i in range(4)} | {"name": [f"n{i % 7}" for i in range(3000)]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=1000)
    return tmp_path / "a.parquet"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "SPILL_BYTES", 1000)
    monkeypatch.setattr(spill, "BATCH_BYTES", 20_000)


def test_a_mapped_table_holds_the_same_rows(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_table(file)
    monkeypatch.setattr(spill, "SPILL_BYTES", 1000)
    monkeypatch.setattr(spill, "BATCH_BYTES", 20_000)
    before = pa.total_allocated_bytes()
    mapped = read_table(file)
    assert pa.total_allocated_bytes() - before < 10_000  # cells stay in the file
    assert mapped.data.equals(whole.data) and mapped.provenance == whole.provenance
    assert mapped.data.column("x0").num_chunks > 1


def test_it_is_written_once(file: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_table(file)
    monkeypatch.setattr(spill, "_write", lambda *_: pytest.fail("written again"))
    assert read_table(file).data.equals(first.data)


def test_other_content_is_another_file(file: Path, small: None) -> None:
    first = read_table(file)
    parquet.write_table(pa.table({"x": np.arange(5000.0)}), file)
    assert read_table(file).names != first.names


def test_an_attempt_that_was_cut_short_is_begun_again(file: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(spill, "advance", stop)
        with pytest.raises(KeyboardInterrupt):
            read_table(file)
    assert len(read_table(file)) == 3000


def test_a_damaged_file_in_the_cache_is_named(file: Path, small: None) -> None:
    from trueweight.files import cache_dir

    read_table(file)
    (kept,) = (cache_dir() / "tables").glob("*.arrow")
    kept.write_bytes(kept.read_bytes()[:500])
    with pytest.raises(TrainError, match="cache") as error:
        read_table(file)
    assert "cache clear" in error.value.hint


def test_cells_of_some_rows_are_those_of_all(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, facts = read_table(file), plain_facts("x1", "number", 3000)
    expected = cut(cells_of(table, facts, ReadOptions()), 100, 900)
    monkeypatch.setattr(reading, "CELLS_BYTES", 1000)
    found = cells_between(table, facts, ReadOptions(), 100, 900)
    np.testing.assert_array_equal(found.value_N, expected.value_N)


def test_what_was_not_asked_for_lately_is_forgotten(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CELLS_BYTES", 60_000)  # two columns of 3,000 numbers with their marks
    table = read_table(file)
    kept = [cells_of(table, plain_facts(f"x{i}", "number", 3000), ReadOptions()) for i in (0, 1, 0, 2)]
    again = [cells_of(table, plain_facts(f"x{i}", "number", 3000), ReadOptions()) for i in (0, 1)]
    assert kept[0] is kept[2] is again[0]
    assert again[1] is not kept[1]


def test_rows_that_are_taken_stay_on_disk_and_leave_nothing_behind(
    file: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = read_table(file)
    rows = np.flatnonzero(np.random.default_rng(1).uniform(size=3000) < 0.5)
    assert spill.taken(table, rows).data.equals(table.take(rows).data)  # few: in memory
    monkeypatch.setattr(spill, "TAKEN_BYTES", 1000)
    files = sorted((cache_dir() / "tables").iterdir())
    before = pa.total_allocated_bytes()
    some = spill.taken(table, rows)
    assert pa.total_allocated_bytes() - before < 10_000
    assert some.data.equals(table.take(rows).data) and some.provenance == table.provenance
    assert sorted((cache_dir() / "tables").iterdir()) == files


def test_taking_rows_does_not_join_the_chunks_of_a_column() -> None:
    rng = np.random.default_rng(0)
    cells = pa.chunked_array([pa.array([rng.bytes(20_000) for _ in range(25)]) for _ in range(8)])
    table = Table(pa.table({"file": cells, "number": np.arange(200.0)}))
    rows = np.array([3, 60, 61, 199])
    ordinary = pa.default_memory_pool()
    pa.set_memory_pool(COUNTING)
    try:
        some = spill.taken(table, rows)
    finally:
        pa.set_memory_pool(ordinary)
    assert 80_000 < COUNTING.max_memory() < 1_000_000
    assert some.data.equals(table.take(rows).data)
    assert len(spill.taken(table, rows[:0])) == 0
