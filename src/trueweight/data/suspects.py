"""Columns that are suspiciously good: one of them alone tells the target, as a leak would.

Each feature is cut into at most 64 bins on one half of the training rows, and the bins' answers are scored on the
other half. A strength of 1 means that the column alone is always right.

Shape suffixes:
    N  rows of the table    R  rows that are looked at
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from weakref import WeakKeyDictionary

import numpy as np

from trueweight.data.cells import Cells, DateCells, LevelCells, NumberCells, SetCells, TextCells, VectorCells
from trueweight.data.reading import cells_of
from trueweight.data.sample import BottomK
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.seeds import row_hashes, stream_seed

__all__ = ["LEAST_ROWS", "SUSPICIOUS", "Suspect", "find_suspects", "strength_of", "strengths"]

SUSPICIOUS = 0.98
"""Strength from which a column is named. Real single causes are rarely that good."""

LEAST_ROWS = 40
BINS = 64

ROWS = 50_000
"""Most rows that are looked at."""

TEXTS = 3000
"""The same where words have to be found first."""

VIEWS = 64
"""Values of a vector, members of a set, or words of a text that are looked at by themselves, the commonest first."""

_LEAST_SHARE = 0.02
"""Of texts that a word must be in."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A feature, and what it alone tells of a target."""

    column: str
    target: str
    strength: float
    """Share of the target's uncertainty that the column removes on rows it was not fitted on, up to 1."""
    n: int
    error: float = 0.0
    """Standard error of the strength."""


def find_suspects(signature: Signature, table: Table, rows: np.ndarray) -> list[Suspect]:
    """Suspects among the features, strongest first.

    Args:
        signature: Types and roles.
        table: All rows.
        rows: Case numbers of training rows.
    """
    return [suspect for suspect in strengths(signature, table, rows) if suspect.strength >= SUSPICIOUS]


def strengths(signature: Signature, table: Table, rows: np.ndarray) -> list[Suspect]:
    """What each feature alone tells of each target, strongest first.

    A column that is missing in some rows is asked twice: what its values tell, and what their being there tells. Of
    vectors, sets and texts it is what the best of their values, members or words tells.

    Args:
        signature: Types and roles.
        table: All rows.
        rows: Case numbers of training rows.
    """
    known = _KNOWN.get(table)
    if known is not None and known[0] is signature and known[1] is rows:
        return known[2]
    found, rows_R = [], BottomK.of(rows, k=ROWS).rows
    for target in signature.targets():
        truth = cells_of(table, target, signature.options)
        for feature in signature.features():
            told = _of_cells(cells_of(table, feature, signature.options), truth, rows_R)
            found.append(Suspect(feature.name, target.name, *told))
    found = sorted(found, key=lambda suspect: -suspect.strength)
    _KNOWN[table] = (signature, rows, found)
    return found


_KNOWN: "WeakKeyDictionary[Table, tuple[Signature, np.ndarray, list[Suspect]]]" = WeakKeyDictionary()
"""What was found last in a table, of which rows: facts of the data and the check for leaks ask the same."""

_Told = tuple[float, int, float]
"""Strength, rows it was found on, its standard error."""


def _of_cells(cells: Cells, truth: Cells, rows: np.ndarray) -> _Told:
    if isinstance(cells, TextCells):
        rows = BottomK.of(rows, k=TEXTS).rows
    best: _Told = (0.0, 0, 0.0)
    given_R = ~cells.missing_N[rows]
    for value_R in _views(cells, rows):
        best = max(best, strength_of(value_R[given_R], truth, rows[given_R]))
    if not given_R.all():
        value_R = next(_views(cells, rows), np.zeros(len(rows)))
        best = max(best, strength_of(np.where(given_R, value_R, np.inf), truth, rows))
    return best


