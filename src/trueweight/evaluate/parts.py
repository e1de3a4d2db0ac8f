"""Ways to part rows by their plain features: each alone, and pairs of the first few."""

from itertools import combinations

import numpy as np

from trueweight.data.cells import Cells, DateCells, LevelCells, NumberCells
from trueweight.data.reading import cells_of
from trueweight.data.signature import Signature
from trueweight.data.table import Table

__all__ = ["parts_of"]

BINS = 16
PAIRED = 5
"""Bins of a feature that is one of a pair."""

MOST = 40
"""Features that are looked at."""

IN_PAIRS = 6


def parts_of(signature: Signature, table: Table, rows: np.ndarray) -> list[np.ndarray]:
    """Numbers of parts of these rows, one array for each way."""
    cells = [cells_of(table, facts, signature.options) for facts in signature.features()[:MOST]]
    plain = [one for one in cells if isinstance(one, NumberCells | LevelCells | DateCells)]
    pairs = combinations(plain[:IN_PAIRS], 2)
    crossed = [PAIRED * _bins(one, rows, PAIRED) + _bins(other, rows, PAIRED) for one, other in pairs]
    return [*(_bins(one, rows, BINS) for one in plain), *crossed]


def _bins(cells: Cells, rows: np.ndarray, count: int) -> np.ndarray:
    """Quantiles of numbers and dates; of levels the commonest, and all others together. From 0 to ``count`` - 1."""
    if isinstance(cells, LevelCells):
        code_N = cells.code_N[rows].astype(np.int64) + 1
        order = np.argsort(-np.bincount(code_N), kind="stable")
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        return np.asarray(np.minimum(rank[code_N], count - 1))
    assert isinstance(cells, NumberCells | DateCells)
    value_N = cells.value_N[rows] if isinstance(cells, NumberCells) else cells.micros_N[rows].astype(np.float64)
    known = value_N[~cells.missing_N[rows]]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, count)[1:-1])) if len(known) else known
    return np.where(cells.missing_N[rows], count - 1, np.searchsorted(edges, value_N, side="right"))
