"""Cases: what a model sees as one row. An index over a Table, never a copy of it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from trueweight.data.cells import (
    Cells,
    DateCells,
    LevelCells,
    MediaCells,
    NumberCells,
    SeriesCells,
    SetCells,
    TextCells,
    VectorCells,
)  # fmt: skip
from trueweight.data.table import Table
from trueweight.seeds import row_hashes

__all__ = ["Cases", "fingerprints", "repeats_of_earlier_rows"]


@dataclass(frozen=True, slots=True)
class Cases:
    """Which rows of a table take part. Case numbers are the table's row numbers, so that they never move."""

    table: Table
    rows: np.ndarray
    """int64, ascending: rows that take part."""
    notes: tuple[str, ...] = ()
    """What was left out and why, with counts."""
    kind: str = field(default="rows", kw_only=True)

    def __len__(self) -> int:
        return len(self.rows)


def fingerprints(columns: Iterable[Cells], count: int) -> np.ndarray:
    """One uint64 per row, equal where all cells are equal as they were interpreted, (N,).

    Two different rows get the same number with a chance of about N squared / 2**65.

    Args:
        columns: Looked at one by one, so that they need not be in memory together.
        count: N.
    """
    total = np.zeros(count, dtype=np.uint64)
    for place, cells in enumerate(columns):
        with np.errstate(over="ignore"):
            # A row's hash depends on which column a value is in, and on the columns before it.
            total = row_hashes(place + 1, total ^ row_hashes(place + 1, _bits(cells)))
    return total


def _bits(cells: Cells) -> np.ndarray:
    """One uint64 per row that is equal where the cells are equal."""
    match cells:
        case NumberCells():
            return np.where(cells.missing_N, 0.5, cells.value_N + 0.0).view(np.uint64)  # + 0.0: -0.0 becomes 0.0
        case LevelCells():
            return cells.code_N.astype(np.int64).view(np.uint64)
        case DateCells():
            return np.where(cells.missing_N, np.int64(-1), cells.micros_N).view(np.uint64)
        case VectorCells():
            filled = np.nan_to_num(cells.value_ND, nan=0.5).view(np.uint64)
            return _fold(filled)
        case SetCells():
            return _set_bits(cells)
        case TextCells():
            return np.array([_bits_of((text or "").encode()) for text in cells.text_N.to_pylist()], np.uint64)
        case MediaCells():
            return cells.print_N
        case SeriesCells():
            rows = (cells.value.row(i) for i in range(len(cells)))
            return np.array([_bits_of(row.shape[0].to_bytes(8, "big") + row.tobytes()) for row in rows], np.uint64)


def _bits_of(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def _fold(bits_ND: np.ndarray) -> np.ndarray:
    total = np.zeros(len(bits_ND), dtype=np.uint64)
    for d in range(bits_ND.shape[1]):
        total = row_hashes(d + 1, total ^ bits_ND[:, d])
    return total


def _set_bits(cells: SetCells) -> np.ndarray:
    members = row_hashes(7, cells.code_M.astype(np.int64))
    sums = np.concatenate([[np.uint64(0)], np.cumsum(members, dtype=np.uint64)])
    with np.errstate(over="ignore"):
        return np.asarray(sums[cells.start_N1[1:]] - sums[cells.start_N1[:-1]])  # order within a set does not count


def repeats_of_earlier_rows(prints_N: np.ndarray) -> np.ndarray:
    """Which rows have the fingerprint of a row before them, (N,) bool."""
    first = np.zeros(len(prints_N), dtype=bool)
    first[np.unique(prints_N, return_index=True)[1]] = True
    return ~first
