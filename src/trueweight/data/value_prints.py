"""Fingerprints of single values that survive small changes: numbers to three digits, all else as it is.

Shape suffixes:
    N  rows    D  width of a vector
"""

import hashlib
from collections.abc import Iterable, Iterator

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

__all__ = ["rough_prints", "rounded", "value_prints"]

STEP = 0.1
"""Standard deviations from one number to the next where values are compared roughly."""

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


def rough_prints(
    one: Cells, one_rows: np.ndarray, other: Cells, other_rows: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """The same for some rows of two tables, numbers in steps of a tenth of their spread in the other one; None for
    columns without numbers, whose values have no rough neighbours.

    Args:
        one: A column of one table.
        one_rows: Rows of it.
        other: The same column of another table, whose spread counts.
        other_rows: Rows of it.
    """
    if isinstance(one, NumberCells) and isinstance(other, NumberCells):
        return list(_stepped([one.value_N[one_rows]], [other.value_N[other_rows]]))
    if isinstance(one, VectorCells) and isinstance(other, VectorCells) and one.value_ND.shape[1]:
        step = -(-one.value_ND.shape[1] // MOST_OF_A_VECTOR)
        return list(_stepped(one.value_ND[one_rows].T[::step], other.value_ND[other_rows].T[::step]))
    return None


def _stepped(ones: Iterable[np.ndarray], others: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for one_N, other_T in zip(ones, others, strict=True):
        spread = float(np.nanstd(other_T)) if np.isfinite(other_T).any() else 0.0
        size = STEP * spread if spread > 0 else 1.0
        yield tuple(np.where(np.isnan(v), _MISSING, _whole(v / size)) for v in (one_N, other_T))  # type: ignore[misc]


def _whole(value_N: np.ndarray) -> np.ndarray:
    whole_N = np.clip(np.floor(np.nan_to_num(value_N)), -(2.0**62), 2.0**62)
    return np.asarray(whole_N.astype(np.int64).view(np.uint64))


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
