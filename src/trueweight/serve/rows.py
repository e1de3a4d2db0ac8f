"""Bodies to rows: JSON, JSON Lines, CSV, Arrow and forms with files, as the command line reads the same files.

What may wait together with other requests' rows is told by ``key``: the types of the cells. A cell means what it means
by its type, and joining columns of different types would change it.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pydantic_core import from_json

from trueweight.data.frames import arrow_array
from trueweight.data.plain import named, plain_types
from trueweight.data.sniff import layout_of
from trueweight.data.source import HEAD_BYTES
from trueweight.data.table import Provenance, Table
from trueweight.data.told import PLAIN, Told
from trueweight.errors import DataError
from trueweight.serve.arrow_guard import read_arrow
from trueweight.serve.limits import Limits
from trueweight.serve.refusals import Refused
from trueweight.spec.data import DataSpec

__all__ = ["ARROW", "Rows", "arrow_bytes", "read_rows", "require_size", "rows_of_records", "table_of"]

Record = dict[str, Any]

_ASKED = "the request"
_ORIGIN = Provenance((_ASKED,))
_CSV = Provenance((_ASKED,), format="csv")

ARROW = "application/vnd.apache.arrow.stream"


@dataclass(slots=True)
class Rows:
    """Rows of one request: plain records, or a table."""

    count: int
    key: object
    """Equal for rows whose columns have the same names and types."""
    records: Sequence[Record] = ()
    table: pa.Table | None = None
    plain: bool = False
    """Whether all cells are plain values, of one type in each column."""
    origin: Provenance = _ORIGIN
    """What a cell means may depend on the form that it came in."""
    of: Any = None
    """The model that was served when they were asked: it answers them, whatever is swapped meanwhile."""

    @property
    def columns(self) -> int:
        """Different ones, of all rows together."""
        if self.table is not None:
            return int(self.table.num_columns)
        if isinstance(self.key, frozenset):
            return len(self.key)
        return len({name for record in self.records for name in record})


def read_rows(
    kind: str, body: bytes, limits: Limits, options: DataSpec, content_type: str = "", *, empty: bool = False
) -> Rows:  # fmt: skip
    """Rows from a body.

    Args:
        kind: Media type; "" counts as JSON.
        body: All of it.
        limits: Most rows, columns and cells.
        options: How the model's own files are read: missing values, decimal commas.
        content_type: The whole header, which tells where parts of a form end.
        empty: Whether a table with columns may have no row, as frames may; where columns are not told without rows, no
            row is nearly always a mistake.

    Raises:
        Refused: It is not what it says it is, holds no row, or too many.
    """
    reader = _READERS.get(kind or "application/json")
    if reader is None:
        known = ", ".join(sorted({*_READERS, "multipart/form-data"}))
        hint = f"Content-Type says which of these it is: {known}"
        raise Refused(415, f"bodies of kind {kind[:60]!r} are not read", hint=hint)
    rows = reader(body, limits, options, content_type)
    if rows.count == 0 and not (empty and rows.table is not None and rows.table.num_columns):
        raise Refused(422, "there is no row in the body")
    return require_size(rows, limits)


def require_size(rows: Rows, limits: Limits) -> Rows:
    """Rows, if they are no more than one request may ask for.

    Raises:
        Refused: There are too many of them, or of their columns or cells.
    """
    if rows.count > limits.rows:
        raise _too_many_rows(rows.count, limits)
    columns = rows.columns
    if columns > limits.columns:
        raise Refused(413, f"{columns:,} columns are more than {limits.columns:,}")
    if rows.count * columns > limits.cells:
        hint = "send fewer rows at a time, and only columns that the model reads"
        raise Refused(
            413, f"{rows.count:,} rows of {columns:,} columns are more than {limits.cells:,} cells", hint=hint
        )
    return rows


def _too_many_rows(count: int, limits: Limits) -> Refused:
    hint = "send them in several requests, or as a stream to …/predict?stream=true"
    return Refused(413, f"{count:,} rows are more than {limits.rows:,}", hint=hint)


def rows_of_records(records: Any) -> Rows:
    """Rows from what JSON held.

    Raises:
        Refused: It is no list of objects.
    """
    if isinstance(records, dict):
        records = [records]
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        hint = 'send {"rows": [{"column": value, …}, …]}'
        raise Refused(422, "rows must be a list of objects", hint=hint)
    if len(records) == 1:
        (record,) = records
        kinds = [type(value) for value in record.values()]
        if record and PLAIN.issuperset(kinds):
            return Rows(1, frozenset(zip(record, kinds, strict=True)), records, plain=True)
        return Rows(1, frozenset([(name, _type_of(value)) for name, value in record.items()]), records)
    key = _key_of(records)
    plain = isinstance(key, frozenset) and bool(key) and all(kind in PLAIN for _, kind in key)
    return Rows(len(records), key, records, plain=plain)


def _key_of(records: Sequence[Record]) -> object:
    kinds: dict[str, set[Any]] = {}
    for record in records:
        for name, value in record.items():
            kinds.setdefault(name, set()).add(_type_of(value))
    if any(len(kind) > 1 for kind in kinds.values()) or any(len(r) != len(kinds) for r in records):
        return object()  # a column of several types is read as a whole: nobody else's cells may join it
    return frozenset((name, *kind) for name, kind in kinds.items())


def _type_of(value: Any) -> Any:
    kind = type(value)
    if kind is list:
        return (list, frozenset(_type_of(inner) for inner in value))
    return (object(),) if kind is dict else kind


def table_of(several: Sequence[Rows]) -> Table:
    """One table of the rows of requests whose keys are equal."""
    if several[0].table is None:
        records = [record for rows in several for record in rows.records]
        if isinstance(several[0].key, frozenset):  # all have the same names
            columns = {name: [record[name] for record in records] for name in records[0]}
            if several[0].plain:
                return Table.of_told(Told(columns, len(records), _arrow_of), _ORIGIN)
        else:
            names = dict.fromkeys(name for record in records for name in record)
            columns = {name: [record.get(name) for record in records] for name in names}
        data = _arrow_of(columns)
        if any(pa.types.is_struct(field.type) for field in data.schema):
            data = plain_types(data)
    else:
        tables = [rows.table for rows in several if rows.table is not None]
        data = tables[0] if len(tables) == 1 else pa.concat_tables(tables)
    return Table(data, several[0].origin)


def _arrow_of(columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    return pa.table({name: _column(list(values)) for name, values in columns.items()})


def _column(values: list[Any]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError):
        return arrow_array(values)


def _json(body: bytes, limits: Limits, _: DataSpec, __: str) -> Rows:
    try:
        found = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refused(400, f"the body is not JSON: {str(error)[:200]}") from None
    if isinstance(found, dict) and isinstance(found.get("rows"), list):
        found = found["rows"]
    if isinstance(found, list) and len(found) > limits.rows:  # before each of them is looked at
        raise _too_many_rows(len(found), limits)
    return rows_of_records(found)


def _lines(body: bytes, limits: Limits, _: DataSpec, __: str) -> Rows:
    if body.count(b"\n") > limits.rows:  # before any of them is parsed
        lines = sum(1 for line in io.BytesIO(body) if line.strip())
        if lines > limits.rows:
            raise _too_many_rows(lines, limits)
    try:
        return rows_of_records([from_json(line, allow_inf_nan=False) for line in body.split(b"\n") if line.strip()])
    except ValueError as error:
        raise Refused(400, f"a line is not JSON: {str(error)[:200]}") from None


def _csv(body: bytes, limits: Limits, options: DataSpec, _: str) -> Rows:
    from trueweight.data.source import SourceFile  # here: it loads what only files need
    from trueweight.data.sources.csv import CsvSource

    if body.startswith(b"\x1f\x8b"):
        raise Refused(415, "packed text must say so in Content-Encoding")  # where it is unpacked within bounds
    try:
        _refuse_wide_header(body, limits, options)
        piece = CsvSource().read(SourceFile.held(_ASKED, body), options, None)
        data, _notes = named(piece.data, _ASKED)
    except DataError as error:
        raise Refused(422, error.problem, hint=error.hint) from None
    key = ("csv", *((field.name, str(field.type)) for field in data.schema))
    return Rows(len(data), key, table=data, origin=_CSV)


def _refuse_wide_header(body: bytes, limits: Limits, options: DataSpec) -> None:
    """Arrow's reader makes room for all columns of a header at once, which may be more room than there is."""
    if len(body) <= 2 * limits.columns:
        return
    head = body[:HEAD_BYTES]
    whole = head if b"\n" in head or b"\r" in head else body  # as it is read afterwards
    names = layout_of(_ASKED, whole, options.delimiter).names
    if len(names) > limits.columns:
        raise Refused(413, f"{len(names):,} columns are more than {limits.columns:,}")


