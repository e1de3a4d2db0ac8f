"""One telling number of what a cell of the senses holds: how long a text, how many steps, how bright a picture.

Shape suffixes:
    N  rows
"""

import numpy as np
import pyarrow.compute as pc

from trueweight.data.cells import Cells, DateCells, MediaCells, NumberCells, SeriesCells, TextCells
from trueweight.data.media import UnusableError, content_of, in_threads
from trueweight.data.sample import BottomK

__all__ = ["GISTS", "gist_of"]

GISTS = {"text": "characters", "timeseries": "steps", "audio": "seconds", "image": "brightness"}
"""What the number is, by column type."""

_PICTURES = 1024
"""Pictures that are decoded for it, chosen by the hash of their row."""

_SIDE = 16
"""Pixels a side that brightness is taken from."""


def gist_of(kind: str, cells: Cells, rows: np.ndarray | None = None) -> np.ndarray | None:
    """The number itself for plain numbers, seconds since 1970 for dates, the gist of senses; (N,) float64, NaN where
    unknown. None for kinds that are no numbers.

    Args:
        kind: Column type.
        cells: Of N rows.
        rows: Pictures are looked at among these only; None: all.
    """
    value_N: np.ndarray
    match cells:
        case NumberCells():
            return cells.value_N
        case DateCells():
            value_N = cells.micros_N / 1e6
        case TextCells():
            value_N = np.asarray(pc.utf8_length(cells.text_N)).astype(np.float64)
        case SeriesCells():
            value_N = cells.value.lengths.astype(np.float64)
        case MediaCells() if kind == "audio":
            value_N = cells.head_NF[:, 0] / np.maximum(cells.head_NF[:, 1], 1)
        case MediaCells() if kind == "image":
            return _brightness(cells, np.arange(len(cells)) if rows is None else rows)
        case _:
            return None
    return np.where(cells.missing_N, np.nan, value_N)


def _brightness(cells: MediaCells, rows: np.ndarray) -> np.ndarray:
    """Mean of all pixels and channels, 0 to 255."""
    from trueweight.data.pictures import calm, decoded, fitted, tiny

    size, found = (_SIDE, _SIDE), np.full(len(cells), np.nan)
    seen = BottomK.of(rows[~cells.missing_N[rows]], k=_PICTURES).rows

    def one(row: int) -> float:
        try:
            return float(fitted(decoded(content_of(cells, row), size), size, 3).mean())
        except UnusableError:
            return np.nan

    with calm():
        found[seen] = list(in_threads(one, map(int, seen), at_once=8, tiny=tiny(cells, seen)))
    return found
