"""What a corruption is: a change of raw cells, so that a predictor meets it as it would meet any other input.

Shape suffixes:
    N  rows
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import Cells
from trueweight.data.signature import ColumnFacts

__all__ = ["Family", "Suite", "blanked", "chosen", "chosen_of", "missing_suite"]


@dataclass(frozen=True, slots=True)
class Suite:
    """One way in which cells of a family of columns may be worse than those that were learnt from."""

    name: str
    """One word: "noise"."""
    words: str
    """With a place for the strength: "noise of {} standard deviations"."""
    strengths: tuple[float, float, float]
    """Mild, strong, severe, in the unit that ``words`` names."""
    change: Callable[[Any, float, np.random.Generator], pa.Array]
    """From what the family's ``load`` gave, a strength and a source of chance to raw cells of all rows."""
    mild: bool = True
    """Whether a good model is to bear the first strength. A tenth of the cells gone may rightly cost a tenth."""

    def said(self, severity: int) -> str:
        """In words, for a severity from 1 to 3."""
        return self.words.format(f"{self.strengths[severity - 1]:g}")


@dataclass(frozen=True, slots=True)
class Family:
    """Columns of some types, which are changed together."""

    name: str
    """Many of them: "numbers"."""
    types: tuple[str, ...]
    load: Callable[[Cells, ColumnFacts], Any]
    """Cells in the form that the suites change, or None where nothing was learnt from the column."""
    write: Callable[[Any], pa.Array]
    """The same cells unchanged, as raw cells of the type that every suite gives."""
    suites: tuple[Suite, ...]


def chosen(share: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """(N,) bool: this share of the rows, at least one of them; which ones is left to chance."""
    mark_N = np.zeros(count, bool)
    mark_N[rng.permutation(count)[: max(1, round(share * count))]] = True
    return mark_N


def chosen_of(possible_N: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """(N,) bool: this share of the rows where something is possible, at least one of them."""
    mark_N, rows = np.zeros(len(possible_N), bool), np.flatnonzero(possible_N)
    if len(rows):
        mark_N[rows[chosen(share, len(rows), rng)]] = True
    return mark_N


def blanked(cells: pa.Array, mark_N: np.ndarray) -> pa.Array:
    """The same cells, null where marked."""
    return pc.if_else(pa.array(mark_N), pa.scalar(None, cells.type), cells)


def missing_suite(write: Callable[[Any], pa.Array], strengths: Sequence[float] = (5, 20, 50)) -> Suite:
    """Cells that are not there."""

    def change(loaded: Any, strength: float, rng: np.random.Generator) -> pa.Array:
        cells = write(loaded)
        return blanked(cells, chosen(strength / 100, len(cells), rng))

    mild, strong, severe = strengths
    return Suite("missing", "{} % of the cells missing", (mild, strong, severe), change, mild=False)
