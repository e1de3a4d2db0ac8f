"""Which cases train, which select, which calibrate, which judge.

Every random choice is a hash of case numbers, so that the split does not depend on how data was partitioned.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import LevelCells, ReadOptions
from trueweight.data.parse_texts import is_text
from trueweight.data.reading import cells_of, plain_facts
from trueweight.data.table import Table
from trueweight.errors import DataError
from trueweight.metrics.words import counted
from trueweight.seeds import row_hashes, stream_seed

__all__ = [
    "CROSS_FIT_BELOW",
    "Shares",
    "Split",
    "Units",
    "count_twins",
    "cut_by_label",
    "cut_by_share",
    "cut_by_time",
    "merge_groups",
    "refuse_unknown_parts",
    "split_column_of",
    "words_of",
]  # fmt: skip

CROSS_FIT_BELOW = 100
"""Validation rows below which no half is set apart for calibration."""

LEAST_TO_TRAIN = 2
"""Units of each stratum that train, however small it is: a class that only test rows have cannot be learnt."""

PARTS = ("train", "validation", "calibration", "test")


@dataclass(frozen=True, slots=True)
class Split:
    """Case numbers of each part, ascending. No case is in two parts, but for ``cross_fitted`` calibration."""

    train: np.ndarray
    validation: np.ndarray
    """Selects: steps, members, weights."""
    calibration: np.ndarray
    """Teach probabilities, thresholds, sets and intervals. The validation rows themselves when ``cross_fitted``; none
    where nothing is calibrated."""
    test: np.ndarray
    """Sealed from fitting and selection."""
    method: str
    cross_fitted: bool = False
    dropped: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """Cases in a gap of time, used by nobody."""
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Cases in each part."""
        return {part: len(getattr(self, part)) for part in PARTS}


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of all cases."""

    validation: float
    test: float
    calibrate: bool = True
    """Whether anybody needs calibration rows. Else all validation rows select."""


@dataclass(frozen=True, slots=True)
class Units:
    """What may not be torn apart, and what should be spread evenly. Arrays over the N cases in play."""

    rows: np.ndarray
    """int64 case numbers, ascending."""
    group: np.ndarray | None = None
    """int64; cases with one number stay together. None: each case by itself."""
    stratum: np.ndarray | None = None
    """int64; each part gets its share of every stratum. None: all alike."""


def cut_by_share(units: Units, shares: Shares, seed: int, method: str) -> Split:
    """Random, stratified and group splits: units in the order of their hashes, cut by cumulative size.

    Raises:
        DataError: Too few cases or groups to have something in every part that was asked for.
    """
    first, size, stratum, member = _units(units)
    hashes = row_hashes(stream_seed(seed, "split"), units.rows[first])
    part = np.zeros(len(first), dtype=np.int8)
    owed_test = owed_validation = 0.0
    for s in np.unique(stratum):
        order = np.flatnonzero(stratum == s)
        order = order[np.argsort(hashes[order], kind="stable")]
        total = float(size[order].sum())
        # Rounding is carried from one stratum to the next, so that many small ones still add up.
        owed_test += total * shares.test
        taken = _take(order[:-LEAST_TO_TRAIN], size, owed_test)
        part[taken] = 3
        owed_test -= size[taken].sum()
        rest = order[len(taken) :]
        owed_validation += total * shares.validation
        taken = _take(rest[:-LEAST_TO_TRAIN], size, owed_validation)
        part[taken] = 1
        owed_validation -= size[taken].sum()
    return _finish(units.rows, part[member], member, hashes, shares, method)


def _take(order: np.ndarray, size: np.ndarray, owed: float) -> np.ndarray:
    """Units from the front of ``order`` whose sizes come nearest to ``owed``."""
    reach = np.cumsum(size[order])
    return order[: int(np.searchsorted(reach - size[order] / 2, owed, side="left"))]


def _units(units: Units) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """First position, size and stratum of each unit, and the unit of each case."""
    count = len(units.rows)
    if units.group is None:
        first = member = np.arange(count)
        size = np.ones(count, dtype=np.int64)
    else:
        _, first, member, size = np.unique(units.group, return_index=True, return_inverse=True, return_counts=True)
    stratum = np.zeros(count, dtype=np.int64) if units.stratum is None else units.stratum
    return first, size, stratum[first], member


def _finish(
    rows: np.ndarray, part: np.ndarray, unit: np.ndarray, hashes: np.ndarray, shares: Shares, method: str
) -> Split:
    """Set half of the validation units apart for calibration if it is needed, and check that no part is empty."""
    validation = np.flatnonzero(part == 1)
    if not shares.calibrate:
        cut = [rows[part == which] for which in (0, 1, 3, -1)]
        return _checked(Split(cut[0], cut[1], rows[:0], cut[2], method, dropped=cut[3]), shares, unit)
    units = np.unique(unit[validation])
    cross = len(validation) < CROSS_FIT_BELOW or len(units) < 2
    notes: tuple[str, ...] = ()
    if cross:
        few = counted(len(validation), "validation row is", "validation rows are")
        notes = (f"{few} too few to halve: calibration is cross-fitted on them",)
        calibration = validation
    else:
        # Every other unit in another order of hashes than the cut's, so that both halves get their share.
        order = np.argsort(row_hashes(stream_seed(0, "calibration"), hashes[units].view(np.int64)), kind="stable")
        late = np.isin(unit[validation], units[order[1::2]])
        calibration, validation = validation[late], validation[~late]
    return _checked(
        Split(
            rows[part == 0], rows[validation], rows[calibration], rows[part == 3], method, cross, rows[part < 0], notes
        ),
        shares,
        unit,
    )


def _checked(split: Split, shares: Shares, unit: np.ndarray) -> Split:
    """Refuse a split with an empty part; ``unit`` tells which cases were kept together."""
    counts = split.counts()
    wanted = ["train", "validation"] + (["test"] if shares.test > 0 else [])
    if empty := [name for name in wanted if counts[name] == 0]:
        total = sum(counts.values()) - (counts["calibration"] if split.cross_fitted else 0)
        why = f"there {'is' if total == 1 else 'are'} only {counted(total, 'row')}"
        hint = "bring more rows, or change split.test and split.validation"
        if (apart := len(np.unique(unit))) < min(total, 10):
            why = f"the {total} rows make only {counted(apart, 'group')} that can be parted"
            hint = "rows of one group, and rows with the same features, stay together: bring others"
        problem = f"the {split.method} split leaves no row for {' and '.join(empty)}: {why}"
        raise DataError(problem, where="split", hint=hint)
    return split


def cut_by_time(
    units: Units, micros_N: np.ndarray, shares: Shares, starts: Mapping[str, int], gap: int, seed: int
) -> Split:
    """Train before, validate later, test last; ``gap`` microseconds before each boundary are used by nobody.

    Args:
        units: ``group`` is not looked at: the past must not know the future.
        micros_N: Time of each case.
        shares: Used for a boundary that ``starts`` does not give.
        starts: "validation" and "test" to the first microsecond that belongs to them.
        gap: Microseconds.
        seed: For halving validation.
    """
    order = np.sort(micros_N)
    count = len(order)
    test_from = starts.get(
        "test", int(order[_place(count, 1 - shares.test)]) if shares.test > 0 else int(order[-1]) + 1
    )
    before = order[order < test_from]
    wanted = round(count * shares.validation)
    if not len(before):
        raise DataError("no row lies before the test period", where="split.test", hint="choose a later 'from'")
    validation_from = starts.get("validation", int(before[max(0, len(before) - wanted)]))
    part = np.zeros(count, dtype=np.int8)
    part[(micros_N >= validation_from) & (micros_N < test_from)] = 1
    part[micros_N >= test_from] = 3
    part[(micros_N >= validation_from - gap) & (micros_N < validation_from)] = -1
    if shares.test > 0 or "test" in starts:
        part[(micros_N >= test_from - gap) & (micros_N < test_from)] = -1
    hashes = row_hashes(stream_seed(seed, "split"), units.rows)
    return _finish(units.rows, part, np.arange(count), hashes, shares, "time")


def _place(count: int, share: float) -> int:
    return min(count - 1, max(0, round(count * share)))


def cut_by_label(units: Units, labels: list[str | None], shares: Shares, seed: int, method: str) -> Split:
    """Parts that somebody has already chosen: a column's words, or the file a row came from.

    A missing validation part is taken out of the training rows by hash.

    Args:
        units: The cases.
        labels: For each case "train", "validation", "calibration" or "test"; near words ("val", "valid", "dev")
            are understood.
        shares: ``validation`` is used when no case is labelled so; ``test`` > 0 demands test rows.
        seed: For halving validation.
        method: "column" or "files", for messages.
    """
    refuse_unknown_parts(labels)
    lookup = {label: _WORDS[label.lower()] for label in set(labels) if label is not None}
    part = np.array([-1 if label is None else lookup[label] for label in labels], dtype=np.int8)
    hashes = row_hashes(stream_seed(seed, "split"), units.rows)
    if not (part == 1).any():
        train = np.flatnonzero(part == 0)
        order = train[np.argsort(hashes[train], kind="stable")]
        part[order[: round(len(train) * shares.validation)]] = 1
    if (part == 2).any():
        train, validation, calibration, test = (units.rows[part == p] for p in (0, 1, 2, 3))
        split = Split(train, validation, calibration, test, method, False, units.rows[part < 0])
        return _checked(split, shares, np.arange(len(part)))
    return _finish(units.rows, part, np.arange(len(part)), hashes, shares, method)


_WORDS = {"train": 0, "training": 0, "validation": 1, "valid": 1, "val": 1, "dev": 1, "calibration": 2, "test": 3}


def words_of(table: Table, name: str, options: ReadOptions) -> list[str | None]:
    """What a column says of each row; None where it says nothing.

    Raises:
        DataError: There is no such column, or it holds no words.
    """
    table.column(name)
    cells = cells_of(table, plain_facts(name, "category", len(table)), options)
    if not isinstance(cells, LevelCells):
        raise DataError(f"column {name!r} has no words", where="split.column")
    return [None if code < 0 else cells.levels[code] for code in cells.code_N]


def split_column_of(table: Table, others: Iterable[str]) -> tuple[str, set[int]] | None:
    """The first column that says of each row to which part it belongs, and nothing else; with the parts' numbers.

    Args:
        table: All rows.
        others: Columns that are something else.
    """
    for name in table.names:
        kind = table.data.schema.field(name).type
        if name in others or not (is_text(kind) or pa.types.is_dictionary(kind)):
            continue
        column = table.column(name)
        for cells in (column.slice(0, _FEW), column):  # most columns show at once that they are none
            said = {str(cell).strip().lower() for cell in pc.unique(cells).to_pylist() if cell is not None}
            if not said <= _WORDS.keys():
                break
        else:
            parts = {_WORDS[word] for word in said}
            if 0 in parts and parts & {1, 3}:
                return name, parts
    return None


_FEW = 200


def refuse_unknown_parts(labels: Iterable[str | None]) -> None:
    """Make sure that a split column says nothing but parts.

    Raises:
        DataError: It says something else.
    """
    if unknown := sorted(label for label in set(labels) if label is not None and label.lower() not in _WORDS):
        hint = "it may say train, validation, calibration or test"
        raise DataError(f"the split column says {unknown[0]!r}", where="split.column", hint=hint)


def merge_groups(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Groups that keep together whatever either grouping keeps together, (N,) int64.

    Connected components by repeated minimum: each round spreads the smallest label one group further.
    """
    label = np.unique(left, return_inverse=True)[1].astype(np.int64)
    other = np.unique(right, return_inverse=True)[1]
    own = label.copy()
    while True:
        spread = label
        for grouping in (other, own):
            least = np.full(grouping.max() + 1, np.iinfo(np.int64).max)
            np.minimum.at(least, grouping, spread)
            spread = least[grouping]
        if np.array_equal(spread, label):
            return label
        label = spread


def count_twins(prints: np.ndarray, split: Split) -> np.ndarray:
    """Test cases whose features equal those of a training or validation case, as case numbers.

    Args:
        prints: uint64 fingerprints of all rows of the table, by case number.
        split: The split to look at.
    """
    seen = np.unique(np.concatenate([prints[split.train], prints[split.validation], prints[split.calibration]]))
    return split.test[np.isin(prints[split.test], seen)]
