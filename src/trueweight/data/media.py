"""Cells that hold files: bytes, paths, ``data:`` addresses, or the structs that Hugging Face data sets keep.

Shape suffixes:
    N  rows    F  facts of a file's head
"""

import base64
import binascii
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import MediaCells, ReadOptions
from trueweight.data.parse_texts import is_text, marks_missing, trim
from trueweight.metrics.words import counted

__all__ = [
    "OUTSIDE", "Look", "UnusableError", "content_of", "file_bytes", "in_threads", "media_array", "read_media",
    "undecodable",
]  # fmt: skip

T = TypeVar("T")
S = TypeVar("S")

Look: TypeAlias = Callable[[bytes], tuple[int, ...]]
"""What the head of a file tells, as many whole numbers for each. Raises :class:`UnusableError`."""


class UnusableError(Exception):
    """A cell that is no file of its kind. Its text says why in a word or two: it is what gets counted."""


def media_array(raw: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | None:
    """Cells as bytes or texts; None for a type that cannot hold files. Bytes are not copied: they may fill a disk.

    Of structs the field ``bytes`` counts, and where it is null the field ``path``.
    """
    chunks = raw.chunks if isinstance(raw, pa.ChunkedArray) else [raw]
    plain = [_plain(chunk) for chunk in chunks] or [_plain(pa.array([], raw.type))]
    if any(array is None for array in plain):
        return None
    return pa.chunked_array(plain)


def _plain(array: pa.Array) -> pa.Array | None:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(array.storage)
    if pa.types.is_dictionary(kind):
        return _plain(array.dictionary_decode())
    if pa.types.is_struct(kind):
        return _from_struct(array)
    if is_text(kind) or kind == pa.string_view():
        return array.cast(pa.large_string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or kind == pa.binary_view():
        return array.cast(pa.large_binary())
    return pa.nulls(len(array), pa.large_string()) if pa.types.is_null(kind) else None


def _from_struct(array: pa.StructArray) -> pa.Array | None:
    fields = {field.name: pc.struct_field(array, [place]) for place, field in enumerate(array.type)}
    content = _plain(fields["bytes"]) if "bytes" in fields else None
    path = _plain(fields["path"]) if "path" in fields else None
    path = path if path is not None and is_text(path.type) else None
    if content is None or content.null_count == len(content):
        return path if path is not None else content
    if path is None:
        return content
    # Few data sets hold both. A path is told from the content of a file by the zero in front, which no file's name has.
    joint, kind = pa.scalar(b"", pa.large_binary()), pa.large_binary()
    marked = pc.binary_join_element_wise(pa.scalar(_PATH, kind), path.cast(kind), joint)
    return pc.coalesce(content, marked)


_RUN = 64
"""Rows that a thread looks at at once: handing them over one by one costs more than looking."""

_PATH = b"\x00path:"

OUTSIDE = "path out of the data's folder"
"""What is wrong with a path that is absolute or climbs with ``..``, and leads elsewhere than below its folder."""


def file_bytes(cell: bytes | str, folder: Path | None) -> bytes:
    """The content of the file that a cell holds or names.

    Raises:
        UnusableError: There is no such file, it cannot be had, or it lies elsewhere than below the folder.
    """
    if isinstance(cell, bytes):
        if not cell.startswith(_PATH):
            return cell
        cell = cell[len(_PATH) :].decode(errors="replace")
    if cell.startswith("data:"):
        return _from_address(cell)
    if cell.startswith(("http://", "https://", "s3://", "hf://", "gs://")):
        raise UnusableError("web address, not fetched")
    try:
        path = _below(folder or Path(), cell)
        return path.read_bytes() if path.is_file() else _not_found()
    except (OSError, ValueError):  # no permission; a name too long, or with a zero in it
        return _not_found()


def _below(folder: Path, cell: str) -> Path:
    """The file that a path in a cell leads to. A table may come from anybody, and must not read what its reader may.

    Judged by the words of the path alone: a link within the folder is followed, for whoever laid it there has decided
    where it leads.
    """
    if ".." not in cell and not cell.startswith("/"):
        return folder / cell
    root = os.path.abspath(folder)  # noqa: PTH100  # Path.resolve would follow links
    path = os.path.normpath(os.path.join(root, cell))  # noqa: PTH118  # as above
    if os.path.commonpath([root, path]) != root:
        raise UnusableError(OUTSIDE)
    return Path(path)


def _not_found() -> bytes:
    raise UnusableError("file not found")


def _from_address(cell: str) -> bytes:
    head, comma, content = cell.partition(",")
    if not comma or not head.endswith(";base64"):
        raise UnusableError("broken data: address")
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise UnusableError("broken data: address") from None


def content_of(cells: MediaCells, row: int) -> bytes:
    """The file of one row that is not missing.

    Raises:
        UnusableError: It is no longer there.
    """
    return file_bytes(cells.raw_N[row].as_py(), cells.folder)


def undecodable(column: str, count: int, kind: str) -> str:
    """What is said of files whose heads were right and whose rest is not."""
    counts = "counts" if count == 1 else "count"
    return f"{column}: {counted(count, kind)} cannot be decoded and {counts} as missing"


def in_threads(job: Callable[[S], T], things: Iterable[S], *, at_once: int = 1, tiny: bool = False) -> Iterator[T]:
    """``map``, on as many threads as this process has cores: what decodes files lets go of the interpreter.

    Args:
        job: What is done with each.
        things: Any number.
        at_once: Of them that a thread takes: to hand over a single small file costs more than to look at it.
        tiny: The job is so short that threads would wait for the interpreter longer than they work without it; then
            there are none.
    """
    count = min(len(os.sched_getaffinity(0)), 16)
    if count == 1 or tiny:
        yield from map(job, things)
        return
    rest = iter(things)
    runs = iter(lambda: list(islice(rest, at_once)), [])
    with ThreadPoolExecutor(count) as pool:
        for done in pool.map(lambda run: [job(thing) for thing in run], runs):
            yield from done


def read_media(raw: pa.ChunkedArray, options: ReadOptions, look: Look, facts: int, kind: str) -> MediaCells:
    """Cells as files, each opened once to see what it is and what its head tells; none is decoded.

    Args:
        raw: Cells of any type.
        options: Missing markers, and the folder that paths start from.
        look: At the content of one file.
        facts: F, how many numbers ``look`` gives.
        kind: "sound" or "picture", for counts.
    """
    array = media_array(raw)
    if array is None:
        given = len(raw) - raw.null_count
        array = pa.chunked_array([pa.nulls(len(raw), pa.large_string())])
        return _cells(array, options, [(0, (0,) * facts, f"not a {kind}")] * given + [None] * (len(raw) - given), facts)
    if is_text(array.type):
        trimmed = trim(array)
        array = pc.if_else(pa.array(marks_missing(trimmed, options)), None, trimmed)

    def one(row: int) -> "_Seen | None":
        cell = array[row].as_py()
        if cell is None or not len(cell):
            return None
        try:
            content = file_bytes(cell, options.media_dir)
            return _print(content), look(content), ""
        except UnusableError as reason:
            return 0, (0,) * facts, str(reason)

    return _cells(array, options, list(in_threads(one, range(len(array)), at_once=_RUN)), facts)


_Seen: TypeAlias = tuple[int, tuple[int, ...], str]
"""Print, facts of the head, and what is wrong."""


def _print(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def _emptied(array: pa.ChunkedArray, missing_N: np.ndarray) -> pa.ChunkedArray:
    """Null where missing; chunks in which nothing changes are not copied."""
    chunks, start = [], 0
    for chunk in array.chunks:
        missing = missing_N[start : start + len(chunk)]
        given = chunk.is_valid().to_numpy(zero_copy_only=False)
        chunks.append(pc.if_else(pa.array(missing), None, chunk) if (missing & given).any() else chunk)
        start += len(chunk)
    return pa.chunked_array(chunks, array.type)


def _cells(array: pa.ChunkedArray, options: ReadOptions, seen: "list[_Seen | None]", facts: int) -> MediaCells:
    wrong = Counter(one[2] for one in seen if one is not None and one[2])
    missing_N = np.array([one is None or bool(one[2]) for one in seen], bool)
    kept = [(0, (0,) * facts, "") if one is None or one[2] else one for one in seen]
    return MediaCells(
        missing_N=missing_N,
        notes=dict(wrong),
        raw_N=_emptied(array, missing_N),
        folder=options.media_dir,
        print_N=np.array([one[0] for one in kept], np.uint64),
        head_NF=np.array([one[1] for one in kept], np.int64).reshape(len(kept), facts),
    )
