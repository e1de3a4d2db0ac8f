"""What the Signature says is usual: one row in the middle of all, and values that a column may take.

Shape suffixes:
    G  values of a grid
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import DateCells, LevelCells, NumberCells
from trueweight.data.reading import cells_of
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.evaluate.mosaic import with_column

__all__ = [
    "SENSES", "Scale", "canonical", "grid_of", "rewritten", "scales_of", "shown_cell", "usual_row", "with_usual",
    "with_value",
]  # fmt: skip

SENSES = ("image", "audio", "text", "timeseries")

MOST_VALUES = 12
_MOST_SIGNS = 60


def usual_row(signature: Signature) -> Table:
    """Medians, most frequent levels, and nothing of what has neither: one row."""
    cells = {facts.name: pa.array([_usual(facts)], _kind(facts)) for facts in signature.features()}
    return Table(pa.table(cells))


def _usual(facts: ColumnFacts) -> Any:
    match facts.type:
        case "number":
            return facts.learnt["median"]
        case "date":
            return _moment(facts.learnt["median"])
        case "category" | "binary":
            return next(iter(facts.learnt["levels"]), None)
        case _:
            return None


def _kind(facts: ColumnFacts) -> pa.DataType:
    return pa.float64() if facts.type == "number" else pa.string()


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def grid_of(facts: ColumnFacts) -> list[Any]:
    """Values between the outer twentieths of training rows, or levels by falling frequency; [] for other types."""
    match facts.type:
        case "number" | "date":
            levels, quantiles = facts.learnt["levels"], facts.learnt["quantiles"]
            if not quantiles:
                return []
            at = np.interp(np.linspace(0.05, 0.95, MOST_VALUES), levels, quantiles)
            if facts.type == "date":
                return [_moment(float(x)) for x in np.unique(at.round())]
            return [float(f"{x:.6g}") for x in np.unique(np.round(at) if facts.learnt["integer"] else at)]
        case "category" | "binary":
            return list(facts.learnt["levels"][:MOST_VALUES])
        case _:
            return []


def canonical(table: Table, signature: Signature) -> Table:
    """The columns that a model reads, plain ones in one way of writing: numbers as numbers, dates and levels as texts.

    Cells of several origins can then stand in one column. What cannot be read becomes null, as models take it anyway.
    """
    data = table.select([facts.name for facts in signature.features() if facts.name in table.names]).data
    for place, name in enumerate(data.column_names):
        cells = cells_of(table, signature.columns[name], signature.options)
        match cells:
            case NumberCells():
                column = pa.array(cells.value_N, pa.float64(), mask=cells.missing_N)
            case DateCells():
                moments = pa.array(cells.micros_N, pa.timestamp("us"), mask=cells.missing_N)
                column = pc.strftime(moments, "%Y-%m-%dT%H:%M:%S")
            case LevelCells():
                levels = np.array([*cells.levels, None], object)
                column = pa.array(levels[cells.code_N], pa.string())
            case _:
                continue
        data = data.set_column(place, name, column)
    return replace(table, data=data)


def with_usual(table: Table, signature: Signature) -> Table:
    """A canonical table with one row more: the usual one."""
    usual = usual_row(signature)
    cells = {
        name: pa.array(
            usual.column(name).to_pylist() if name in usual.names else [None], table.data.schema.field(name).type
        )
        for name in table.names
    }
    return replace(table, data=pa.concat_tables([table.data, pa.table(cells, schema=table.data.schema)]))


def with_value(table: Table, name: str, value: Any) -> Table:
    """A canonical table with one value in all cells of a column."""
    kind = table.data.schema.field(name).type
    return with_column(table, name, pa.array([value] * len(table), kind))


def rewritten(table: Table, row: int, cells: Sequence[tuple[str, str, str]]) -> Table:
    """A row of a canonical table with cells changed as they are shown: column, before, after."""
    single = table.take(np.array([row]))
    for name, _, after in cells:
        number = pa.types.is_floating(single.data.schema.field(name).type)
        single = with_value(single, name, float(after) if number else after)
    return single


class Scale:
    """Distances within one column: of numbers the share of training rows between two, of others 0 or 1."""

    def __init__(self, facts: ColumnFacts, signature: Signature) -> None:
        self.facts, self.signature = facts, signature
        self.ordered = facts.type in ("number", "date") and bool(facts.learnt.get("quantiles"))

    def places(self, table: Table) -> np.ndarray:
        """Of each row: the share of training rows below, or a number for each level; NaN where missing."""
        cells = cells_of(table, self.facts, self.signature.options)
        if isinstance(cells, NumberCells | DateCells):
            value = cells.value_N if isinstance(cells, NumberCells) else cells.micros_N / 1e6
            levels, quantiles = self.facts.learnt.get("levels", [0.5]), self.facts.learnt.get("quantiles") or [0.0]
            place = np.interp(value, quantiles, levels) if self.ordered else value
            return np.where(cells.missing_N, np.nan, place)
        assert isinstance(cells, LevelCells)
        known = {level: i for i, level in enumerate(self.facts.learnt["levels"])}
        of_level = np.array([known.get(level, -1) for level in cells.levels] + [np.nan])
        return np.asarray(of_level[cells.code_N])

    def distances(self, here: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Elementwise, in [0, 1]; missing is 1 from everything but missing."""
        gone = np.isnan(here) | np.isnan(there)
        apart = np.abs(here - there) if self.ordered else (here != there).astype(np.float64)
        return np.asarray(np.where(gone, (np.isnan(here) != np.isnan(there)).astype(np.float64), apart))


def scales_of(signature: Signature, names: Sequence[str]) -> dict[str, Scale]:
    """For the named columns of numbers, dates and levels."""
    plain = ("number", "date", "category", "binary")
    facts = (signature.columns[name] for name in names)
    return {one.name: Scale(one, signature) for one in facts if one.type in plain}


def shown_cell(cell: Any) -> str:
    """A cell on one line, shortened; files and series by what they are."""
    if cell is None:
        return "(missing)"
    if isinstance(cell, bytes):
        return "(file)"
    if isinstance(cell, dict):
        return "(file)"
    if isinstance(cell, list):
        return f"({len(cell)} values)"
    if isinstance(cell, float):
        return f"{cell:.6g}" if math.isfinite(cell) else "(missing)"
    text = " ".join(str(cell).split())
    return "(file)" if text.startswith("data:") else text if len(text) <= _MOST_SIGNS else f"{text[:_MOST_SIGNS]}…"
