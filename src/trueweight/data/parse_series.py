"""Series: lists of measurements over time, typed or written out, of one channel or several.

Shape suffixes:
    N  rows    K  distinct lists    S  steps of all lists    M  values of all steps    C  channels
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import ReadOptions, SeriesCells
from trueweight.data.parse_numbers import read_numbers
from trueweight.data.parse_texts import flat, is_text, marks_missing, read_texts, trim
from trueweight.data.ragged import Ragged, starts_of
from trueweight.data.series import rows_with_gaps

__all__ = ["is_list", "number_of_channels", "read_series", "steps_first"]

_NESTED = r"[\])]\s*[,;]?\s*[\[(]"
"""Between two steps of a text like ``[[1, 2], [3, 4]]``."""
_SIGNS = r"[\[\](){},;\s]+"
_HOLE = r"([\[(,;])\s*([,;])"
"""A separator with nothing before it: a step without a value."""


@dataclass(frozen=True, slots=True)
class _Lists:
    """Distinct lists of steps of values, end to end."""

    steps_K: np.ndarray
    """int64 steps of each list, -1 where missing."""
    width_S: np.ndarray
    """int64 values of each step, -1 for a step that is null."""
    value_M: np.ndarray
    """float64 or float32, NaN where there is none."""
    odd_M: np.ndarray
    """bool: something that is neither a number nor a missing marker."""
    infinite_M: np.ndarray
    """bool: infinite, and NaN in ``value_M``."""
    index_N: np.ndarray
    """Which list each row holds, -1 for none."""
    notes: dict[str, int]


def read_series(
    raw: pa.ChunkedArray | pa.Array, options: ReadOptions, *, channels: int | None = None,
    decimal_comma: bool | None = None,
) -> SeriesCells:  # fmt: skip
    """Interpret cells as series: lists of numbers, lists of steps that are lists of channels, or such lists as texts.

    A step without a value (null, NaN, a missing marker, infinity) stays as NaN; a series without any value is missing.
    Notes, in rows: "not a series" (something in it is no number), "wrong number of channels", "steps without a
    value", "infinite", "spaces trimmed".

    Args:
        raw: Cells of any type.
        options: Missing markers.
        channels: C; None takes the most frequent number.
        decimal_comma: Whether members that are texts have one; None leaves it to ``options``.
    """
    lists = _lists(flat(raw), options, options.decimal_comma if decimal_comma is None else decimal_comma)
    rows_K = np.bincount(lists.index_N[lists.index_N >= 0], minlength=len(lists.steps_K))
    given_K = (lists.steps_K > 0) & (rows_K > 0)
    low_K, high_K = _widths(lists)
    even_K = given_K & (low_K == high_K) & (high_K > 0)
    if channels is None:
        channels = int(np.bincount(high_K[even_K], rows_K[even_K]).argmax()) if even_K.any() else 1
    value_start_K1 = starts_of(np.maximum(lists.width_S, 0))[starts_of(np.maximum(lists.steps_K, 0))]
    read_K = given_K & ~_any(lists.odd_M, value_start_K1)
    fits_K = read_K & even_K & (high_K == channels)
    filled_K = fits_K & _any(~np.isnan(lists.value_M), value_start_K1)
    value = _rows(lists, filled_K, channels)
    notes = lists.notes | {
        "not a series": lists.notes.get("not a series", 0) + int(rows_K[given_K & ~read_K].sum()),
        "wrong number of channels": int(rows_K[read_K & ~fits_K].sum()),
        "steps without a value": int(rows_with_gaps(value).sum()),
        "infinite": int(rows_K[fits_K & _any(lists.infinite_M, value_start_K1)].sum()),
    }
    missing_N = value.lengths == 0
    return SeriesCells(missing_N=missing_N, value=value, notes={k: v for k, v in notes.items() if v})


def number_of_channels(raw: pa.ChunkedArray | pa.Array, options: ReadOptions) -> int:
    """The most frequent number of channels, 0 where no series can be read."""
    cells = read_series(raw, options)
    return int(cells.value.value_MC.shape[1]) if len(cells.value.value_MC) else 0


def is_list(kind: pa.DataType) -> bool:
    """Whether cells of a flat array are lists."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def steps_first(value_M: np.ndarray, steps_K: np.ndarray, channels: int) -> np.ndarray:
    """Values that come channel by channel within each list, put step by step, (S, C).

    Args:
        value_M: ``channels`` runs of ``steps_K[k]`` values each, for every list k in order.
        steps_K: Steps of each list.
        channels: C.
    """
    start_K1 = starts_of(steps_K)
    list_S = np.repeat(np.arange(len(steps_K)), steps_K)
    place_S = np.arange(start_K1[-1]) - start_K1[list_S]
    first_S = start_K1[list_S] * channels + place_S
    return np.asarray(value_M[first_S[:, None] + np.arange(channels) * steps_K[list_S][:, None]])


