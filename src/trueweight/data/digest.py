"""Digests of rows by what their cells say, so that a re-saved file still counts as the same data.

Shape suffixes:
    M  values of all lists
"""

import hashlib
import json
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.parse_series import is_list
from trueweight.data.table import Table

__all__ = ["digest_rows"]


def digest_rows(table: Table, rows: np.ndarray | None = None) -> str:
    """SHA-256 over the raw cells of some rows, column by column in the order of their names.

    For each column its name is hashed, and then its cells: lengths as int64 (-1 where missing) and letters, numbers and
    dates as they would be written. Of a column of lists the lengths of the lists are hashed and then what they hold, of
    any depth: numbers as float64 (all of one kind of NaN, and 0 for -0), whole ones too unless they are beyond 2**53;
    anything else as cells are. Other cells of several values are written as JSON.

    Args:
        table: Cells as they were read.
        rows: Row numbers, in order; None for all.
    """
    total = hashlib.sha256()
    for name in sorted(table.names):
        column = table.data.column(name)
        if rows is not None:
            column = column.take(pa.array(rows, pa.int64()))
        total.update(f"{len(name)}:{name}".encode())
        for part in _listed(column) if is_list(column.type) else _letters_of(_texts(column)):
            total.update(part)
    return f"sha256:{total.hexdigest()}"


def _listed(column: pa.ChunkedArray) -> Iterator[bytes | memoryview]:
    """Lengths of lists, and what is in them. Each part begins with a letter that says what it is."""
    while is_list(column.type):
        yield b"L" + _whole(pc.fill_null(pc.list_value_length(column).cast(pa.int64()), -1)).tobytes()
        column = pc.list_flatten(column)
    numbers = _numbers(column)
    if numbers is not None:
        yield b"N" + numbers
    else:
        yield b"T"
        yield from _letters_of(_texts(column))


def _letters_of(cells: pa.ChunkedArray) -> Iterator[bytes | memoryview]:
    """Lengths and letters, chunk by chunk: joining a column would copy it."""
    for chunk in cells.chunks:
        yield _lengths(chunk)
    for chunk in cells.chunks:
        yield _letters(chunk)


def _numbers(column: pa.ChunkedArray) -> bytes | None:
    """Which values are there, and what they are; None for what is no number, or not exactly one as float64."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    try:
        value_M = _whole(pc.fill_null(pc.cast(column, pa.float64()), 0.0)) + 0.0
    except pa.ArrowInvalid:
        return None
    value_M[np.isnan(value_M)] = np.nan
    return np.packbits(_whole(pc.is_valid(column))).tobytes() + value_M.tobytes()


def _whole(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(column.to_numpy())


def _texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return pc.cast(column, pa.large_binary())
    try:
        return pc.cast(column, pa.large_string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return pa.chunked_array([pa.array([json.dumps(c, default=str) for c in column.to_pylist()], pa.large_string())])


def _lengths(cells: pa.Array) -> bytes:
    """Of all cells; a missing cell has length -1."""
    lengths = pc.fill_null(pc.binary_length(cells), -1).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(lengths).tobytes()


def _letters(cells: pa.Array) -> memoryview:
    """Of all cells, without a copy where none is missing."""
    letters = pc.fill_null(cells, pa.scalar("", cells.type)) if cells.null_count else cells
    if len(letters) == 0:
        return memoryview(b"")
    _, ends, text = letters.buffers()
    places = np.frombuffer(ends, np.int64)[letters.offset : letters.offset + len(letters) + 1]
    return memoryview(b"") if text is None else memoryview(text)[places[0] : places[-1]]
