"""Blocks: encoded columns on disk, written once, named by what they hold, mapped into memory.

A block's address is the digest of (data, kept rows, codecs), so that runs and members share it. Rows are encoded
shard by shard into one contiguous file per array; a kill costs the shard in hand, and nothing that was finished.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trueweight.data.column import Arrays
from trueweight.errors import TrainError, VerifyError
from trueweight.files import (
    cache_dir,
    canonical_json,
    digest_bytes,
    disk_errors,
    locked,
    private_dir,
    read_json,
    write_json,
)
from trueweight.progress import advance

__all__ = ["SHARD_ROWS", "block_address", "open_block", "write_block"]

SHARD_ROWS = 65_536
_log = logging.getLogger("trueweight.data")

Encode = Callable[[int, int], Arrays]
"""Arrays of the rows from start to end."""


def block_address(*parts: object) -> str:
    """Name of the block that holds these things: data digest, kept rows, codecs as plain data."""
    return digest_bytes(*(canonical_json(part).encode() for part in parts)).removeprefix("sha256:")[:40]


def write_block(address: str, count: int, encode: Encode, *, root: Path | None = None, task: str = "encoding") -> Path:
    """Make sure that the block is on disk, going on where an earlier attempt was cut off. A block that is not as long
    as it says is encoded again.

    Args:
        address: From :func:`block_address`.
        count: Rows.
        encode: Called once per missing shard.
        root: Folder of blocks; the cache by default.
        task: What progress is called.

    Returns:
        The block's folder, complete.

    Raises:
        TrainError: No space or no permission; what was finished stays.
    """
    folder = (root or private_dir(cache_dir() / "blocks")) / address
    if _is_whole(folder):
        os.utime(folder)  # so that the oldest unused blocks can be told
        return folder
    growing = folder.with_name(f"{address}.part")
    with locked(growing, purpose="encoding data", wait=True), disk_errors(growing):
        if _is_whole(folder):  # another run finished it while we waited
            return folder
        if folder.exists():
            _log.warning("%s is damaged and is encoded again", folder)
        growing.mkdir(exist_ok=True)  # it may have been cleared while we waited
        shapes = _write_shards(growing, count, encode, task)
        write_json(growing / "block.json", {"rows": count, "arrays": shapes})
        (growing / "done").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(growing, folder)
    return folder


def _write_shards(growing: Path, count: int, encode: Encode, task: str) -> dict[str, list[object]]:
    ledger = growing / "done"
    shapes = _known_shapes(growing)
    finished = {int(line) for line in ledger.read_text().split()} if ledger.is_file() and shapes else set()
    starts = range(0, max(count, 1), SHARD_ROWS)
    for number, start in enumerate(starts):
        if number in finished:
            continue
        end = min(count, start + SHARD_ROWS)
        arrays = encode(start, end)
        shapes = {name: [str(array.dtype), *array.shape[1:]] for name, array in arrays.items()}
        write_json(growing / "shapes.json", shapes)
        for name, array in arrays.items():
            _put(growing / f"{name}.bin", np.ascontiguousarray(array), start)
        with ledger.open("a") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        advance(task, end, count)
    return shapes


def _known_shapes(growing: Path) -> dict[str, list[object]]:
    """What an earlier attempt wrote; nothing if that cannot be read."""
    try:
        found: dict[str, list[object]] = read_json(growing / "shapes.json")
    except VerifyError:
        return {}
    return found


def _put(path: Path, array: np.ndarray, start: int) -> None:
    """Write a shard at its place, and wait until it is on the disk."""
    row_bytes = array.dtype.itemsize * int(np.prod(array.shape[1:], dtype=np.int64))
    with path.open("r+b" if path.exists() else "w+b") as file:
        file.seek(start * row_bytes)
        file.write(array.tobytes())
        file.flush()
        os.fsync(file.fileno())


def open_block(folder: Path) -> Mapping[str, np.ndarray]:
    """The arrays of a complete block, memory-mapped, copy-on-write so that torch accepts them.

    Raises:
        TrainError: The block is not there, or not what its description says; remove it with
            ``trueweight cache clear``.
    """
    arrays: dict[str, np.ndarray] = {}
    try:
        for name, dtype, shape, size in _described(folder):
            path = folder / f"{name}.bin"
            if path.stat().st_size != size:
                raise ValueError(f"{path.name} is {path.stat().st_size} bytes long, not {size}")
            arrays[name] = np.memmap(path, dtype=dtype, mode="c", shape=shape) if size else np.zeros(shape, dtype)
    except (VerifyError, OSError, *_NOT_AS_WE_WROTE) as error:
        problem = f"block {folder.name[:12]} of encoded data cannot be read: {error}"
        raise TrainError(problem, where=str(folder.parent), hint="run: trueweight cache clear") from error
    return arrays


def _is_whole(folder: Path) -> bool:
    """Whether a block is there, with files as long as its description says."""
    try:
        return all((folder / f"{name}.bin").stat().st_size == size for name, _, _, size in _described(folder))
    except (VerifyError, OSError, *_NOT_AS_WE_WROTE):
        return False


_NOT_AS_WE_WROTE = (KeyError, TypeError, ValueError, AttributeError)
"""What reading the fields of a description comes to if it is JSON, but another's."""


def _described(folder: Path) -> Iterator[tuple[str, np.dtype[Any], tuple[int, ...], int]]:
    """Name, type, shape and bytes of each array."""
    facts = read_json(folder / "block.json")
    for name, (dtype, *rest) in facts["arrays"].items():
        shape, kind = (int(facts["rows"]), *map(int, rest)), np.dtype(dtype)
        yield name, kind, shape, int(np.prod(shape, dtype=np.int64)) * kind.itemsize