def _lists(array: pa.Array, options: ReadOptions, decimal_comma: bool | None) -> _Lists:
    members = ReadOptions(options.missing_values, decimal_comma)
    if is_list(array.type):
        return _parted(_lengths(array), array.flatten(), np.arange(len(array)), members, {})
    if is_text(array.type):
        texts = read_texts(array, options)
        holed = pc.replace_substring_regex(texts.texts, _HOLE, r"\1 nan \2")
        holed = pc.replace_substring_regex(holed, _HOLE, r"\1 nan \2")  # again, for holes side by side
        steps = pc.split_pattern_regex(holed, _NESTED)
        nested = np.asarray(pc.match_substring_regex(holed, _NESTED)) | np.asarray(
            pc.match_substring_regex(holed, r"^\s*[\[(]\s*[\[(]")
        )
        plain = ReadOptions((*options.missing_values, "nan", "null", "None"), False)
        if nested.any():
            values = pc.split_pattern(_bare(steps.flatten()), " ")
            return _split(_lengths(steps), values, nested, texts.index_N, plain, dict(texts.notes))
        values = pc.split_pattern(_bare(holed), " ")
        return _parted(_lengths(values), values.flatten(), texts.index_N, plain, dict(texts.notes))
    numbers = read_numbers(array, options)  # a number alone is a series of one step
    lengths = np.where(numbers.missing_N, -1, 1)
    notes = {"not a series": numbers.notes["not a number"]} if "not a number" in numbers.notes else {}
    return _parted(lengths, pa.array(numbers.value_N[~numbers.missing_N]), np.arange(len(array)), members, notes)


def _bare(texts: pa.Array) -> pa.Array:
    return trim(pc.replace_substring_regex(texts, _SIGNS, " "))


def _split(
    steps_K: np.ndarray, values: pa.Array, nested_K: np.ndarray, index_N: np.ndarray, options: ReadOptions,
    notes: dict[str, int],
) -> _Lists:  # fmt: skip
    """Texts of which some have several channels: those that have not are one step of many values so far."""
    width_S = _lengths(values)
    list_S = np.repeat(np.arange(len(steps_K)), steps_K)
    flat_S = ~nested_K[list_S]
    repeat_S = np.where(flat_S, np.maximum(width_S, 0), 1)
    width = np.repeat(np.where(flat_S, 1, width_S), repeat_S)
    steps = np.bincount(list_S, repeat_S, minlength=len(steps_K)).astype(np.int64)
    value, odd, infinite = _values(values.flatten(), options)
    return _Lists(steps, width, value, odd, infinite, index_N, notes)


def _parted(
    steps_K: np.ndarray, members: pa.Array, index_N: np.ndarray, options: ReadOptions, notes: dict[str, int]
) -> _Lists:
    """Lists of steps that are numbers, or lists of them."""
    if is_list(members.type):
        width_S = _lengths(members)
        members = members.flatten()
    else:
        width_S = np.ones(len(members), np.int64)
    if is_list(members.type) or pa.types.is_struct(members.type) or pa.types.is_map(members.type):
        odd = np.ones(len(members), bool)
        return _Lists(steps_K, width_S, np.full(len(members), np.nan), odd, ~odd, index_N, notes)
    value, odd, infinite = _values(members, options)
    return _Lists(steps_K, width_S, value, odd, infinite, index_N, notes)


