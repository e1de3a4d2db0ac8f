"""Rows that differ from others by nothing that matters: a little noise on numbers, pixels, samples and steps."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from trueweight.data.cells import MediaCells, NumberCells, SeriesCells
from trueweight.data.media import UnusableError, content_of
from trueweight.data.pictures import calm, decoded
from trueweight.data.reading import cells_of
from trueweight.data.signature import ColumnFacts
from trueweight.data.sounds import decode
from trueweight.evaluate.mosaic import with_column
from trueweight.explain.asked import Asked
from trueweight.explain.cuts import series_cells
from trueweight.explain.written import png_of, wav_of
from trueweight.seeds import stream

__all__ = ["nudged"]

SHARE = 0.01
"""Of a column's spread: standard deviation of the noise."""

GREYS = 2
"""Of 255: largest change of a pixel."""

LOUDNESS = 1e-3
"""Of full scale: standard deviation of noise on samples, -60 dB."""


def nudged(asked: Asked, only: str | None = None) -> Asked | None:
    """The same question about rows that hardly differ; None where no cell has a tiny change.

    Args:
        asked: The rows.
        only: Change this column alone.
    """
    count = len(asked.rows)
    table = asked.table.take(np.concatenate([asked.rows, asked.background]))
    changed = False
    for place, name in enumerate(asked.columns):
        if only is not None and name != only:
            continue
        facts = asked.signature.columns[name]
        cells = cells_of(table, facts, asked.signature.options)
        column = _nudged(cells, facts, stream(asked.seed, "nudge", place), count)
        if column is not None:
            table, changed = with_column(table, name, column), True
    if not changed:
        return None
    background = np.arange(count, len(table))
    return replace(asked, table=table, rows=np.arange(count), background=background)


def _nudged(cells: Any, facts: ColumnFacts, rng: np.random.Generator, count: int) -> pa.Array | None:
    match cells:
        case NumberCells():
            noise_N = rng.normal(size=len(cells)) * SHARE * facts.learnt.get("std", 0.0)
            noise_N[count:] = 0.0
            return pa.array(cells.value_N + noise_N, mask=cells.missing_N)
        case SeriesCells():
            spread_C = SHARE * np.asarray(facts.learnt["std"])
            rows = [np.asarray(cells.value.row(i), np.float64) for i in range(len(cells))]
            if any(row.shape[1] != len(spread_C) for row in rows):
                return None
            noisy = [None if not len(r) else series_cells(r + rng.normal(size=r.shape) * spread_C) for r in rows]
            return pa.array(noisy, pa.list_(pa.list_(pa.float64())))
        case MediaCells():
            made = [None if cells.missing_N[i] else _file(cells, i, facts, rng) for i in range(len(cells))]
            return pa.array(made, pa.large_binary())
    return None


def _file(cells: MediaCells, row: int, facts: ColumnFacts, rng: np.random.Generator) -> bytes | None:
    try:
        content = content_of(cells, row)
        if facts.type == "image":
            with calm():
                pixels = decoded(content)
            noise = rng.integers(-GREYS, GREYS + 1, size=pixels.shape)
            return png_of(np.clip(pixels.astype(np.int64) + noise, 0, 255).astype(np.uint8))
        import soundfile

        facts_of = soundfile.info(io.BytesIO(content))
        sample_N = decode(content, facts_of.samplerate, facts_of.frames / facts_of.samplerate)
        return wav_of(sample_N + LOUDNESS * rng.normal(size=len(sample_N)).astype(np.float32), facts_of.samplerate)
    except UnusableError:
        return None
