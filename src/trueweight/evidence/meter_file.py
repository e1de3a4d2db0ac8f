"""What a meter at the plug has written down: energy between two moments, from a CSV file of its readings."""

import csv
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

__all__ = ["MeterReading", "read_meter"]

_COUNTS = {"joules": 1.0, "wh": 3600.0, "kwh": 3.6e6}
"""Names of columns that count up, and the joules of one unit."""

_WANTED = "it needs a header with 'time' and one of 'watts', 'joules', 'wh' or 'kwh'"


@dataclass(frozen=True, slots=True)
class MeterReading:
    """What the file says of a window of time."""

    joules: float
    samples: int
    """Readings inside the window."""
    column: str
    longest: float
    """Seconds of the longest gap between readings."""


def read_meter(path: Path, start: float, stop: float) -> MeterReading | str:
    """The energy between two moments, straight lines between readings; or why the file does not tell.

    Args:
        path: CSV with a column ``time`` (seconds since 1970, or ISO 8601, UTC unless it says otherwise) and one of
            ``watts`` (power), ``joules``, ``wh`` or ``kwh`` (counting up).
        start: Seconds since 1970.
        stop: Later. The file may end up to two of its steps before.
    """
    rows = _rows(path)
    if isinstance(rows, str):
        return f"the meter file {path.name} {rows}"
    column, times, values = rows
    steps = sorted(b - a for a, b in pairwise(times))
    if not steps or steps[0] <= 0:
        return f"the meter file {path.name} needs two readings or more, in the order of time"
    if times[0] > start or times[-1] < stop - 2 * steps[len(steps) // 2]:
        span = f"{_clock(times[0])} to {_clock(times[-1])}"
        return f"the meter file {path.name} reaches from {span}, the work from {_clock(start)} to {_clock(stop)}"
    if column != "watts" and any(b < a for a, b in pairwise(values)):
        return f"the meter file {path.name} counts {column} that fall"
    inside = [t for t in times if start < t < stop]
    marks = [start, *inside, stop]
    joules = (
        _area(marks, times, values)
        if column == "watts"
        else ((_at(stop, times, values) - _at(start, times, values)) * _COUNTS[column])
    )
    return MeterReading(joules, len(inside), column, max(b - a for a, b in pairwise(marks)))


def _rows(path: Path) -> tuple[str, list[float], list[float]] | str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
            columns = [name for name in ("watts", *_COUNTS) if name in names]
            if "time" not in names or len(columns) != 1:
                return f"cannot be understood: {_WANTED}"
            pairs = [(_moment(row[names["time"]]), float(row[names[columns[0]]])) for row in reader]
    except FileNotFoundError:
        return "is not there"
    except (OSError, ValueError, TypeError, csv.Error) as error:
        return f"cannot be read: {error}"
    if not all(math.isfinite(x) and math.isfinite(y) for x, y in pairs):
        return "holds readings that are not finite"
    return columns[0], [x for x, _ in pairs], [y for _, y in pairs]


def _moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _at(moment: float, times: Sequence[float], values: Sequence[float]) -> float:
    """The value on the line between two readings; the last one goes on."""
    right = bisect_left(times, moment)
    if right == len(times):
        return values[-1]
    if times[right] == moment or right == 0:
        return values[right]
    share = (moment - times[right - 1]) / (times[right] - times[right - 1])
    return values[right - 1] + share * (values[right] - values[right - 1])


def _area(marks: Sequence[float], times: Sequence[float], values: Sequence[float]) -> float:
    heights = [_at(mark, times, values) for mark in marks]
    return sum((b - a) * (p + q) / 2 for (a, b), (p, q) in zip(pairwise(marks), pairwise(heights), strict=True))
