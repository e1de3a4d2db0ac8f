"""Rows that a report is to explain: the explanations, and the pictures below their places."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from trueweight.bundle.bundle import Bundle
from trueweight.data.cells import MediaCells
from trueweight.data.media import UnusableError, content_of
from trueweight.data.pictures import decoded
from trueweight.data.preparation import picture_of
from trueweight.data.reading import cells_of, column_part
from trueweight.data.signature import ColumnFacts
from trueweight.data.sounds import decode, log_mel
from trueweight.data.table import Table
from trueweight.explain.record import Attribution, Explanations
from trueweight.explain.written import png_of
from trueweight.report.examples import Examples, Picture

__all__ = ["examples_of"]

RATE, BANDS, WINDOW, HOP = 16_000, 64, 400, 160
"""Of spectrograms that are looked at: 25 ms every 10 ms."""

MOST_SECONDS = 30.0


def examples_of(bundle: Bundle, table: Table, found: Explanations, source: str) -> Examples:
    """What a page needs to draw explanations of some rows of a table."""
    wanted = {
        (item.row, one.column or item.parts[0].column)
        for one in found
        for item in one.items
        if one.shown and isinstance(item, Attribution) and item.parts and len(item.parts[0].place) in (2, 4)
    }
    return Examples(found, dict(_pictures(bundle, table, sorted(wanted))), source)


def _pictures(bundle: Bundle, table: Table, wanted: list[tuple[int, str]]) -> Iterator[tuple[tuple[int, str], Picture]]:
    signature = bundle.signature
    for row, column in wanted:
        facts = signature.columns[column]
        cells = cells_of(table.take(np.array([row])), facts, signature.options)
        if facts.type in ("image", "audio") and isinstance(cells, MediaCells):
            try:
                yield (row, column), (_image if facts.type == "image" else _sound)(content_of(cells, 0), facts)
            except UnusableError:
                continue


def _image(content: bytes, facts: ColumnFacts) -> Picture:
    """As the model sees it: fitted into its size."""
    height, width = (int(side) for side in facts.learnt["size"])
    part: Any = column_part(facts)
    channels = decoded(content).shape[2] if part.preparation is None else int(facts.learnt["channels"])
    return Picture(png_of(picture_of(content, (height, width), channels, part.preparation)), width, height)


def _sound(content: bytes, facts: ColumnFacts) -> Picture:
    """Its spectrogram, low tones below, as wide as it is long in milliseconds."""
    seconds = float(facts.spec.get("max_seconds") or MOST_SECONDS)
    sample_N = decode(content, RATE, min(seconds, MOST_SECONDS))
    power_TM = log_mel(sample_N, RATE, BANDS, WINDOW, HOP)
    low, high = np.quantile(power_TM, [0.05, 0.995])
    grey_MT = np.clip((power_TM.T[::-1] - low) / max(high - low, 1e-6), 0, 1)
    length = 1000 * len(sample_N) / RATE
    return Picture(png_of((255 * (1 - grey_MT)).astype(np.uint8)[:, :, None]), length, length / 6)
