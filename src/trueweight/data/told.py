"""A few rows as they were told: plain values by column, of which Arrow is made when somebody asks for it.

To make Arrow of a single row, and numbers of that again, takes longer than a small network needs for its answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["EXACT", "PLAIN", "Told"]

PLAIN = frozenset((float, int, str, bool, type(None)))
"""Types of values that are one cell each, whatever stands beside them."""

EXACT = 2**53
"""Whole numbers from here on are no longer all float64s; Arrow has its own ways with them."""


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Rows as plain values."""

    columns: Mapping[str, Sequence[Any]]
    """By column, equally many values in each. Those of one column are all of one type, and that is of :data:`PLAIN`."""
    count: int
    """Rows."""
    made: Callable[[Mapping[str, Sequence[Any]]], pa.Table]
    """Makes Arrow of the columns."""

    def arrow(self) -> pa.Table:
        """The same rows as Arrow has them."""
        return self.made(self.columns)

    def numbers(self, names: Sequence[str]) -> np.ndarray | None:
        """Columns of numbers side by side, (N, C) float64, NaN where there is no value.

        None if a column holds something else than numbers, or more than float64 holds: what it then means is for those
        to say who read columns.
        """
        found, whole = [], False
        for name in names:
            values = self.columns.get(name, ())
            kind = type(values[0]) if values else type(None)
            if kind is type(None):
                values = (np.nan,) * self.count
            elif kind is int:
                whole = True
            elif kind is not float:
                return None
            found.append(values)
        if whole and not all(-EXACT < v < EXACT for values in found if type(values[0]) is int for v in values):
            return None
        return np.array(found, np.float64).reshape(len(found), self.count).T
