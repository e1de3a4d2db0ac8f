"""Plain cells gone wrong: noise, slips of the decimal point, values that nobody has seen, gaps.

Shape suffixes:
    N  rows    D  width of a vector
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, LevelCells, NumberCells, VectorCells
from trueweight.data.signature import ColumnFacts
from trueweight.evaluate.corrupt import Family, Suite, chosen, missing_suite
from trueweight.evaluate.corrupt_texts import mistyped

__all__ = ["CATEGORIES", "NUMBERS", "UNSEEN", "VECTORS", "spread_of"]

UNSEEN = "(a value never seen)"

_NORMAL_IQR = 1.349
"""Width of the middle half of a normal distribution, in standard deviations."""


def spread_of(learnt: Mapping[str, Any]) -> float:
    """The standard deviation of most of a column: of all of it, or of a normal distribution with the same middle
    half, whichever is less. 0 where half of the cells are one value, whose meaning noise would change."""
    if not learnt.get("quantiles"):
        return 0.0
    low, high = (learnt["quantiles"][learnt["levels"].index(level)] for level in (0.25, 0.75))
    return float(min(learnt["std"], (high - low) / _NORMAL_IQR))


@dataclass(frozen=True, slots=True)
class _Numbers:
    value_N: np.ndarray
    spread: float


def _load_numbers(cells: Cells, facts: ColumnFacts) -> _Numbers | None:
    assert isinstance(cells, NumberCells)
    return _Numbers(cells.value_N, spread_of(facts.learnt)) if facts.learnt.get("scale") else None


def _write_numbers(loaded: _Numbers) -> pa.Array:
    return pa.array(loaded.value_N, pa.float64(), mask=np.isnan(loaded.value_N))


def _noisy(loaded: _Numbers, strength: float, rng: np.random.Generator) -> pa.Array:
    noise_N = rng.normal(size=len(loaded.value_N)) * (strength * loaded.spread)
    return _write_numbers(_Numbers(loaded.value_N + noise_N, loaded.spread))


def _slipped(loaded: _Numbers, strength: float, rng: np.random.Generator) -> pa.Array:
    mark_N = chosen(strength / 100, len(loaded.value_N), rng)
    return _write_numbers(_Numbers(np.where(mark_N, 10 * loaded.value_N, loaded.value_N), loaded.spread))


NUMBERS = Family(
    "numbers",
    ("number",),
    _load_numbers,
    _write_numbers,
    (
        Suite("noise", "noise of {} standard deviations", (0.05, 0.2, 0.5), _noisy),
        Suite("decimal", "the decimal point slipped in {} % of the cells", (1, 5, 20), _slipped, mild=False),
        missing_suite(_write_numbers),
    ),
)


def _load_levels(cells: Cells, facts: ColumnFacts) -> pa.Array | None:  # noqa: ARG001
    assert isinstance(cells, LevelCells)
    levels = pa.array([*cells.levels, None], pa.string())
    return levels.take(pa.array(np.where(cells.code_N < 0, len(cells.levels), cells.code_N), pa.int64()))


def _as_they_are(loaded: pa.Array) -> pa.Array:
    return loaded


def _unseen(loaded: pa.Array, strength: float, rng: np.random.Generator) -> pa.Array:
    mark_N = chosen(strength / 100, len(loaded), rng)
    return pa.array([UNSEEN if new else old for new, old in zip(mark_N, loaded.to_pylist(), strict=True)], pa.string())


def _slip(level: str | None, rng: np.random.Generator) -> str | None:
    """One slip of the keyboard; a level of one character is typed twice."""
    return level if not level else mistyped(level, 1, rng) if len(level) > 1 else 2 * level


def _mistyped(loaded: pa.Array, strength: float, rng: np.random.Generator) -> pa.Array:
    mark_N = chosen(strength / 100, len(loaded), rng)
    cells = zip(mark_N.tolist(), loaded.to_pylist(), strict=True)
    return pa.array([_slip(cell, rng) if slips else cell for slips, cell in cells], pa.string())


CATEGORIES = Family(
    "categories",
    ("category", "binary"),
    _load_levels,
    _as_they_are,
    (
        Suite("unseen", "{} % of the cells with a value never seen", (5, 20, 50), _unseen, mild=False),
        Suite("typos", "a typing slip in {} % of the cells", (5, 20, 50), _mistyped, mild=False),
        missing_suite(_as_they_are),
    ),
)


@dataclass(frozen=True, slots=True)
class _Vectors:
    value_ND: np.ndarray
    missing_N: np.ndarray
    std_D: np.ndarray


def _load_vectors(cells: Cells, facts: ColumnFacts) -> _Vectors | None:
    assert isinstance(cells, VectorCells)
    std_D = np.asarray(facts.learnt.get("std", ()))
    fits = len(std_D) > 0 and cells.value_ND.shape[1] == len(std_D)
    return _Vectors(cells.value_ND, cells.missing_N, std_D) if fits else None


def _write_vectors(loaded: _Vectors) -> pa.Array:
    rows = [None if gone else row for gone, row in zip(loaded.missing_N, loaded.value_ND.tolist(), strict=True)]
    return pa.array(rows, pa.list_(pa.float64()))


def _noisy_vectors(loaded: _Vectors, strength: float, rng: np.random.Generator) -> pa.Array:
    noise_ND = rng.normal(size=loaded.value_ND.shape) * (strength * loaded.std_D)
    return _write_vectors(_Vectors(loaded.value_ND + noise_ND, loaded.missing_N, loaded.std_D))


VECTORS = Family(
    "vectors",
    ("vector",),
    _load_vectors,
    _write_vectors,
    (
        Suite("noise", "noise of {} standard deviations", (0.05, 0.2, 0.5), _noisy_vectors),
        missing_suite(_write_vectors),
    ),
)