def _views(cells: Cells, rows: np.ndarray) -> Iterator[np.ndarray]:
    """A column as numbers to be cut into bins, (R,) float64, in every way that may tell something."""
    match cells:
        case NumberCells():
            yield cells.value_N[rows]
        case LevelCells():
            yield cells.code_N[rows].astype(np.float64)
        case DateCells():
            yield cells.micros_N[rows].astype(np.float64)
        case VectorCells():
            yield from cells.value_ND[rows, :VIEWS].T
        case SetCells():
            row_M = np.repeat(np.arange(len(cells)), np.diff(cells.start_N1))
            for code in np.argsort(-np.bincount(cells.code_M, minlength=1), kind="stable")[:VIEWS]:
                has_N = np.zeros(len(cells))
                has_N[row_M[cells.code_M == code]] = 1.0
                yield has_N[rows]
        case TextCells():
            # In the order of the text, which sets do not keep: of words that are equally common the first ones count.
            words = [dict.fromkeys((text or "").lower().split()) for text in cells.text_N.take(rows).to_pylist()]
            common = Counter(chain.from_iterable(words)).most_common()
            often = [word for word, count in common if _LEAST_SHARE <= count / len(words) <= 1 - _LEAST_SHARE]
            for word in often[:VIEWS]:
                yield np.fromiter((word in some for some in words), np.float64, len(words))


def strength_of(value_R: np.ndarray, truth: Cells, rows: np.ndarray) -> _Told:
    """What numbers tell of a target on the half of the rows that they were not fitted on.

    Args:
        value_R: Without NaN; infinite ones are a bin of their own.
        truth: Of all rows of the table: numbers or levels.
        rows: Which of them.
    """
    known_R = ~truth.missing_N[rows] & ~np.isnan(value_R)
    value_R, rows = value_R[known_R], rows[known_R]
    first_R = (row_hashes(stream_seed(0, "suspects"), rows) & np.uint64(1)).astype(bool)
    if first_R.sum() < LEAST_ROWS or (~first_R).sum() < LEAST_ROWS:
        return 0.0, 0, 0.0
    bin_R, n = _bins(value_R, first_R), int((~first_R).sum())
    if isinstance(truth, NumberCells):
        strength = max(_explained(bin_R, truth.value_N[rows], first_R), _lined(value_R, truth.value_N[rows], first_R))
        return strength, n, 2 * max(0.0, strength) ** 0.5 * (1 - strength) / n**0.5
    if isinstance(truth, LevelCells):
        wrong, usual = _mistakes(bin_R, truth.code_N[rows], first_R)
        return (1 - wrong / usual, n, (wrong * (1 - wrong) / n) ** 0.5 / usual) if usual > 0 else (0.0, n, 0.0)
    return 0.0, 0, 0.0


def _bins(value_R: np.ndarray, first_R: np.ndarray) -> np.ndarray:
    """Bin of each row: each value by itself where there are few, else quantiles of the first half."""
    known = value_R[first_R & np.isfinite(value_R)]
    edges = np.unique(known)
    if len(edges) > BINS:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))
    return np.asarray(np.searchsorted(edges, value_R, side="right") + np.isinf(value_R))


def _explained(bins: np.ndarray, y: np.ndarray, first: np.ndarray) -> float:
    """R squared of the bins' means."""
    count = np.bincount(bins[first], minlength=bins.max() + 1)
    total = np.bincount(bins[first], weights=y[first], minlength=bins.max() + 1)
    means = np.where(count > 0, total / np.maximum(count, 1), y[first].mean())
    spread = float(((y[~first] - y[first].mean()) ** 2).sum())
    return 1 - float(((y[~first] - means[bins[~first]]) ** 2).sum()) / spread if spread > 0 else 0.0


def _lined(value_R: np.ndarray, y: np.ndarray, first: np.ndarray) -> float:
    """R squared of a straight line: bins are coarse for a column that is the target but for a factor."""
    fitted, asked = first, ~first
    if not np.isfinite(value_R).all() or np.ptp(value_R[fitted]) == 0:
        return 0.0
    middle = value_R[fitted].mean()
    slope = float(((value_R[fitted] - middle) * y[fitted]).sum() / np.square(value_R[fitted] - middle).sum())
    spread = float(np.square(y[asked] - y[fitted].mean()).sum())
    off = y[asked] - y[fitted].mean() - slope * (value_R[asked] - middle)
    return 1 - float(np.square(off).sum()) / spread if spread > 0 else 0.0


def _mistakes(bins: np.ndarray, code: np.ndarray, first: np.ndarray) -> tuple[float, float]:
    """Share of mistakes of the bins' majorities, and of always answering the commonest class."""
    classes = int(code.max()) + 1
    votes = np.zeros((int(bins.max()) + 1, classes), dtype=np.int64)
    np.add.at(votes, (bins[first], code[first]), 1)
    commonest = int(np.bincount(code[first]).argmax())
    answers = np.where(votes.sum(1) > 0, votes.argmax(1), commonest)
    return float((code[~first] != answers[bins[~first]]).mean()), float((code[~first] != commonest).mean())
