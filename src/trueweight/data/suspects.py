"""Columns that are suspiciously good: one of them alone tells the target, as a leak would.

Each feature is cut into at most 64 bins on one half of the training rows, and the bins' answers are scored on the
other half. A strength of 1 means that the column alone is always right.
"""

from dataclasses import dataclass

import numpy as np

from trueweight.data.cells import Cells, DateCells, LevelCells, NumberCells
from trueweight.data.reading import cells_of
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.seeds import row_hashes, stream_seed

__all__ = ["SUSPICIOUS", "Suspect", "find_suspects"]

SUSPICIOUS = 0.98
"""Strength from which a column is named. Real single causes are rarely that good."""

LEAST_ROWS = 40
BINS = 64


@dataclass(frozen=True, slots=True)
class Suspect:
    """A feature that alone tells a target."""

    column: str
    target: str
    strength: float
    """Share of the target's uncertainty that the column removes on rows it was not fitted on, up to 1."""
    n: int


def find_suspects(signature: Signature, table: Table, rows: np.ndarray) -> list[Suspect]:
    """Suspects among the features, strongest first.

    Args:
        signature: Types and roles.
        table: All rows.
        rows: Case numbers of training rows.
    """
    found = []
    halves = (row_hashes(stream_seed(0, "suspects"), rows) & np.uint64(1)).astype(bool)
    for target in signature.targets():
        truth = cells_of(table, target, signature.options)
        for feature in signature.features():
            strength, n = _strength(feature, truth, signature, table, rows, halves)
            if strength >= SUSPICIOUS:
                found.append(Suspect(feature.name, target.name, strength, n))
    return sorted(found, key=lambda suspect: -suspect.strength)


def _strength(
    feature: ColumnFacts, truth: Cells, signature: Signature, table: Table, rows: np.ndarray, halves: np.ndarray
) -> tuple[float, int]:
    cells = cells_of(table, feature, signature.options)
    keep = ~truth.missing_N[rows] & ~cells.missing_N[rows]
    used, first = rows[keep], halves[keep]
    values = _sortable(cells)
    if values is None or first.sum() < LEAST_ROWS or (~first).sum() < LEAST_ROWS:
        return 0.0, 0
    bins = _bins(values[used], first)
    if isinstance(truth, NumberCells):
        return _explained(bins, truth.value_N[used], first), int((~first).sum())
    if isinstance(truth, LevelCells):
        return _told(bins, truth.code_N[used], first), int((~first).sum())
    return 0.0, 0


def _sortable(cells: Cells) -> np.ndarray | None:
    match cells:
        case NumberCells():
            return cells.value_N
        case LevelCells():
            return cells.code_N.astype(np.float64)
        case DateCells():
            return cells.micros_N.astype(np.float64)
        case _:
            return None


def _bins(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Bin of each row: each value by itself where there are few, else quantiles of the first half."""
    distinct = np.unique(values[first])
    edges = distinct if len(distinct) <= BINS else np.unique(np.quantile(values[first], np.linspace(0, 1, BINS + 1)))
    return np.searchsorted(edges, values, side="right")


def _explained(bins: np.ndarray, y: np.ndarray, first: np.ndarray) -> float:
    """R squared of the bins' means."""
    count = np.bincount(bins[first], minlength=bins.max() + 1)
    total = np.bincount(bins[first], weights=y[first], minlength=bins.max() + 1)
    means = np.where(count > 0, total / np.maximum(count, 1), y[first].mean())
    spread = float(((y[~first] - y[first].mean()) ** 2).sum())
    return 1 - float(((y[~first] - means[bins[~first]]) ** 2).sum()) / spread if spread > 0 else 0.0


def _told(bins: np.ndarray, code: np.ndarray, first: np.ndarray) -> float:
    """Share of the mistakes of always answering the commonest class that the bins' majorities avoid."""
    classes = int(code.max()) + 1
    votes = np.zeros((int(bins.max()) + 1, classes), dtype=np.int64)
    np.add.at(votes, (bins[first], code[first]), 1)
    commonest = int(np.bincount(code[first]).argmax())
    answers = np.where(votes.sum(1) > 0, votes.argmax(1), commonest)
    mistakes = float((code[~first] != commonest).mean())
    return 1 - float((code[~first] != answers[bins[~first]]).mean()) / mistakes if mistakes > 0 else 0.0
