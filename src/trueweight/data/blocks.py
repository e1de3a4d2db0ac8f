"""Blocks: encoded columns on disk, written once, named by what they hold, mapped into memory.

A block's address is the digest of (data, kept rows, codecs), so that runs and members share it. Rows are encoded
shard by shard into one contiguous file per array; a kill costs the shard in hand, and nothing that was finished.
A ragged array has two files: its items, and where each row begins.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trueweight.data.column import FieldArrays
from trueweight.data.made_by import code_print
from trueweight.data.ragged import Ragged
from trueweight.errors import TrainError, VerifyError
from trueweight.files import cache_dir, digest_compact, disk_errors, locked, private_dir, read_json, write_json
from trueweight.progress import advance

__all__ = ["MEDIA_SHARD_ROWS", "SHARD_ROWS", "TEXT_SHARD_ROWS", "block_address", "open_block", "write_block"]

SHARD_ROWS = 65_536

MEDIA_SHARD_ROWS = 2_048
"""The same for pictures, sounds and series, whose rows are large and slow to decode."""

TEXT_SHARD_ROWS = 16_384
"""The same for texts, which are read in a second or two: waiting for the disk after each shard would take as long."""

_START = ".start"
"""End of the name of the file that says where each row of a ragged array begins."""

_log = logging.getLogger("trueweight.data")

Encode = Callable[[int, int], FieldArrays]
"""Arrays of the rows from start to end."""


def block_address(*parts: object) -> str:
    """Name of the block that holds these things, encoded by this code: data digest, kept rows, codecs as plain data."""
    return digest_compact((code_print(), *parts))


def write_block(
    address: str, count: int, encode: Encode, *, root: Path | None = None, task: str = "encoding",
    shard_rows: int | None = None,
) -> Path:  # fmt: skip
    """Make sure that the block is on disk, going on where an earlier attempt was cut off. A block that is not as long
    as it says is encoded again.

    Args:
        address: From :func:`block_address`.
        count: Rows.
        encode: Called once per missing shard.
        root: Folder of blocks; the cache by default.
        task: What progress is called.
        shard_rows: Rows that are encoded at once; :data:`SHARD_ROWS` by default.

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
        shapes = _write_shards(growing, count, encode, task, shard_rows or SHARD_ROWS)
        write_json(growing / "block.json", {"rows": count, "arrays": shapes, "items": _items(growing, shapes, count)})
        (growing / "done").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(growing, folder)
    return folder


def _write_shards(growing: Path, count: int, encode: Encode, task: str, shard_rows: int) -> dict[str, list[object]]:
    ledger = growing / "done"
    shapes = _known_shapes(growing)
    finished = {int(line) for line in ledger.read_text().split()} if ledger.is_file() and shapes else set()
    starts = range(0, max(count, 1), shard_rows)
    for number, start in enumerate(starts):
        if number in finished:
            continue
        end = min(count, start + shard_rows)
        arrays = encode(start, end)
        shapes = {name: _shape(array) for name, array in arrays.items()}
        write_json(growing / "shapes.json", shapes)
        for name, array in arrays.items():
            if isinstance(array, Ragged):
                _put_ragged(growing, name, array, start)
            else:
                _put(growing / f"{name}.bin", np.ascontiguousarray(array), start)
        with ledger.open("a") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        advance(task, end, count)
    return shapes


def _shape(array: np.ndarray | Ragged) -> list[object]:
    items = array.value_MC if isinstance(array, Ragged) else array
    return [*(["ragged"] if isinstance(array, Ragged) else []), str(items.dtype), *items.shape[1:]]


def _put_ragged(growing: Path, name: str, array: Ragged, start: int) -> None:
    """Items after those of the rows before, which are there: shards are written in order."""
    starts = growing / f"{name}{_START}.bin"
    before = int(np.fromfile(starts, np.int64, 1, offset=8 * start)[0]) if start else 0
    _put(growing / f"{name}.bin", np.ascontiguousarray(array.value_MC), before)
    _put(starts, array.start_N1 + before, start)


def _items(growing: Path, shapes: Mapping[str, list[object]], count: int) -> dict[str, int]:
    """How many items each ragged array has."""
    ragged = [name for name, shape in shapes.items() if shape[0] == "ragged"]
    return {n: int(np.fromfile(growing / f"{n}{_START}.bin", np.int64, 1, offset=8 * count)[0]) for n in ragged}


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


def open_block(folder: Path) -> FieldArrays:
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
    starts = {name.removesuffix(_START) for name in arrays if name.endswith(_START)}
    return {
        name: Ragged(array, arrays[f"{name}{_START}"]) if name in starts else array
        for name, array in arrays.items()
        if not name.endswith(_START)
    }


def _is_whole(folder: Path) -> bool:
    """Whether a block is there, with files as long as its description says."""
    try:
        return all((folder / f"{name}.bin").stat().st_size == size for name, _, _, size in _described(folder))
    except (VerifyError, OSError, *_NOT_AS_WE_WROTE):
        return False


_NOT_AS_WE_WROTE = (KeyError, IndexError, TypeError, ValueError, AttributeError)
"""What reading the fields of a description comes to if it is JSON, but another's."""


def _described(folder: Path) -> Iterator[tuple[str, np.dtype[Any], tuple[int, ...], int]]:
    """Name, type, shape and bytes of each file."""
    facts = read_json(folder / "block.json")
    rows, items = int(facts["rows"]), facts.get("items", {})
    for name, shape in facts["arrays"].items():
        ragged = shape[0] == "ragged"
        kind, *rest = shape[1:] if ragged else shape
        whole, dtype = (int(items[name]) if ragged else rows, *map(int, rest)), np.dtype(kind)
        yield name, dtype, whole, int(np.prod(whole, dtype=np.int64)) * dtype.itemsize
        if ragged:
            yield f"{name}{_START}", np.dtype(np.int64), (rows + 1,), 8 * (rows + 1)
