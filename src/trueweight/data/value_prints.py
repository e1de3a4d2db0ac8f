"""Fingerprints of single values that survive small changes: numbers to three digits, all else as it is.

Shape suffixes:
    N  rows    D  width of a vector
"""

import hashlib
from collections.abc import Iterator

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
)
from trueweight.seeds import row_hashes

__all__ = ["rounded", "value_prints"]

DIGITS = 3
"""Significant ones of a number that are kept."""

MOST_OF_A_VECTOR = 64
"""Values of a vector that count by themselves; of longer ones every so-manieth is taken."""

_MISSING = np.uint64(0x5BD1E995)


def value_prints(cells: Cells) -> Iterator[np.ndarray]:
    """One uint64 per row for each value of a column, (N,): equal where values are, also in another table.

    A column has one value, a vector as many as it is wide.
    """
    match cells:
        case NumberCells():
            yield rounded(cells.value_N)
        case VectorCells():
            step = -(-cells.value_ND.shape[1] // MOST_OF_A_VECTOR) or 1
            yield from (rounded(value_N) for value_N in cells.value_ND.T[::step])
        case DateCells():
            yield np.where(cells.missing_N, _MISSING, cells.micros_N.view(np.uint64))
        case LevelCells():
            yield _of_levels(cells.levels)[cells.code_N]
        case SetCells():
            member_M = row_hashes(7, _of_levels(cells.levels)[cells.code_M])
            sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(member_M, dtype=np.uint64)])
            with np.errstate(over="ignore"):
                yield sums[cells.start_N1[1:]] - sums[cells.start_N1[:-1]]
        case TextCells():
            texts = [_print(" ".join((text or "").lower().split()).encode()) for text in cells.text_N.to_pylist()]
            yield np.array(texts, np.uint64)
        case MediaCells():
            yield cells.print_N
        case SeriesCells():
            rows = (rounded(cells.value.row(i).astype(np.float64).ravel()) for i in range(len(cells)))
            yield np.array([_print(row.tobytes()) for row in rows], np.uint64)


def rounded(value_N: np.ndarray) -> np.ndarray:
    """Numbers to three significant digits, as uint64; NaN is one value like any other."""
    known_N = np.isfinite(value_N) & (value_N != 0)
    size_N = np.where(known_N, np.abs(value_N), 1.0)
    power_N = np.floor(np.log10(size_N))
    digits_N = np.round(size_N * 10.0 ** (DIGITS - 1 - power_N))
    over_N = digits_N >= 10**DIGITS  # 9.999 is 10.0
    digits_N, power_N = np.where(over_N, digits_N / 10, digits_N), power_N + over_N
    signed_N = np.where(value_N < 0, -digits_N, digits_N).astype(np.int64)
    found_N = (signed_N + (power_N.astype(np.int64) << 16)).view(np.uint64)
    return np.where(known_N, found_N, np.where(np.isnan(value_N), _MISSING, np.uint64(0)))


def _of_levels(levels: tuple[str, ...]) -> np.ndarray:
    """Of each level; the last is what -1, missing, stands for."""
    return np.array([*(_print(level.encode()) for level in levels), int(_MISSING)], np.uint64)


def _print(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
