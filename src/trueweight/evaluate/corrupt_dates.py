"""Dates gone wrong: some days off, day and month swapped, a year late, gaps.

Shape suffixes:
    N  rows
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, DateCells
from trueweight.data.parse_dates import DAY
from trueweight.data.signature import ColumnFacts
from trueweight.evaluate.corrupt import Family, Suite, chosen, chosen_of, missing_suite

__all__ = ["DATES", "swapped", "years_later"]


@dataclass(frozen=True, slots=True)
class _Dates:
    micros_N: np.ndarray
    missing_N: np.ndarray


def _load(cells: Cells, facts: ColumnFacts) -> _Dates | None:
    assert isinstance(cells, DateCells)
    varies = facts.learnt.get("scale") or facts.learnt.get("cycles")
    return _Dates(cells.micros_N, cells.missing_N) if varies else None


def _write(loaded: _Dates) -> pa.Array:
    return pa.array(loaded.micros_N, pa.int64(), mask=loaded.missing_N).cast(pa.timestamp("us"))


def _apart(micros_N: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Months since 1970, days into the month from 0, and microseconds into the day."""
    day_N, rest_N = np.divmod(micros_N, DAY)
    month_N = day_N.astype("datetime64[D]").astype("datetime64[M]")
    return month_N.astype(np.int64), day_N - month_N.astype("datetime64[D]").astype(np.int64), rest_N


def _together(month_N: np.ndarray, day_N: np.ndarray, rest_N: np.ndarray) -> np.ndarray:
    """Microseconds since 1970; a day that a month does not have becomes its last."""
    months = month_N.astype("datetime64[M]")
    first_N, next_N = (m.astype("datetime64[D]").astype(np.int64) for m in (months, months + np.timedelta64(1, "M")))
    return np.asarray(np.minimum(first_N + day_N, next_N - 1) * DAY + rest_N)


def years_later(micros_N: np.ndarray, years: int) -> np.ndarray:
    """The same day of the calendar in another year; 29 February becomes the 28th where there is none."""
    month_N, day_N, rest_N = _apart(micros_N)
    return _together(month_N + 12 * years, day_N, rest_N)


def swapped(micros_N: np.ndarray) -> np.ndarray:
    """``04/10`` read as ``10/04``: month and day change places where the day could be a month."""
    month_N, day_N, rest_N = _apart(micros_N)
    year_N, of_year_N = np.divmod(month_N, 12)
    return np.where(day_N < 12, _together(12 * year_N + day_N, of_year_N, rest_N), micros_N)


def _off(loaded: _Dates, strength: float, rng: np.random.Generator) -> pa.Array:
    way_N = rng.choice([-1, 1], len(loaded.micros_N))
    return _write(_Dates(loaded.micros_N + way_N * round(strength) * DAY, loaded.missing_N))


def _mixed_up(loaded: _Dates, strength: float, rng: np.random.Generator) -> pa.Array:
    swapped_N = swapped(loaded.micros_N)
    mark_N = chosen_of((swapped_N != loaded.micros_N) & ~loaded.missing_N, strength / 100, rng)
    return _write(_Dates(np.where(mark_N, swapped_N, loaded.micros_N), loaded.missing_N))


def _another_year(loaded: _Dates, strength: float, rng: np.random.Generator) -> pa.Array:
    mark_N, late_N = chosen(strength / 100, len(loaded.micros_N), rng), rng.random(len(loaded.micros_N)) < 0.5
    moved_N = np.where(late_N, years_later(loaded.micros_N, 1), years_later(loaded.micros_N, -1))
    return _write(_Dates(np.where(mark_N, moved_N, loaded.micros_N), loaded.missing_N))


DATES = Family(
    "dates",
    ("date",),
    _load,
    _write,
    (
        # None is held against a model: that tomorrow is a Saturday may rightly turn an answer.
        Suite("days", "early or late by {} days", (1, 7, 30), _off, mild=False),
        Suite("swapped", "day and month swapped in {} % of dates that allow it", (5, 20, 50), _mixed_up, mild=False),
        Suite("year", "a year early or late in {} % of the cells", (1, 5, 20), _another_year, mild=False),
        missing_suite(_write),
    ),
)
