"""Moments from texts and typed cells, several formats in one column allowed.

Read are ``1912-04-10``, ``1912/04/10 23:40``, ``1912-04-10T23:40:00+01:00``, ``10.04.1912``, ``10/04/1912``,
``10 Apr 1912``, ``April 10, 1912``, ``19120410`` and ``1912-04``; times may end in am or pm. A moment without a zone
is taken as UTC.

Shape suffixes:
    N  rows    K  distinct texts
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import DateCells, ReadOptions
from trueweight.data.parse_texts import Texts, flat, gather, is_text, read_texts

__all__ = ["DAY", "day_comes_first", "parse_dates", "read_dates"]

DAY = 86_400_000_000
"""Microseconds."""

_NOTHING = np.iinfo(np.int64).min
_YEAR_ONE = -62_135_596_800_000_000
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_TIME = (
    r"(?:(?:[T,]\s*|\s+)(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"\s*(?P<p>[AaPp]\.?[Mm]\.?)?\s*(?P<z>Z|z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?$"
)
_WEEKDAY = r"^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,?\s+)?"
_FORMATS = (
    r"^(?P<y>\d{4})[-/.](?P<m>\d{1,2})(?:[-/.](?P<d>\d{1,2}))?" + _TIME,
    r"^(?P<a>\d{1,2})(?P<s>[./-])(?P<b>\d{1,2})[./-](?P<y>\d{4}|\d{2})" + _TIME,
    _WEEKDAY + r"(?P<d>\d{1,2})(?:st|nd|rd|th|\.)?[\s-]+(?P<n>[A-Za-z]{3,9})\.?,?[\s-]+(?P<y>\d{4})" + _TIME,
    _WEEKDAY + r"(?P<n>[A-Za-z]{3,9})\.?\s+(?P<d>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<y>\d{4})" + _TIME,
    r"^(?P<y>(?:19|20)\d{2})(?P<m>\d{2})(?P<d>\d{2})" + _TIME,
)
_DAY_OR_MONTH = 1
"""Position in _FORMATS of the one whose first number may be either."""


def read_dates(raw: pa.ChunkedArray | pa.Array, options: ReadOptions, *, day_first: bool | None = None) -> DateCells:
    """Interpret cells as moments.

    Notes: "second date format" (rows in another format than most), "day first assumed" (rows like ``10/04/1912`` in a
    column where nothing tells day from month), "not a date", "spaces trimmed".

    Args:
        raw: Cells of any type; dates and timestamps keep their moment.
        options: Missing markers.
        day_first: How ``10/04/1912`` is read; None lets the column's own cells decide.
    """
    array = flat(raw)
    kind = array.type
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return _typed(array)
    if not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        unread = len(array) - array.null_count
        micros = np.zeros(len(array), np.int64)
        return DateCells(
            missing_N=np.ones(len(array), bool), micros_N=micros, notes={"not a date": unread} if unread else {}
        )
    quick = _iso(_unmarked(array, options)) if is_text(kind) else None
    if quick is not None:
        return _typed(quick)
    texts = read_texts(array, options)
    micros_K, notes = parse_dates(texts, day_first=day_first)
    micros_N = gather(micros_K, texts.index_N, _NOTHING)
    missing_N = micros_N == _NOTHING
    return DateCells(missing_N=missing_N, micros_N=np.where(missing_N, 0, micros_N), notes=notes)


def _typed(array: pa.Array) -> DateCells:
    missing_N = np.asarray(pc.is_null(array))
    if not pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("ms"), safe=False)
    zone = array.type.tz
    micros = array.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64(), safe=False).fill_null(0)
    return DateCells(missing_N=missing_N, micros_N=np.asarray(micros).astype(np.int64))


def parse_dates(texts: Texts, *, day_first: bool | None = None) -> tuple[np.ndarray, dict[str, int]]:
    """Moments of distinct texts, and counts of dirt.

    Returns:
        (K,) int64 microseconds since 1970 UTC, the least int64 where unreadable; notes in rows.
    """
    counts_K, notes = texts.row_counts(), dict(texts.notes)
    micros_K = np.full(len(texts.texts), _NOTHING)
    format_K = np.full(len(texts.texts), -1)
    for number, pattern in enumerate(_FORMATS):
        todo = np.flatnonzero(format_K < 0)
        some = texts.texts.take(pa.array(todo))
        matched = np.asarray(pc.match_substring_regex(some, pattern))
        if not matched.any():
            continue
        chosen = todo[matched]
        found = _fields(some.filter(pa.array(matched)), pattern)
        if number == _DAY_OR_MONTH:
            _order(found, counts_K[chosen], day_first, notes)
        moments = _moments(found)
        micros_K[chosen] = moments
        format_K[chosen[moments != _NOTHING]] = number
    rows_of_format = np.bincount(format_K[format_K >= 0], counts_K[format_K >= 0], minlength=len(_FORMATS))
    notes["second date format"] = int(rows_of_format.sum() - rows_of_format.max())
    notes["not a date"] = int(counts_K[format_K < 0].sum())
    return micros_K, {kind: count for kind, count in notes.items() if count}


def _unmarked(array: pa.Array, options: ReadOptions) -> pa.Array:
    markers = pa.array([*options.missing_values, ""], array.type)
    return pc.if_else(pc.is_in(array, value_set=markers), None, array)


def _iso(array: pa.Array) -> pa.Array | None:
    """The fast way, for columns in one ISO format without zones: timestamps, or None if there is anything else."""
    some = array.take(pa.array(np.linspace(0, len(array) - 1, min(len(array), 64)).astype(np.int64)))
    try:
        some.cast(pa.timestamp("us"))  # a failing cast is slow where many cells fail
        moments = array.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        return None
    first = pc.min(moments.cast(pa.int64())).as_py()
    return None if first is not None and first < _YEAR_ONE else moments


def _fields(texts: pa.Array, pattern: str) -> dict[str, np.ndarray]:
    """Named pieces of texts that match, as numpy arrays of str, "" where a piece is absent."""
    pieces = pc.extract_regex(texts, pattern)
    names = [pieces.type.field(i).name for i in range(pieces.type.num_fields)]
    return {name: np.asarray(pc.struct_field(pieces, name).fill_null("").to_pylist(), dtype=str) for name in names}


def _number(pieces: np.ndarray, otherwise: int) -> np.ndarray:
    return np.where(pieces == "", str(otherwise), pieces).astype(np.int64)


def day_comes_first(texts: pa.Array) -> bool | None:
    """Whether texts like ``13/04/1912`` show that the day is written before the month; None if none shows it."""
    pattern = _FORMATS[_DAY_OR_MONTH]
    found = texts.filter(pc.match_substring_regex(texts, pattern))
    return _shown(_fields(found, pattern)) if len(found) else None


def _shown(found: dict[str, np.ndarray]) -> bool | None:
    first, second = _number(found["a"], 1), _number(found["b"], 1)
    days, months = int(((first > 12) & (second <= 12)).sum()), int(((second > 12) & (first <= 12)).sum())
    if days == months == 0:
        return None
    return days >= months


def _order(found: dict[str, np.ndarray], counts: np.ndarray, day_first: bool | None, notes: dict[str, int]) -> None:
    """Tell day from month in texts like ``10/04/1912``; points between them mean day first everywhere."""
    first, second = _number(found["a"], 1), _number(found["b"], 1)
    decided = _shown(found) if day_first is None else day_first
    if decided is None:
        notes["day first assumed"] = int(counts[(found["s"] != ".") & (first != second)].sum())
    swapped = (found["s"] != ".") & (decided is False)
    # One number above 12 leaves no choice, whatever the rest of the column does.
    swapped = np.where(second > 12, first <= 12, swapped & (first <= 12))
    found["d"] = np.where(swapped, second, first).astype(str)
    found["m"] = np.where(swapped, first, second).astype(str)


def _moments(found: dict[str, np.ndarray]) -> np.ndarray:
    """Microseconds since 1970 UTC from pieces, the least int64 for days that no calendar has."""
    year = _number(found["y"], 0)
    short = np.char.str_len(found["y"]) == 2
    year = np.where(short, year + np.where(year < 69, 2000, 1900), year)  # as POSIX has it
    month = _month_numbers(found["n"]) if "n" in found else _number(found["m"], 1)
    day = _number(found["d"], 1)
    valid = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)
    start = (np.where(valid, (year - 1970) * 12 + month - 1, 0)).astype("datetime64[M]")
    length = ((start + np.timedelta64(1, "M")).astype("datetime64[D]") - start.astype("datetime64[D]")).astype(np.int64)
    valid &= day <= length
    days = start.astype("datetime64[D]").astype(np.int64) + day - 1
    clock, timely = _clock(found)
    return np.where(valid & timely, days * DAY + clock, _NOTHING)


def _month_numbers(names: np.ndarray) -> np.ndarray:
    starts = np.char.lower(names.astype("<U3"))
    return np.select([starts == month for month in _MONTHS], list(range(1, 13)), 0)


def _clock(found: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Microseconds since midnight UTC, and whether there is such a time."""
    hour, minute, second = (_number(found[key], 0) for key in "HMS")
    half = np.char.lower(np.char.replace(found["p"], ".", ""))
    timely = (hour <= np.where(half == "", 23, 12)) & (minute < 60) & (second <= 60)
    hour = np.where(half == "pm", hour % 12 + 12, np.where(half == "am", hour % 12, hour))
    fraction = _number(np.char.ljust(found["f"].astype("<U6"), 6, "0"), 0)
    zone = np.char.replace(found["z"], ":", "")
    shifted = np.isin(zone.astype("<U1"), ["+", "-"])
    padded = np.char.ljust(np.where(shifted, zone, "+0000"), 5, "0")
    sign = np.where(padded.astype("<U1") == "-", -1, 1)
    digits = np.array([text[1:] for text in padded.tolist()], dtype=str).astype(np.int64) if len(padded) else hour
    offset = sign * (digits // 100 * 60 + digits % 100)
    return ((hour * 60 + minute - offset) * 60 + second) * 1_000_000 + fraction, timely
