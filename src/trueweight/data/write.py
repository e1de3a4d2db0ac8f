"""Columns to files: CSV, Parquet and JSON Lines, whole or not at all."""

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, time
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.frames import arrow_array
from trueweight.errors import SpecError
from trueweight.files import disk_errors, require_target

__all__ = ["WRITERS", "write_columns"]

_ROWS = 1 << 16


def write_columns(columns: Mapping[str, np.ndarray], target: Path | IO[bytes], format: str) -> None:
    """Write columns of N rows. A file appears complete, by one rename, or not at all.

    Args:
        columns: Names to (N,) or (N, D) arrays. NaN and None are written as nothing (CSV) or null. Lists and sets
            stand as JSON in a CSV cell.
        target: A path, or a stream of bytes such as ``sys.stdout.buffer``, which is flushed but not closed.
        format: "csv", "parquet" or "jsonl".

    Raises:
        SpecError: There is no such format.
        TrainError: The disk is full, or the folder is missing or may not be written to.
    """
    if format not in WRITERS:
        raise SpecError(f"unknown output format {format!r}", hint=f"choose from {', '.join(WRITERS)}")
    table = pa.table({name: arrow_array(values) for name, values in columns.items()})
    if not isinstance(target, Path):
        WRITERS[format](table, target)
        target.flush()
        return
    with _replacing(target) as stream:
        WRITERS[format](table, stream)


@contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    require_target(target)
    target = Path(os.path.realpath(target))  # a link stays a link
    if target.exists() and not target.is_file():  # a device or a pipe: there is nothing to replace
        with disk_errors(target), target.open("wb") as stream:
            yield stream
        return
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    with disk_errors(target):
        try:
            with temporary.open("xb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _csv(table: pa.Table, stream: IO[bytes]) -> None:
    """RFC 4180 with LF line ends: quotes only where a cell holds a comma, a quote or a line break."""
    stream.write((",".join(_quote_one(name) for name in table.column_names) + "\n").encode())
    lone = table.num_columns == 1
    for start in range(0, table.num_rows, _ROWS):
        part = table.slice(start, _ROWS)
        cells = [_quoted(_as_text(column.combine_chunks()), lone=lone) for column in part.columns]
        lines = pc.binary_join_element_wise(*cells, ",") if len(cells) > 1 else cells[0]
        stream.write(("\n".join(lines.to_pylist()) + "\n").encode())


def _quote_one(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') or not text else text


def _as_text(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_string(kind):
        return array
    if pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return pa.array([None if value is None else _json(value) for value in array.to_pylist()], pa.string())
    if pa.types.is_dictionary(kind):
        return array.dictionary_decode().cast(pa.string())
    return array.cast(pa.string())


def _quoted(array: pa.Array, *, lone: bool) -> pa.Array:
    array = pc.fill_null(array, "")
    needs = pc.match_substring_regex(array, '[",\r\n]')
    if pc.any(needs).as_py():
        inside = pc.replace_substring(array, '"', '""')
        array = pc.if_else(needs, pc.binary_join_element_wise('"', inside, '"', ""), array)
    # An empty line would be no row at all, where there is one column only.
    return pc.if_else(pc.equal(array, ""), '""', array) if lone else array


def _parquet(table: pa.Table, stream: IO[bytes]) -> None:
    from pyarrow import parquet

    # A pipe knows no positions, which Parquet's footer is made of.
    sink = pa.BufferOutputStream()
    parquet.write_table(table, sink)
    stream.write(sink.getvalue())


def _jsonl(table: pa.Table, stream: IO[bytes]) -> None:
    for start in range(0, table.num_rows, _ROWS):
        rows = table.slice(start, _ROWS).to_pylist()
        stream.write("".join(_json(row) + "\n" for row in rows).encode())


def _json(value: Any) -> str:
    return json.dumps(_finite(value), ensure_ascii=False, default=_plain)


def _finite(value: Any) -> Any:
    """JSON has no word for NaN and infinity."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value.isoformat() if isinstance(value, date | time) else str(value)


WRITERS: dict[str, Callable[[pa.Table, IO[bytes]], None]] = {"csv": _csv, "parquet": _parquet, "jsonl": _jsonl}
"""Format name to writer."""
