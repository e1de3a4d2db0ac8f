"""Cells of a table's columns, interpreted once per table however many models read them."""

from dataclasses import replace
from weakref import WeakKeyDictionary

import pyarrow as pa

from trueweight.data.cells import Cells, ReadOptions
from trueweight.data.column import FieldArrays
from trueweight.data.field import Field
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.files import canonical_json, digest_bytes
from trueweight.registry import registry

__all__ = ["cells_of", "column_part", "encoded_of", "plain_facts", "reading_from"]

_Key = tuple[str, str, ReadOptions]
_KNOWN: WeakKeyDictionary[Table, dict[_Key, Cells]] = WeakKeyDictionary()
_ENCODED: WeakKeyDictionary[Table, dict[str, FieldArrays]] = WeakKeyDictionary()


def column_part(facts: ColumnFacts) -> object:
    """The column type that a column was learnt with, rebuilt from its facts."""
    kind = "head" if facts.role == "target" else "column"
    return registry(kind)[facts.type].model_validate(dict(facts.spec))  # type: ignore[attr-defined]


def plain_facts(name: str, type: str, rows: int) -> ColumnFacts:
    """Facts of a column that is read as a type without options, for what no model learns from."""
    return ColumnFacts(name, type, "ignored", "", {"type": type}, rows, 0)


def reading_from(table: Table, options: ReadOptions) -> ReadOptions:
    """The same options, with paths in cells starting where this table's do."""
    return replace(options, media_dir=table.media_dir)


def cells_of(table: Table, facts: ColumnFacts, options: ReadOptions) -> Cells:
    """Interpreted cells of one column, remembered for as long as the table lives.

    A column that the table lacks is all missing values: models have an answer for those.
    """
    known = _KNOWN.setdefault(table, {})
    options = reading_from(table, options)
    key = (facts.name, repr(sorted(facts.spec.items(), key=lambda item: item[0])), options)
    if key not in known:
        raw = table.data.column(facts.name) if facts.name in table.names else pa.chunked_array([pa.nulls(len(table))])
        known[key] = column_part(facts).read(raw, options)  # type: ignore[attr-defined]
    return known[key]


def encoded_of(table: Table, field: Field, signature: Signature) -> FieldArrays:
    """The arrays of one field. Those of pictures, sounds, texts and series are remembered for as long as the table
    lives: members of a blend, and baselines, read the same ones."""
    cells = {name: cells_of(table, signature.columns[name], signature.options) for name in field.codecs}
    if not field.layout().senses:
        return field.encode(cells)
    known, key = _ENCODED.setdefault(table, {}), digest_bytes(canonical_json(field.to_json()).encode())
    if key not in known:
        known[key] = field.encode(cells)
    return known[key]
