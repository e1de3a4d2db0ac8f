"""Whether cells hold or name files of sounds, judged by the names of some and the first bytes of some."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import ReadOptions
from trueweight.data.media import UnusableError, file_bytes, media_array
from trueweight.data.parse_texts import is_text, marks_missing, trim
from trueweight.data.sounds import ENDINGS, is_sound

__all__ = ["guess_files", "guess_sound"]

_Found: TypeAlias = tuple[str, str, dict[str, Any]]

_SOME = 20
"""Files that are looked at."""

_NAMES = 1000
"""Cells whose endings are looked at."""


def guess_sound(raw: pa.ChunkedArray | pa.Array, options: ReadOptions) -> _Found | None:
    """Files of sounds, whole or by name: (type, why, spec) of a guess, or None."""
    return guess_files(raw, options, type="audio", kind="sounds", media="audio", endings=ENDINGS, known=is_sound)


def guess_files(
    raw: pa.ChunkedArray | pa.Array, options: ReadOptions, *, type: str, kind: str, media: str,
    endings: tuple[str, ...], known: Callable[[bytes], bool],
) -> _Found | None:  # fmt: skip
    """Whether nearly all cells are files of one kind.

    Args:
        raw: All cells.
        options: Missing markers, and the folder that paths start from.
        type: The column type that reads them.
        kind: In words, plural.
        media: First word of their media types, as in ``data:audio/wav``.
        endings: Of their names, in small letters.
        known: Whether the content of a file begins as theirs do.
    """
    array = media_array(raw)
    if array is None or array.null_count == len(array):
        return None
    some = _some(array)
    some = some.drop_null() if some.null_count < len(some) else _some(array.drop_null())
    if not is_text(some.type):
        looked = [_starts(cell, options, known) for cell in some[:: max(1, len(some) // _SOME)].to_pylist() if cell]
        return (type, f"{kind}, as bytes", {}) if looked and np.mean(looked) > 0.5 else None
    names = trim(some)
    names = names.filter(pa.array(~marks_missing(names, options)))
    if not len(names):
        return None
    inside = np.asarray(pc.starts_with(names, f"data:{media}/"))
    named = np.asarray(pc.match_substring_regex(names, rf"(?i)\.({'|'.join(e[1:] for e in endings)})$"))
    if (inside | named).mean() < 0.99:
        return None
    if inside.any() or any(_there(name, options) for name in names[:: max(1, len(names) // _SOME)].to_pylist()):
        return type, f"{kind}, written out" if inside.all() else f"paths of {kind}", {}
    return "ignore", f"paths of {kind}, but the files are not there: say where they start with data.media_dir", {}


def _some(array: pa.Array) -> pa.Array:
    return array.take(pa.array(np.linspace(0, len(array) - 1, min(len(array), _NAMES)).astype(np.int64)))


def _starts(cell: bytes, options: ReadOptions, known: Callable[[bytes], bool]) -> bool:
    try:
        return known(file_bytes(cell, options.media_dir))
    except UnusableError:
        return False


def _there(name: str, options: ReadOptions) -> bool:
    try:
        file_bytes(name, options.media_dir)
    except UnusableError:
        return False
    return True
