"""Rows of different lengths, end to end in one array.

Shape suffixes:
    N  rows    M  items of all rows together    C  width of an item
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Ragged", "starts_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """N rows, each a run of items: token numbers, frames of a sound, steps of a series."""

    value_MC: np.ndarray
    """Items of all rows, in order."""
    start_N1: np.ndarray
    """int64, N + 1 offsets: row ``i`` is ``value[start[i] : start[i + 1]]``. The first is 0."""

    def __len__(self) -> int:
        return len(self.start_N1) - 1

    @property
    def lengths(self) -> np.ndarray:
        """int64: items of each row."""
        return np.diff(self.start_N1)

    def row(self, number: int) -> np.ndarray:
        """The items of one row, (T, C), as a view."""
        return self.value_MC[self.start_N1[number] : self.start_N1[number + 1]]

    def cut(self, start: int, end: int) -> "Ragged":
        """The rows from ``start`` to ``end``, items as a view."""
        starts = self.start_N1[start : end + 1]
        return Ragged(self.value_MC[starts[0] : starts[-1]], starts - starts[0])

    def take(self, rows: np.ndarray) -> "Ragged":
        """The rows with these numbers, in this order."""
        length = self.lengths[rows]
        start = starts_of(length)
        place = np.arange(start[-1]) - np.repeat(start[:-1], length) + np.repeat(self.start_N1[rows], length)
        return Ragged(self.value_MC[place], start)

    @classmethod
    def of(cls, rows: Sequence[np.ndarray], width: int, dtype: type[np.generic]) -> "Ragged":
        """From arrays (T, C) of different T."""
        empty = np.zeros((0, width), dtype)
        value = np.concatenate([empty, *(np.asarray(row, dtype).reshape(-1, width) for row in rows)])
        return cls(value, starts_of([len(row) for row in rows]))


def starts_of(lengths: Sequence[int] | np.ndarray) -> np.ndarray:
    """Offsets of rows of these lengths, N + 1 of them."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
