"""What rows have to do with each other: groups that a column names, an order in time, cases of several rows."""

import re
from collections.abc import Sequence

import numpy as np

from trueweight.data.cells import DateCells, LevelCells, NumberCells, ReadOptions
from trueweight.data.reading import cells_of, plain_facts
from trueweight.data.table import Table
from trueweight.spec.data import CasesSpec

__all__ = ["count_groups", "find_cases", "in_order_of_time"]

REPEATS = 1.5
"""Rows per distinct value from which an identifier names groups rather than rows."""


STEPS = 8
"""Mean rows of a case from which on a table is taken for one in long form."""

_CASE_WORDS = {
    "case", "id", "instance", "key", "nr", "recording", "run", "sample", "sequence", "series", "session", "subject",
    "trial", "unit",
}  # fmt: skip
_TIME_WORDS = {"cycle", "date", "day", "epoch", "frame", "hour", "index", "step", "t", "tick", "time", "timestamp"}


def find_cases(table: Table, targets: Sequence[str], options: ReadOptions) -> CasesSpec | None:
    """The columns that name case and time of a table in long form, one row a step; None if it is none.

    It is one where a column that is called like one has many rows for each value, all with the same labels, and
    another one that is called like a time orders them without a tie.
    """
    labels = [codes for name in targets if (codes := _codes(table, name, options)) is not None]
    if len(labels) < len(targets):
        return None
    for case in (name for name in table.names if name not in targets and _called(name, _CASE_WORDS)):
        code_N = _codes(table, case, options)
        if code_N is None or code_N.min() < 0 or not 2 <= int(code_N.max()) + 1 <= len(table) / STEPS:
            continue
        if any(_pairs(code_N, label_N) > code_N.max() + 1 for label_N in labels):
            continue
        for time in (name for name in table.names if name not in (case, *targets) and _called(name, _TIME_WORDS)):
            moment_N = _order(table, time, options)
            if moment_N is not None and _pairs(code_N, moment_N) == len(table):
                return CasesSpec(type="grouped", case=case, time=time)
    return None


def _called(name: str, words: set[str]) -> bool:
    found = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return bool({word.lower() for word in found} & words)


def _codes(table: Table, name: str, options: ReadOptions) -> np.ndarray | None:
    cells = cells_of(table, plain_facts(name, "id", len(table)), options)
    return cells.code_N.astype(np.int64) if isinstance(cells, LevelCells) and not cells.missing_N.all() else None


def _order(table: Table, name: str, options: ReadOptions) -> np.ndarray | None:
    """Numbers of moments, if every row has one."""
    for kind in ("number", "date"):
        cells = cells_of(table, plain_facts(name, kind, len(table)), options)
        if not cells.missing_N.any():
            value_N = cells.value_N if isinstance(cells, NumberCells) else None
            value_N = cells.micros_N if isinstance(cells, DateCells) else value_N
            return None if value_N is None else np.unique(value_N, return_inverse=True)[1]
    return None


def _pairs(one_N: np.ndarray, other_N: np.ndarray) -> int:
    """How many different pairs there are."""
    return len(np.unique(one_N * (int(other_N.max()) + 2) + other_N))


def count_groups(table: Table, name: str, options: ReadOptions) -> int | None:
    """Number of groups, if a column's name and repeats say that it identifies them."""
    words = name.lower().replace("-", "_").replace(" ", "_").split("_")
    if not (words[-1] in ("id", "key", "no", "nr", "number", "code", "uuid") or name.endswith(("Id", "ID"))):
        return None
    cells = cells_of(table, plain_facts(name, "id", len(table)), options)
    if not isinstance(cells, LevelCells) or cells.missing_N.mean() > 0.1:
        return None
    levels = len(cells.levels)
    many = levels >= 20 and levels * REPEATS <= len(table)
    return levels if many and levels >= 0.01 * len(table) else None


def in_order_of_time(table: Table, name: str, options: ReadOptions) -> bool:
    """Whether no row is earlier than the one above it, by a column of dates without a gap."""
    cells = cells_of(table, plain_facts(name, "date", len(table)), options)
    if not isinstance(cells, DateCells) or cells.missing_N.any() or len(cells) < 3:
        return False
    steps = np.diff(cells.micros_N)
    return bool((steps >= 0).all() and (steps > 0).mean() > 0.01)
