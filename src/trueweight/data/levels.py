"""Levels across tables: which of a vocabulary's levels a cell means, how often each occurs, and made-up ones.

Shape suffixes:
    K  levels of the cells    N  rows
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import LevelCells

__all__ = ["draw_levels", "level_numbers", "rows_per_level", "summary_of_levels"]

_UNKNOWN = "(rare)"
"""Written for a made-up cell where every real level is too rare to be named."""


def rows_per_level(cells: LevelCells, rows: np.ndarray) -> np.ndarray:
    """Rows of each level among ``rows``, (K,) int64."""
    codes = cells.code_N[rows]
    return np.bincount(codes[codes >= 0], minlength=len(cells.levels)).astype(np.int64)


def level_numbers(levels: Sequence[str], vocabulary: Sequence[str]) -> np.ndarray:
    """Place of each level in the vocabulary, (K,) int64, -1 for those it lacks.

    A level that is not there as written is looked up by what it says: the same number ("1" for "1.0") or the same
    yes or no ("True" for "true"), as other tools write the same cells differently.
    """
    known = pc.index_in(pa.array(levels, pa.large_string()), value_set=pa.array(vocabulary, pa.large_string()))
    found = np.asarray(known.fill_null(-1)).astype(np.int64)
    strangers = np.flatnonzero(found < 0)
    if len(strangers):
        meanings = _meanings(vocabulary)
        if meanings:
            found[strangers] = [meanings.get(_meaning(levels[k]), -1) for k in strangers.tolist()]
    return found


def _meaning(text: str) -> float | str | None:
    """The number or truth value that a text stands for, None for other texts."""
    lowered = text.lower()
    if lowered in ("true", "false"):
        return lowered
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _meanings(vocabulary: Sequence[str]) -> dict[float | str | None, int]:
    """Places by meaning, for meanings that only one level has."""
    places: dict[float | str | None, list[int]] = {}
    for place, text in enumerate(vocabulary):
        meaning = _meaning(text)
        if meaning is not None:
            places.setdefault(meaning, []).append(place)
    return {meaning: found[0] for meaning, found in places.items() if len(found) == 1}


def draw_levels(learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
    """n made-up cells, strings drawn by count; one in ten missing if training rows were."""
    names = np.array(learnt["levels"] or [_UNKNOWN], dtype=object)
    weights = np.array(learnt["counts"] or [1], dtype=np.float64)
    drawn = rng.choice(names, size=n, p=weights / weights.sum())
    empty = rng.uniform(size=n) < (0.1 if learnt["missing"] else 0.0)
    return pa.array(drawn, pa.string(), mask=empty)


def summary_of_levels(learnt: Mapping[str, Any], most: int = 4) -> str:
    """``3 levels: 3rd, 1st, 2nd``, the most frequent first; rare ones are counted."""
    levels, rare = learnt["levels"], learnt["rare"]["levels"]
    if not levels and not rare:
        return "no values"
    total = len(levels) + rare
    shown = ", ".join(_short(level) for level in levels[:most]) + (", …" if len(levels) > most else "")
    counted = f"{total:,} level{'s' if total != 1 else ''}" + (f": {shown}" if shown else "")
    return f"{counted} ({rare:,} too rare to name)" if rare else counted


def _short(text: str, most: int = 24) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
