"""How many pictures the linear baseline is solved on: as many as there is time for."""

from dataclasses import replace

import numpy as np
import pytest

from trueweight.data.table import Table
from trueweight.spec.load import parse_spec
from trueweight.train.build import linear_rows
from trueweight.train.prepare import Prepared, prepare


def prepared(budget: dict[str, object], kind: str = "number") -> Prepared:
    table = Table.of({"x": np.arange(40.0), "y": np.arange(40.0) % 7})
    raw = {"version": 1, "name": "r", "features": {"x": kind}, "targets": {"y": "number"}, "train": {"budget": budget}}
    return prepare(table, parse_spec(raw))


def with_pictures(ready: Prepared, rows: int) -> Prepared:
    """The same run, were its column one of pictures."""
    columns = {name: replace(c, type="image") if name == "x" else c for name, c in ready.signature.columns.items()}
    split = replace(ready.split, train=np.arange(rows))
    return replace(ready, signature=replace(ready.signature, columns=columns), split=split)


@pytest.mark.parametrize(("seconds", "expected"), [(8, 4_000), (60, 15_000), (400, 50_000)])
def test_pictures_are_solved_on_what_there_is_time_for(seconds: int, expected: int) -> None:
    ready = with_pictures(prepared({"time": seconds}), 50_000)
    rows = linear_rows(ready)
    assert len(rows) == expected
    assert len(np.unique(rows)) == expected
    np.testing.assert_array_equal(rows, linear_rows(ready))


def test_other_tables_and_runs_without_a_clock_take_all_rows() -> None:
    ready = prepared({"time": 8})
    assert linear_rows(ready) is ready.split.train
    untimed = with_pictures(prepared({"epochs": 3}), 50_000)
    assert len(linear_rows(untimed)) == 50_000
