"""Interpreted cells of one column: what a column type makes of raw text or Arrow values.

Shape suffixes:
    N  rows    D  width of a vector    M  members of all sets together
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

__all__ = ["Cells", "DateCells", "LevelCells", "NumberCells", "ReadOptions", "SetCells", "VectorCells", "cut"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How raw cells are to be read; from ``data.*`` of the spec, kept in the Signature."""

    missing_values: tuple[str, ...] = ("",)
    """Compared after trimming."""
    decimal_comma: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    missing_N: np.ndarray
    """bool: no value was given, or none could be read."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """Counts of dirt by kind: "decimal comma", "spaces trimmed", "not a number", "infinite", "second date format"."""

    def __len__(self) -> int:
        return len(self.missing_N)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberCells(_Cells):
    """Numbers."""

    value_N: np.ndarray
    """float64, NaN where missing, never infinite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCells(_Cells):
    """Texts with repeats: categories, yes-no values, identifiers."""

    code_N: np.ndarray
    """int32 index into ``levels``, -1 where missing."""
    levels: tuple[str, ...]
    """Distinct trimmed texts, in order of first appearance. Whole numbers of typed sources are written "3"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DateCells(_Cells):
    """Moments."""

    micros_N: np.ndarray
    """int64 microseconds since 1970 UTC, 0 where missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorCells(_Cells):
    """Lists of D numbers."""

    value_ND: np.ndarray
    """float64, NaN rows where missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCells(_Cells):
    """Sets of texts, any number a row."""

    start_N1: np.ndarray
    """int64, N + 1 offsets into ``code_M``."""
    code_M: np.ndarray
    """int32 index into ``levels``."""
    levels: tuple[str, ...]


Cells: TypeAlias = NumberCells | LevelCells | DateCells | VectorCells | SetCells


def cut(cells: Cells, start: int, end: int) -> Cells:
    """The cells of rows from ``start`` to ``end``, as views."""
    part = slice(start, end)
    missing = cells.missing_N[part]
    match cells:
        case NumberCells():
            return NumberCells(missing_N=missing, value_N=cells.value_N[part])
        case LevelCells():
            return LevelCells(missing_N=missing, code_N=cells.code_N[part], levels=cells.levels)
        case DateCells():
            return DateCells(missing_N=missing, micros_N=cells.micros_N[part])
        case VectorCells():
            return VectorCells(missing_N=missing, value_ND=cells.value_ND[part])
        case SetCells():
            starts = cells.start_N1[start : end + 1]
            members = cells.code_M[starts[0] : starts[-1]]
            return SetCells(missing_N=missing, start_N1=starts - starts[0], code_M=members, levels=cells.levels)
