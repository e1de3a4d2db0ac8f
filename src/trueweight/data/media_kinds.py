"""Whether cells are pictures or sounds, told from the ends of names and the first bytes of files."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from trueweight.data.cells import ReadOptions
from trueweight.data.media import UnusableError, file_bytes, media_array
from trueweight.data.parse_texts import is_text, marks_missing, trim

__all__ = ["ENDINGS", "media_kind", "named_kind", "why_gone"]

ENDINGS = {
    "image": (".png", ".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp"),
    "audio": (".wav", ".flac", ".ogg", ".oga", ".mp3", ".opus", ".aif", ".aiff"),
}
"""Lower-case ends of file names, by column type."""

_HEADS = {
    "image": (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"BM"),
    "audio": (b"fLaC", b"OggS", b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"FORM"),
}
_RIFF = {b"WEBP": "image", b"WAVE": "audio"}

_SHARE = 0.9
"""Of the cells, from which they are taken for files of one kind."""


def named_kind(name: str) -> str | None:
    """``image`` or ``audio`` by the end of a file's name, or by what a ``data:`` address says of itself."""
    name = name.strip().lower()
    return next((k for k, ends in ENDINGS.items() if name.endswith(ends) or name.startswith(f"data:{k}/")), None)


def media_kind(raw: pa.ChunkedArray | pa.Array, options: ReadOptions | None = None) -> str | None:
    """``image`` or ``audio``, where nine of ten given cells are such files or name such."""
    array = media_array(raw)
    given = None if array is None else _some(array, options or ReadOptions(), 1000)
    if array is None or not given:
        return None
    kinds = Counter(map(named_kind if is_text(array.type) else _headed_kind, given))
    kind, count = kinds.most_common(1)[0]
    return kind if count >= _SHARE * len(given) else None


def _some(array: pa.ChunkedArray | pa.Array, options: ReadOptions, most: int) -> list[Any]:
    """Cells from everywhere in the column that are not missing."""
    given = np.flatnonzero(np.asarray(array.is_valid()))
    rows = given[np.linspace(0, len(given) - 1, min(len(given), most)).astype(np.int64)]
    cells = [array[row].as_py() for row in rows.tolist()]  # one by one: taking joins all chunks
    if is_text(array.type):
        some = trim(pa.array(cells, array.type))
        cells = some.filter(pa.array(~marks_missing(some, options))).to_pylist()
    return [cell for cell in cells if cell]


def _headed_kind(content: bytes) -> str | None:
    if content[:4] == b"RIFF":
        return _RIFF.get(content[8:12])
    return next((kind for kind, heads in _HEADS.items() if content.startswith(heads)), None)


def why_gone(names: pa.Array, options: ReadOptions) -> str:
    """What is wrong with most of twenty files that cells name, from everywhere; "" if any of them can be had."""
    reasons = Counter(_why_gone(name, options) for name in _some(names, options, 20))
    return "" if "" in reasons or not reasons else reasons.most_common(1)[0][0]


def _why_gone(name: str, options: ReadOptions) -> str:
    try:
        file_bytes(name, options.media_dir)
    except UnusableError as reason:
        return str(reason)
    return ""
