"""Digests of rows by what their cells say, so that a re-saved file still counts as the same data."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.table import Table

__all__ = ["digest_rows"]


def digest_rows(table: Table, rows: np.ndarray | None = None) -> str:
    """SHA-256 over the raw cells of some rows, column by column in the order of their names.

    Args:
        table: Cells as they were read.
        rows: Row numbers, in order; None for all.
    """
    total = hashlib.sha256()
    for name in sorted(table.names):
        column = table.data.column(name)
        if rows is not None:
            column = column.take(pa.array(rows, pa.int64()))
        cells = _texts(column)
        total.update(f"{len(name)}:{name}".encode())
        for chunk in cells.chunks:
            total.update(_lengths(chunk))
        for chunk in cells.chunks:
            total.update(_letters(chunk))
    return f"sha256:{total.hexdigest()}"


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