def _values(members: pa.Array, options: ReadOptions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, what is no number though not missing either, what is infinite; each (M,)."""
    if pa.types.is_floating(members.type) and not pa.types.is_float16(members.type):
        value = np.asarray(members.fill_null(np.nan) if members.null_count else members)
        infinite = np.isinf(value)
        value = np.where(infinite, np.nan, value).astype(value.dtype) if infinite.any() else value
        return value, np.zeros(len(value), bool), infinite
    cells = read_numbers(members, options)
    unread = np.isnan(cells.value_N)
    if not unread.any():
        return cells.value_N, unread, unread
    array = flat(members)
    given = unread & np.asarray(array.is_valid())
    if is_text(array.type):
        trimmed = trim(array.fill_null(""))
        given &= ~marks_missing(trimmed, options)
        infinite = given & np.asarray(pc.match_substring_regex(pc.utf8_lower(trimmed), r"^[+-]?inf(inity)?$"))
    else:
        infinite = np.zeros(len(given), bool)
    return cells.value_N, given & ~infinite, infinite


def _widths(lists: _Lists) -> tuple[np.ndarray, np.ndarray]:
    """Fewest and most values of a list's steps, (K,) each; steps that are null do not count. 0 without any."""
    start_K1 = starts_of(np.maximum(lists.steps_K, 0))
    if not len(lists.width_S):
        return np.zeros(len(lists.steps_K), np.int64), np.zeros(len(lists.steps_K), np.int64)
    most = int(lists.width_S.max()) + 1
    filled_K = lists.steps_K > 0
    start = start_K1[:-1][filled_K]
    low_K, high_K = np.zeros(len(lists.steps_K), np.int64), np.zeros(len(lists.steps_K), np.int64)
    if len(start):
        low_K[filled_K] = np.minimum.reduceat(np.where(lists.width_S < 0, most, lists.width_S), start)
        high_K[filled_K] = np.maximum.reduceat(np.maximum(lists.width_S, 0), start)
    return low_K, high_K


def _any(mark_M: np.ndarray, start_K1: np.ndarray) -> np.ndarray:
    """Whether any value of each list is marked, (K,) bool."""
    total = np.concatenate([[0], np.cumsum(mark_M)])
    return np.asarray(total[start_K1[1:]] > total[start_K1[:-1]])


def _rows(lists: _Lists, keep_K: np.ndarray, channels: int) -> Ragged:
    """The lists that are kept, (S, C) each, given to the rows that hold them."""
    whole = keep_K.all() and (lists.width_S == channels).all()
    if whole:
        value_SC, steps_K = lists.value_M.reshape(-1, channels), lists.steps_K
    else:
        steps_K = np.where(keep_K, lists.steps_K, 0)
        kept_S = np.repeat(keep_K, np.maximum(lists.steps_K, 0))
        value_SC = np.full((int(kept_S.sum()), channels), np.nan, lists.value_M.dtype)
        given_S = lists.width_S[kept_S] > 0
        kept_M = np.repeat(kept_S, np.maximum(lists.width_S, 0))
        value_SC[given_S] = lists.value_M[kept_M].reshape(-1, channels)
    distinct = Ragged(value_SC, starts_of(steps_K))
    if len(lists.index_N) == len(steps_K) and bool((lists.index_N == np.arange(len(steps_K))).all()):
        return distinct
    none = Ragged(value_SC, np.append(distinct.start_N1, distinct.start_N1[-1]))  # a last list without steps
    return none.take(lists.index_N)


def _lengths(lists: pa.Array) -> np.ndarray:
    """Members of each list, -1 for null, int64."""
    return np.asarray(pc.list_value_length(lists).fill_null(-1)).astype(np.int64)
