"""Rows cut into parts, and put together again without some of them. Everything that removes parts goes through here.

What takes the place of a part is never nothing: cells of other rows for a column, the training rows' mean colour in a
picture, silence in a sound, the training rows' mean in a series. Words are left out.

Shape suffixes:
    M  ways to leave parts out    P  parts    B  rows that lend cells    T  steps    C  channels
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from trueweight.data.cells import MediaCells, SeriesCells
from trueweight.data.media import UnusableError, content_of
from trueweight.data.reading import cells_of, column_part
from trueweight.data.sounds import decode
from trueweight.data.table import Table
from trueweight.evaluate.mosaic import mosaic, with_column
from trueweight.explain.asked import Asked
from trueweight.explain.record import Part
from trueweight.explain.usual import shown_cell
from trueweight.explain.written import png_of, wav_of

__all__ = ["Cut", "Remade", "cell_cut", "column_cut", "series_cells"]

MOST_WORDS, PATCHES, SPANS, SPANS_OF_CHANNELS, MOST_CHANNELS = 60, 7, 20, 8, 8
LENDERS = 4
"""Rows of the background whose cells stand in for a column, one after the other; answers are averaged over them."""

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""Signs of scripts without spaces count as words."""


class Cut(Protocol):
    """One row in parts."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """P of them."""
        ...

    @property
    def repeat(self) -> int:
        """Rows that each way to leave parts out becomes; their answers are to be averaged."""
        ...

    def without(self, gone_MP: np.ndarray) -> Table:
        """M times ``repeat`` rows: the row without the parts that are True."""
        ...


@dataclass(frozen=True)
class _Columns:
    table: Table
    row: int
    names: tuple[str, ...]
    background: np.ndarray
    parts: tuple[Part, ...]

    @property
    def repeat(self) -> int:
        return len(self.background)

    def without(self, gone_MP: np.ndarray) -> Table:
        lender = np.tile(self.background, len(gone_MP))
        gone = np.repeat(gone_MP, len(self.background), axis=0)
        here = np.full(len(lender), self.row)
        return mosaic(
            self.table, here, {n: np.where(gone[:, i], lender, self.row) for i, n in enumerate(self.names)}
        )  # fmt: skip


def column_cut(asked: Asked, row: int) -> Cut:
    """A row in its columns."""
    names = tuple(asked.columns)
    parts = tuple(Part(name, (), shown_cell(asked.table.column(name)[row].as_py())) for name in names)
    return _Columns(asked.table, row, names, asked.background[:LENDERS], parts)


@dataclass(frozen=True)
class Remade:
    """A row whose one cell is written anew without some of its parts."""

    table: Table
    row: int
    column: str
    parts: tuple[Part, ...]
    write: Callable[[np.ndarray], Any]
    """The cell without the parts that are True, (P,)."""
    kind: pa.DataType
    repeat: int = 1

    def without(self, gone_MP: np.ndarray) -> Table:
        """See :class:`Cut`."""
        rows = mosaic(self.table, np.full(len(gone_MP), self.row))
        return with_column(rows, self.column, pa.array([self.write(gone_P) for gone_P in gone_MP], self.kind))


def cell_cut(asked: Asked, row: int, column: str) -> Remade | None:
    """A row in the parts of one cell: words, patches, spans of time; None where there is nothing in it."""
    single = asked.table.take(np.array([row]))
    facts = asked.signature.columns[column]
    cells = cells_of(single, facts, asked.signature.options)
    if bool(cells.missing_N[0]):
        return None
    match facts.type:
        case "text":
            text = single.column(column)[0].as_py()
            return _text_cut(asked.table, row, column, text) if isinstance(text, str) else None
        case "image" | "audio":
            assert isinstance(cells, MediaCells)
            try:
                content = content_of(cells, 0)
                part: Any = column_part(facts)
                codec = part.codec(column, facts.learnt)
                make = _image_cut if facts.type == "image" else _audio_cut
                return make(asked.table, row, column, content, codec)
            except UnusableError:
                return None
        case _:
            assert isinstance(cells, SeriesCells)
            value_TC = np.asarray(cells.value.row(0), np.float64)
            return _series_cut(asked.table, row, column, value_TC, facts.learnt["mean"])


def _text_cut(table: Table, row: int, column: str, text: str) -> Remade | None:
    words = list(_WORD.finditer(text))
    if len(words) < 2:
        return None
    runs = np.array_split(np.arange(len(words)), min(len(words), MOST_WORDS))
    spans = [(words[run[0]].start(), words[run[-1]].end()) for run in runs]
    parts = tuple(
        Part(column, (place,), shown_cell(text[start:end])) for place, (start, end) in enumerate(spans)
    )  # fmt: skip

    def write(gone_P: np.ndarray) -> str:
        kept, before = [], 0
        for gone, (start, end) in zip(gone_P, spans, strict=True):
            kept += [text[before:start], "" if gone else text[start:end]]
            before = end
        return "".join([*kept, text[before:]])

    return Remade(table, row, column, parts, write, pa.large_string())


def _image_cut(table: Table, row: int, column: str, content: bytes, codec: Any) -> Remade | None:
    from trueweight.data.pictures import calm
    from trueweight.data.preparation import marked

    if not any(codec.size):
        return None
    with calm():
        pixels_HWC = codec.picture(content)
    rows, columns = (np.linspace(0, side, min(PATCHES, side) + 1).round().astype(int) for side in codec.size)
    boxes = [
        (int(top), int(left), int(bottom), int(right))
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    ]
    colour_C = np.round(np.asarray(codec.mean) * 255).astype(np.uint8)

    def write(gone_P: np.ndarray) -> bytes:
        changed = pixels_HWC.copy()
        for top, left, bottom, right in (boxes[i] for i in np.flatnonzero(gone_P)):
            changed[top:bottom, left:right] = colour_C
        return marked(png_of(changed))

    return Remade(table, row, column, tuple(Part(column, box) for box in boxes), write, pa.large_binary())


def _audio_cut(table: Table, row: int, column: str, content: bytes, codec: Any) -> Remade | None:
    if not codec.steps:
        return None
    rate = codec.spectrum.rate
    sample_N = decode(content, rate, codec.spectrum.seconds(codec.steps))
    ends = np.unique(np.linspace(0, len(sample_N), SPANS + 1).round().astype(int))
    spans = list(pairwise(ends))
    parts = tuple(Part(column, (round(1000 * a / rate), round(1000 * b / rate))) for a, b in spans)

    def write(gone_P: np.ndarray) -> bytes:
        changed = sample_N.copy()
        for start, end in (spans[i] for i in np.flatnonzero(gone_P)):
            changed[start:end] = 0.0
        return wav_of(changed, rate)

    return Remade(table, row, column, parts, write, pa.large_binary())


def _series_cut(table: Table, row: int, column: str, value_TC: np.ndarray, mean: list[float]) -> Remade | None:
    steps, channels = value_TC.shape
    if steps < 2 or len(mean) != channels:
        return None
    by_channel = 1 < channels <= MOST_CHANNELS
    count = min(steps, SPANS_OF_CHANNELS if by_channel else SPANS)
    ends = np.linspace(0, steps, count + 1).round().astype(int)
    chosen: list[Any] = list(range(channels)) if by_channel else [slice(None)]
    spans = [(int(a), int(b), c) for c in chosen for a, b in pairwise(ends)]
    parts = tuple(Part(column, (a, b), f"channel {c}" if by_channel else "") for a, b, c in spans)
    mean_C = np.asarray(mean)

    def write(gone_P: np.ndarray) -> list[list[float | None]]:
        changed = value_TC.copy()
        for start, end, channel in (spans[i] for i in np.flatnonzero(gone_P)):
            changed[start:end, channel] = mean_C[channel]
        return series_cells(changed)

    return Remade(table, row, column, parts, write, pa.list_(pa.list_(pa.float64())))


def series_cells(value_TC: np.ndarray) -> list[list[float | None]]:
    """A series as a cell: steps of channels, null where there is no value."""
    return [[None if np.isnan(x) else float(x) for x in step] for step in value_TC]
