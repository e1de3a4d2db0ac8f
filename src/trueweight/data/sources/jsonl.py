"""JSON Lines: one object a line; lists may stand for vectors and sets."""

import io
import json
from collections.abc import Iterator
from itertools import islice
from typing import Any, ClassVar, Literal, cast

import pyarrow as pa

from trueweight.data.frames import arrow_array
from trueweight.data.source import Piece, SourceFile, arrow_stream
from trueweight.data.sources.csv import refuse_other_kinds
from trueweight.errors import DataError
from trueweight.progress import advance
from trueweight.spec.base import PartSpec
from trueweight.spec.data import DataSpec

__all__ = ["JsonlSource"]

_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 22


class JsonlSource(PartSpec):
    """JSON Lines, also gzipped. Absent keys are missing values; lines that are no object are skipped and counted."""

    type: Literal["jsonl"] = "jsonl"
    """Registered name."""

    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson", ".json")

    def recognises(self, head: bytes) -> bool:
        return head.removeprefix(_BOM).lstrip().startswith((b'{"', b"{ ", b"{}"))

    def read(self, file: SourceFile, spec: DataSpec, rows: int | None) -> Piece:
        refuse_other_kinds(file)
        if not file.head.removeprefix(_BOM).strip():
            raise DataError("the file is empty", where=file.name, hint="it should hold one JSON object a line")
        if file.head.removeprefix(_BOM).lstrip().startswith(b"["):
            return _from_array(file, rows)
        content = _lines(file, rows)
        encoding = spec.encoding or "utf-8"
        data = None if encoding != "utf-8" else _by_arrow(content)
        if data is not None:
            return Piece(data, encoding)
        return _by_line(file.name, content, encoding, spec)

    def example(self) -> bytes:
        return b'{"name": "a", "count": 1}\n{"name": "b", "count": 2}\n{"name": "c", "count": 3}\n'


def _lines(file: SourceFile, rows: int | None) -> bytes:
    """The content, or its first ``rows`` lines."""
    with file.open() as raw:
        if rows is not None:
            with io.BufferedReader(cast(io.RawIOBase, raw), _BLOCK) as lines:
                return b"".join(islice((line for line in lines if line.strip()), rows)).removeprefix(_BOM)
        pieces, place = [], 0
        while piece := raw.read(_BLOCK):
            pieces.append(piece)
            place += len(piece)
            advance(f"reading {file.name}", place, None if file.gzipped else file.size, unit="bytes")
    return b"".join(pieces).removeprefix(_BOM)


def _by_arrow(content: bytes) -> pa.Table | None:
    """What Arrow's own reader makes of it; None if it meets anything that it cannot place."""
    from pyarrow import json as arrow_json

    for block in (_BLOCK, 1 << 28):  # a second time, for lines longer than a block
        try:
            reading = arrow_json.ReadOptions(block_size=block)
            data = arrow_json.read_json(arrow_stream(content), read_options=reading)
            if (schema := _without_moments(data.schema)) != data.schema:
                parsing = arrow_json.ParseOptions(explicit_schema=schema)
                data = arrow_json.read_json(arrow_stream(content), read_options=reading, parse_options=parsing)
            data.validate(full=True)  # the reader itself does not look whether texts are UTF-8
        except pa.ArrowException as error:
            if "straddl" not in str(error):
                return None
        else:
            return data if data.num_columns else None
    return None


def _without_moments(schema: pa.Schema) -> pa.Schema:
    """Texts that look like dates stay texts: Arrow would decide it by all their neighbours."""
    return pa.schema([pa.field(field.name, _as_text(field.type)) for field in schema])


def _as_text(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_as_text(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, _as_text(field.type)) for field in kind.fields])
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _by_line(name: str, content: bytes, encoding: str, spec: DataSpec) -> Piece:
    records: list[dict[str, Any]] = []
    bad: list[tuple[int, str]] = []
    for number, line in enumerate(content.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode(encoding))
            if not isinstance(record, dict):
                raise TypeError(f"not an object but {line[:20]!r}")
            records.append(record)
        except (ValueError, TypeError, RecursionError) as error:
            bad.append((number, str(error)))
    total = len(records) + len(bad)
    if len(bad) > spec.max_bad_rows * total:
        lines = ", ".join(str(number) for number, _ in bad[:3]) + (", …" if len(bad) > 3 else "")
        problem = f"{len(bad):,} of {total:,} lines are not JSON objects (lines {lines}): {bad[0][1]}"
        hint = "each line must be one {…}"
        if spec.max_bad_rows:  # 0 says that no row may be lost
            hint += "; data.max_bad_rows allows more bad lines, which are skipped"
        raise DataError(problem, where=f"{name}:{bad[0][0]}", hint=hint)
    return Piece(_table(records, name), encoding, skipped_rows=len(bad))


def _from_array(file: SourceFile, rows: int | None) -> Piece:
    """A file that is one JSON array of objects."""
    try:
        records = json.loads(file.bytes().removeprefix(_BOM))
    except (ValueError, RecursionError) as error:
        hint = "write one JSON object a line"
        raise DataError(f"this is not valid JSON: {error}", where=file.name, hint=hint) from None
    if not all(isinstance(record, dict) for record in records):
        raise DataError("this is a JSON array, but not of objects", where=file.name, hint="write one object a line")
    return Piece(_table(records if rows is None else records[:rows], file.name), "utf-8")


def _table(records: list[dict[str, Any]], name: str) -> pa.Table:
    names = list(dict.fromkeys(key for record in records for key in record))
    if not names:
        raise DataError("there is no row with a value", where=name, hint="each line must be one {…} with keys")
    return pa.table({key: arrow_array(list(_values(records, key))) for key in names})


def _values(records: list[dict[str, Any]], key: str) -> Iterator[Any]:
    return (record.get(key) for record in records)
