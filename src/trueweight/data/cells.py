"""Interpreted cells of one column: what a column type makes of raw text or Arrow values.

Shape suffixes:
    N  rows    D  width of a vector    M  members of all sets together    F  facts of a file
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from trueweight.data.ragged import Ragged

__all__ = [
    "Cells", "DateCells", "LevelCells", "MediaCells", "NumberCells", "ReadOptions", "SeriesCells", "SetCells",
    "TextCells", "VectorCells", "cut", "size_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How raw cells are to be read; from ``data.*`` of the spec, kept in the Signature."""

    missing_values: tuple[str, ...] = ("",)
    """Compared after trimming."""
    decimal_comma: bool | None = None
    media_dir: Path | None = None
    """Folder that paths in cells start from. A fact of this table, never written into a bundle."""
    marked_texts: bool = True
    """Whether ``missing_values`` are missing in free texts of every source. If not, then only in those of sources that
    cannot say so otherwise (CSV and Excel); from others "NA" and "None" are texts. Bundles that do not say were taught
    with True."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCells(_Cells):
    """Free text."""

    text_N: pa.Array
    """Strings, "" where missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaCells(_Cells):
    """Pictures or sounds, not decoded yet: what a file's head tells is known, its content is not."""

    raw_N: pa.ChunkedArray
    """Bytes of a file each, or strings: paths from ``folder`` or ``data:`` addresses (base64). Null where missing."""
    folder: Path | None
    print_N: np.ndarray
    """uint64: equal where files are equal, byte by byte."""
    head_NF: np.ndarray
    """int64: what the head of each file tells, e.g. height and width; 0 where missing."""
    kept: dict[tuple[int, Hashable], np.ndarray] = field(default_factory=dict, compare=False)
    """By print, and by what made it: arrays of files that were decoded to learn from, for whoever encodes them next,
    who takes them out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesCells(_Cells):
    """Measurements over time, of one or more channels, as long as they are."""

    value: Ragged
    """float32, steps by channels; NaN where a step has no value; no step where missing."""


Cells: TypeAlias = NumberCells | LevelCells | DateCells | VectorCells | SetCells | TextCells | MediaCells | SeriesCells


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
        case TextCells():
            return TextCells(missing_N=missing, text_N=cells.text_N.slice(start, end - start))
        case MediaCells():
            raw, head = cells.raw_N.slice(start, end - start), cells.head_NF[part]
            return MediaCells(
                missing_N=missing, raw_N=raw, folder=cells.folder, print_N=cells.print_N[part], head_NF=head,
                kept=cells.kept,
            )  # fmt: skip
        case SeriesCells():
            return SeriesCells(missing_N=missing, value=cells.value.cut(start, end))


def size_of(cells: Cells) -> int:
    """Bytes that cells fill, about: what they share with a table counts too."""
    values = [getattr(cells, name) for field in fields(cells) if (name := field.name) != "notes"]
    arrays = [v.value_MC if isinstance(v, Ragged) else v for v in values]
    return sum(int(a.nbytes) for a in arrays if isinstance(a, np.ndarray | pa.Array))