def arrow_bytes(table: pa.Table) -> bytes:
    """A table as a stream that :func:`read_rows` reads."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _arrow(body: bytes, limits: Limits, _: DataSpec, __: str) -> Rows:
    try:
        data, _notes = named(read_arrow(body, limits.rows, limits.columns, limits.body), _ASKED)
        data = plain_types(data)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise Refused(400, f"the body is not an Arrow stream: {str(error)[:200]}") from None
    except DataError as error:
        raise Refused(422, error.problem, hint=error.hint) from None
    return Rows(len(data), data.schema, table=data)


def _form(body: bytes, _: Limits, __: DataSpec, content_type: str) -> Rows:
    from trueweight.serve.forms import cells_of_form

    cells = cells_of_form(body, content_type)
    counts = {len(values) for values in cells.values()}
    if len(counts) > 1:
        raise Refused(422, "every field of a form must be given equally often, once for each row")
    data = pa.table({name: _column(values) for name, values in cells.items()})
    return Rows(len(data), data.schema, table=data)


_READERS: Mapping[str, Callable[[bytes, Limits, DataSpec, str], Rows]] = {
    "application/json": _json, "application/x-ndjson": _lines, "application/jsonl": _lines, "text/csv": _csv,
    ARROW: _arrow, "multipart/form-data": _form,
}  # fmt: skip
