"""Cells of a table's columns, interpreted once per table however many models read them."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import pyarrow as pa

from trueweight.data.borrowed import borrowed_of
from trueweight.data.cells import Cells, ReadOptions, cut, size_of
from trueweight.data.column import FieldArrays
from trueweight.data.field import Field
from trueweight.data.ragged import Ragged
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.registry import registry

__all__ = [
    "CELLS_BYTES", "cells_between", "cells_of", "column_part", "encoded_of", "field_from", "forget_many", "lend",
    "plain_facts", "reading_from",
]  # fmt: skip

CELLS_BYTES = 2**27
"""Cells of one table's typed numbers that are remembered; others are read again when they are needed."""

_FEW = 1024
"""Rows of a table whose cells are remembered without being weighed."""

_NUMBER_BYTES = 9
"""A float64 and a missing mark."""

_MARKED = frozenset(("csv", "tsv", "excel"))
"""Formats whose cells say by a word that there is nothing in them: they have no other way."""

_Key = tuple[str, str, ReadOptions]
_KNOWN: "WeakKeyDictionary[Table, _Remembered]" = WeakKeyDictionary()
_ENCODED: WeakKeyDictionary[Table, dict[str, FieldArrays]] = WeakKeyDictionary()


def column_part(facts: ColumnFacts) -> object:
    """The column type that a column was learnt with, rebuilt from its facts."""
    return facts.part


def plain_facts(name: str, type: str, rows: int) -> ColumnFacts:
    """Facts of a column that is read as a type without options, for what no model learns from."""
    return ColumnFacts(name, type, "ignored", "", {"type": type}, rows, 0)


def field_from(raw: Mapping[str, Any]) -> Field:
    """A field with its codecs, from plain data: the inverse of ``Field.to_json``."""
    codecs = []
    for column in raw["columns"]:
        kind: Any = registry("column")[column["type"]]
        codecs.append(kind.model_validate({"type": column["type"]}).codec_from_json(column["codec"]))
    return Field.from_json(raw, codecs)


def reading_from(table: Table, options: ReadOptions) -> ReadOptions:
    """The same options, with paths in cells starting where this table's do."""
    return options if options.media_dir == table.media_dir else replace(options, media_dir=table.media_dir)


def cells_of(table: Table, facts: ColumnFacts, options: ReadOptions) -> Cells:
    """Interpreted cells of one column, remembered for as long as the table lives.

    A column that the table lacks is all missing values: models have an answer for those.
    """
    known = _KNOWN.get(table)
    if known is None:
        known = _KNOWN[table] = _Remembered()
    options = reading_from(table, options)
    key = (facts.name, facts.spelled, options)
    found = known.get(key)
    if found is None:
        found = _read(table, facts, options)
        # Typed numbers are read again in a moment; texts were parsed, and files looked into. Few rows fill nothing.
        known.keep(key, found, cheap=len(table) > _FEW and _is_primitive(table, facts.name))
    return found


def cells_between(table: Table, facts: ColumnFacts, options: ReadOptions, start: int, end: int) -> Cells:
    """The cells of some rows. Numbers of tables that are too large to be remembered are read anew, these rows only."""
    if facts.type != "number" or len(table) * len(table.names) * _NUMBER_BYTES <= CELLS_BYTES:
        return cut(cells_of(table, facts, options), start, end)
    return _read(replace(table, data=table.data.slice(start, end - start)), facts, reading_from(table, options))


def _read(table: Table, facts: ColumnFacts, options: ReadOptions) -> Cells:
    raw = table.data.column(facts.name) if facts.name in table.names else pa.chunked_array([pa.nulls(len(table))])
    if facts.type == "text" and not options.marked_texts and _MARKED.isdisjoint(table.provenance.format.split("+")):
        options = replace(options, missing_values=("",))
    cells: Cells = column_part(facts).read(raw, options)  # type: ignore[attr-defined]
    return cells


def forget_many(table: Table) -> None:
    """Let go of a table's cells if they fill much memory: other rows of it are about to be read as a table of their
    own."""
    known = _KNOWN.get(table)
    if known is not None and known.bytes > CELLS_BYTES // 2:
        known.drop()


def _is_primitive(table: Table, name: str) -> bool:
    return name in table.names and bool(pa.types.is_primitive(table.data.schema.field(name).type))


class _Remembered:
    """Cells by what was asked. Of those that are cheap to read again, the least recently used ones are forgotten when
    they fill too much."""

    def __init__(self) -> None:
        self._costly: dict[_Key, Cells] = {}
        self._cells: OrderedDict[_Key, tuple[Cells, int]] = OrderedDict()
        self.bytes = 0
        """Of the cheap ones."""

    def get(self, key: _Key) -> Cells | None:
        if key not in self._cells:
            return self._costly.get(key)
        self._cells.move_to_end(key)
        return self._cells[key][0]

    def drop(self) -> None:
        """Forget what is cheap to read again."""
        self._cells.clear()
        self.bytes = 0

    def keep(self, key: _Key, cells: Cells, *, cheap: bool) -> None:
        """Remember."""
        if not cheap:
            self._costly[key] = cells
            return
        size = size_of(cells)
        self._cells[key], self.bytes = (cells, size), self.bytes + size
        while self.bytes > CELLS_BYTES and len(self._cells) > 1:
            _, (_, freed) = self._cells.popitem(last=False)
            self.bytes -= freed


def encoded_of(table: Table, field: Field, signature: Signature) -> FieldArrays:
    """The arrays of one field. Those of pictures, sounds, texts and series are remembered for as long as the table
    lives: members of a blend, and baselines, read the same ones."""
    if table.told is not None and field.direct is not None:
        found = field.direct.encode(table.told, signature)
        if found is not None:
            return found
    if not field.sensed:
        return field.encode(_cells_for(table, field, signature))
    known, key = _ENCODED.setdefault(table, {}), field.digest
    if key in known:
        return known[key]
    if (taken := _taken(table, field, signature)) is not None:  # from what is remembered: quickly taken again
        return taken
    known[key] = field.encode(_cells_for(table, field, signature))
    return known[key]


def _cells_for(table: Table, field: Field, signature: Signature) -> dict[str, Cells]:
    return {name: cells_of(table, signature.columns[name], signature.options) for name in field.codecs}


def _taken(table: Table, field: Field, signature: Signature) -> FieldArrays | None:
    """The arrays of a field whose cells are another table's, taken from there; None where they are not."""
    (column, *more) = field.codecs
    found = None if more else borrowed_of(table, column)
    if found is None:
        return None
    lender, place_N = found
    arrays = encoded_of(lender, field, signature)
    return {key: array.take(place_N) if isinstance(array, Ragged) else array[place_N] for key, array in arrays.items()}


def lend(table: Table, field: Field, arrays: FieldArrays) -> None:
    """Have :func:`encoded_of` give these arrays, which the same codecs made of the same rows of a larger table.

    Args:
        table: The rows.
        field: Of a sense: others are quickly encoded.
        arrays: Its arrays, one row for each of the table's.
    """
    _ENCODED.setdefault(table, {})[field.digest] = arrays
