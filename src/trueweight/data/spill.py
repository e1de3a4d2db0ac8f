"""Tables larger than memory: written once as an uncompressed Arrow file into the cache, and mapped from there.

The pages of a mapped file are the operating system's to drop and read again; what is read of them counts as the file's
memory, not as the process's own.
"""

import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from trueweight.data.table import Table
from trueweight.errors import TrainError
from trueweight.files import cache_dir, digest_bytes, disk_errors, locked, private_dir
from trueweight.progress import advance

__all__ = ["BATCH_BYTES", "SPILL_BYTES", "TAKEN_BYTES", "mapped", "spilled", "taken"]

SPILL_BYTES = 2**29
"""Tables that would fill more memory than this are mapped."""

TAKEN_BYTES = 2**28
"""Rows of a table that would fill more memory than this are mapped too."""

BATCH_BYTES = 2**25
"""About how much of a table is in memory while it is written."""


def mapped(path: Path) -> pa.Table:
    """An uncompressed Arrow file as a table whose cells stay on disk until they are looked at."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def spilled(batches: Iterable[pa.RecordBatch], schema: pa.Schema, digest: str, total: int, task: str) -> pa.Table:
    """The rows of all batches as a mapped table, written only if an earlier run has not.

    Args:
        batches: Not read when the file is there.
        schema: Of the batches.
        digest: Of what they come from: names the file.
        total: Rows of all batches, for the progress.
        task: What progress is called.

    Raises:
        TrainError: The cache has no space or may not be written to.
    """
    folder = private_dir(cache_dir() / "tables")
    path = folder / f"{digest_bytes(digest.encode(), b'1').removeprefix('sha256:')[:40]}.arrow"
    growing = path.with_suffix(".part")
    if not path.is_file():
        with disk_errors(path), locked(growing, purpose="reading data", wait=True):
            if not path.is_file():
                _write(growing / "rows.arrow", batches, schema, total, task)
                os.replace(growing / "rows.arrow", path)
    os.utime(path)  # so that the oldest unused files can be told
    try:
        return mapped(path)
    except pa.ArrowInvalid as error:
        hint = "run: trueweight cache clear"
        raise TrainError(f"a table in the cache cannot be read: {error}", where=str(folder), hint=hint) from None


def taken(table: Table, rows: np.ndarray) -> Table:
    """Some rows of a table as one of their own: in memory if they are few, else as a mapped file that nobody else sees
    and that goes with its last user.

    Args:
        table: All rows.
        rows: Their numbers, ascending.

    Raises:
        TrainError: The cache has no space or may not be written to.
    """
    data = table.data
    row_bytes = data.nbytes / max(1, len(data))
    batches = _picked(data, rows, max(1, int(BATCH_BYTES / max(row_bytes, 1e-9))))
    if row_bytes * len(rows) <= TAKEN_BYTES:
        return replace(table, data=pa.Table.from_batches(batches, data.schema))
    path = private_dir(cache_dir() / "tables") / f"{secrets.token_hex(8)}.arrow"
    try:
        with disk_errors(path):
            _write(path, batches, data.schema, len(rows), "setting rows apart")
        return replace(table, data=mapped(path))
    finally:
        path.unlink(missing_ok=True)  # what is mapped stays until it is let go


def _picked(data: pa.Table, rows: np.ndarray, at_once: int) -> Iterator[pa.RecordBatch]:
    """The rows with these ascending numbers. Taken from the whole table, a column of texts or files would be joined
    first: all of it."""
    start = 0
    for batch in data.to_batches(max_chunksize=at_once):
        first, last = np.searchsorted(rows, [start, start + len(batch)])
        if first < last:
            yield batch.take(pa.array(rows[first:last] - start))
        start += len(batch)


def _write(path: Path, batches: Iterable[pa.RecordBatch], schema: pa.Schema, total: int, task: str) -> None:
    done = 0
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            done += batch.num_rows
            advance(task, done, total)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
