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
        total.update(_bytes(cells))
    return f"sha256:{total.hexdigest()}"


def _texts(column: pa.ChunkedArray) -> pa.Array:
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        cells = pc.cast(column, pa.large_binary())
        return pa.concat_arrays(cells.chunks) if cells.num_chunks else pa.array([], pa.large_binary())
    try:
        texts = pc.cast(column, pa.large_string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        texts = pa.chunked_array(
            [pa.array([json.dumps(c, default=str) for c in column.to_pylist()], pa.large_string())]
        )
    return pa.concat_arrays(texts.chunks) if texts.num_chunks else pa.array([], pa.large_string())


def _bytes(cells: pa.Array) -> bytes:
    """Lengths and letters of all cells; a missing cell has length -1."""
    lengths = pc.fill_null(pc.binary_length(cells), -1).cast(pa.int64()).to_numpy(zero_copy_only=False)
    letters = pc.fill_null(cells, pa.scalar("", cells.type))
    if len(letters) == 0:
        return b""
    _, ends, text = letters.buffers()
    places = np.frombuffer(ends, np.int64)[letters.offset : letters.offset + len(letters) + 1]
    joined = b"" if text is None else memoryview(text)[places[0] : places[-1]]
    return np.ascontiguousarray(lengths).tobytes() + bytes(joined)
