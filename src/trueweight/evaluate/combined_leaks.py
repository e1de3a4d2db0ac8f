"""Leaks that no column has alone: columns whose weighted sum is the target, a gap that tells it beside another column.

Shape suffixes:
    R  training rows that are looked at    K  columns of numbers
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.data.cells import Cells, LevelCells, NumberCells
from trueweight.data.reading import cells_of
from trueweight.data.sample import BottomK
from trueweight.data.signature import Signature
from trueweight.data.suspects import LEAST_ROWS, Suspect, strength_of
from trueweight.data.table import Table
from trueweight.seeds import row_hashes, stream_seed

__all__ = ["exact_sum", "gap_beside"]

ROWS = 4000
"""Most rows that are looked at."""

COLUMNS = 64
"""Most columns of numbers, and most columns beside a gap."""

GAPS = 16

GIVEN = 0.95
"""Share of rows in which a column must be there to be part of a sum."""

EXACT = 1e-3
"""Standard deviations of the target that a sum may be off."""

EXACTLY = 0.5
"""Share of rows in which a sum is exact that no honest columns reach."""

_ROUNDS = 20
_LEVELS = 30
_BINS = 8


def exact_sum(signature: Signature, table: Table, rows: np.ndarray, truth: Cells) -> list[str]:
    """Columns of numbers whose weighted sum is the target, exactly, in most rows; none where there are none.

    The weights are those of least trimmed squares: fitted to the half of the rows that they fit best, again and again
    (Rousseeuw and Van Driessen 2006, "Computing LTS regression for large data sets", section 2); counted is on rows
    that were not fitted.

    Args:
        signature: Types and roles.
        table: All rows.
        rows: Of these, those that trained.
        truth: The target's cells.
    """
    if not isinstance(truth, NumberCells):
        return []
    rows = BottomK.of(rows, k=ROWS).rows
    names, value_RK, y_R = _numbers(signature, table, rows, truth)
    if len(y_R) < 2 * (LEAST_ROWS + len(names)) or not names or y_R.std() == 0:
        return []
    scaled_RK = (value_RK - value_RK.mean(0)) / value_RK.std(0)
    scaled_R = (y_R - y_R.mean()) / y_R.std()
    first_R = (row_hashes(stream_seed(0, "sums"), np.arange(len(y_R))) & np.uint64(1)).astype(bool)
    design_RK = np.column_stack([scaled_RK, np.ones(len(y_R))])
    weight_K = _trimmed(design_RK[first_R], scaled_R[first_R])
    exact = float((np.abs(design_RK @ weight_K - scaled_R)[~first_R] <= EXACT).mean())
    usual = float(np.unique(y_R[~first_R], return_counts=True)[1].max() / (~first_R).sum())
    if exact < max(EXACTLY, usual + EXACTLY):
        return []
    return [name for name, weight in zip(names, weight_K, strict=False) if abs(weight) > 10 * EXACT]


def _numbers(
    signature: Signature, table: Table, rows: np.ndarray, truth: NumberCells
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names, values and the target, of rows in which all are there."""
    kept: dict[str, np.ndarray] = {}
    for facts in signature.features():
        if facts.type != "number" or len(kept) == COLUMNS:
            continue
        cells = cells_of(table, facts, signature.options)
        assert isinstance(cells, NumberCells)
        value_R = cells.value_N[rows]
        if np.isfinite(value_R).mean() >= GIVEN and np.nanstd(value_R) > 0:
            kept[facts.name] = value_R
    value_RK = np.stack(list(kept.values()), axis=1) if kept else np.zeros((len(rows), 0))
    whole_R = np.isfinite(value_RK).all(1) & ~truth.missing_N[rows]
    value_RK, y_R = value_RK[whole_R], truth.value_N[rows][whole_R]
    varied = np.flatnonzero(value_RK.std(0) > 0) if len(value_RK) else np.arange(0)
    return [list(kept)[k] for k in varied], value_RK[:, varied], y_R


def _trimmed(design_RK: np.ndarray, y_R: np.ndarray) -> np.ndarray:
    """Weights by least squares on the half of the rows that they fit best."""
    kept = np.arange(len(y_R))
    for _ in range(_ROUNDS):
        weight_K = np.linalg.lstsq(design_RK[kept], y_R[kept], rcond=None)[0]
        best = np.sort(np.argsort(np.abs(design_RK @ weight_K - y_R), kind="stable")[: len(y_R) // 2 + 1])
        if np.array_equal(best, kept):
            break
        kept = best
    return np.asarray(weight_K)


@dataclass(frozen=True, slots=True)
class _Column:
    missing_R: np.ndarray
    code_R: np.ndarray | None
    """Few whole numbers from 0; the last one stands for a gap. None where the column has too many values for that."""


def gap_beside(
    signature: Signature, table: Table, rows: np.ndarray, truth: Cells, told: Sequence[Suspect]
) -> tuple[Suspect, str] | None:
    """The column whose being there tells most of the target beside another column, and that other column.

    Args:
        signature: Types and roles.
        table: All rows.
        rows: Of these, those that trained.
        truth: The target's cells.
        told: What each column tells of this target alone: it tells at least half as much more beside the other.
    """
    rows, alone = BottomK.of(rows, k=ROWS).rows, {one.column: one.strength for one in told}
    columns = _columns(signature, table, rows)
    gaps = [name for name, column in columns.items() if 0 < column.missing_R.mean() < 1][:GAPS]
    best: tuple[Suspect, str] | None = None
    for gap in gaps:
        for other, column in columns.items():
            if other == gap or column.code_R is None:
                continue
            both_R = 2.0 * column.code_R + columns[gap].missing_R
            strength, n, error = strength_of(both_R, truth, rows)
            if max(alone.get(gap, 0.0), alone.get(other, 0.0)) > strength / 2:
                continue
            if best is None or strength > best[0].strength:
                best = Suspect(gap, told[0].target, strength, n, error), other
    return best


def _columns(signature: Signature, table: Table, rows: np.ndarray) -> Mapping[str, _Column]:
    found = {}
    for facts in signature.features()[:COLUMNS]:
        cells = cells_of(table, facts, signature.options)
        found[facts.name] = _Column(cells.missing_N[rows], _coded(cells, rows))
    return found


def _coded(cells: Cells, rows: np.ndarray) -> np.ndarray | None:
    match cells:
        case LevelCells():
            code_R = cells.code_N[rows]
            often = np.argsort(-np.bincount(code_R[code_R >= 0], minlength=1), kind="stable")[:_LEVELS]
            place = np.full(len(cells.levels) + 1, len(often), np.int64)  # rare ones share a place
            place[often] = np.arange(len(often))
            return np.where(code_R < 0, len(often) + 1, place[code_R])
        case NumberCells():
            value_R = cells.value_N[rows]
            if not np.isfinite(value_R).any():
                return None
            edges = np.unique(np.nanquantile(value_R, np.linspace(0, 1, _BINS + 1)[1:-1]))
            return np.where(np.isnan(value_R), _BINS, np.searchsorted(edges, value_R, side="right"))
        case _:
            return None
