"""Sets gone wrong: members left out, members that nobody has seen, members that belong to other rows, gaps."""

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, SetCells
from trueweight.data.signature import ColumnFacts
from trueweight.evaluate.corrupt import Family, Suite, chosen_of, missing_suite
from trueweight.evaluate.corrupt_tables import UNSEEN

__all__ = ["SETS"]

_Sets = list[list[str] | None]
"""Members of each row; None where missing."""


def _load(cells: Cells, facts: ColumnFacts) -> _Sets | None:
    assert isinstance(cells, SetCells)
    if not facts.learnt.get("levels"):
        return None
    names, starts = [cells.levels[code] for code in cells.code_M], cells.start_N1.tolist()
    rows = [names[start:end] for start, end in pairwise(starts)]
    return [None if gone else row for gone, row in zip(cells.missing_N.tolist(), rows, strict=True)]


def _write(loaded: Any) -> pa.Array:
    return pa.array(loaded, pa.list_(pa.string()))


def _fewer(loaded: _Sets, strength: float, rng: np.random.Generator) -> pa.Array:
    share = strength / 100
    return _write([None if row is None else [m for m in row if rng.random() >= share] for row in loaded])


def _stranger(loaded: _Sets, strength: float, rng: np.random.Generator) -> pa.Array:
    return _added(loaded, [UNSEEN], strength, rng)


def _borrowed(loaded: _Sets, strength: float, rng: np.random.Generator) -> pa.Array:
    """A member drawn from all members of all rows: common ones come often."""
    return _added(loaded, [member for row in loaded for member in row or ()], strength, rng)


def _added(loaded: _Sets, members: list[str], strength: float, rng: np.random.Generator) -> pa.Array:
    """One more member in some of the rows that do not have all of them yet."""
    all_of_them = set(members)
    open_N = np.array([row is not None and not all_of_them.issubset(row) for row in loaded], bool)
    mark_N = chosen_of(open_N, strength / 100, rng)
    return _write([
        [*row, _another(row, members, rng)] if mark and row is not None else row
        for row, mark in zip(loaded, mark_N, strict=True)
    ])  # fmt: skip


def _another(row: list[str], members: list[str], rng: np.random.Generator) -> str:
    left = [member for member in members if member not in row]
    return left[int(rng.integers(0, len(left)))]


SETS = Family(
    "sets",
    ("set",),
    _load,
    _write,
    (
        # None is held against a model: what is not listed, or listed wrongly, may rightly turn an answer.
        Suite("fewer", "{} % of the members left out", (5, 20, 50), _fewer, mild=False),
        Suite("unseen", "a member never seen added in {} % of the cells", (5, 20, 50), _stranger, mild=False),
        Suite("borrowed", "a member of another row added in {} % of the cells", (5, 20, 50), _borrowed, mild=False),
        missing_suite(_write),
    ),
)
