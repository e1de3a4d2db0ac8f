"""Numbers from texts and typed cells, whichever way they are written.

Read are: points and commas as decimal signs, even mixed in one column; groups of three digits (``1,234.50``,
``1.234,50``, ``1 234``, ``1'234``); ``1e-3``, ``+5``; a percent sign, which is dropped. ``1,234`` and ``1.234`` alone
can mean two things, so a column decides them together: see :func:`number_style`.

Shape suffixes:
    N  rows    K  distinct texts
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import NumberCells, ReadOptions
from trueweight.data.parse_texts import Texts, flat, gather, is_text, read_texts

__all__ = ["NumberStyle", "number_style", "parse_numbers", "read_numbers"]

EXACT = 2.0**53
"""Whole numbers beyond this are rounded by float64."""

_POWER = r"([eE][+-]?\d+)?$"
_PLAIN = r"^[+-]?(\d+\.?\d*|\.\d+)" + _POWER
_COMMA_DECIMAL = r"^[+-]?(\d*,\d+|\d+,)" + _POWER
_COMMA_UNCLEAR = r"^[+-]?[1-9]\d{0,2},\d{3}$"
_COMMA_GROUPS = r"^[+-]?\d{1,3}((,\d{3})+\.\d*|(,\d{3}){2,})$"
_POINT_GROUPS = r"^[+-]?\d{1,3}((\.\d{3})+,\d*|(\.\d{3}){2,})$"
_POINT_UNCLEAR = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
_GAPS = " \u00a0\u202f\u2009'’"
"""Signs between groups of three digits that have no other meaning."""
_GAP_GROUPS = rf"^[+-]?\d{{1,3}}([{_GAPS}]\d{{3}})+([.,]\d*)?$"


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How the cells that could mean two things are read. None: nothing in the column says so."""

    decimal_comma: bool | None = None
    """Whether ``1,234`` is a little more than one."""
    thousands_point: bool | None = None
    """Whether ``1.234`` is more than a thousand."""


_WITHOUT_SIGN, _NORMAL = np.uint64(2**63 - 1), np.uint64(2**52)
"""Of a float64's bits: all but the sign, and those of the smallest number that is written in full."""


def read_numbers(
    raw: pa.ChunkedArray | pa.Array,
    options: ReadOptions,
    style: NumberStyle = NumberStyle(),  # frozen
) -> NumberCells:
    """Interpret cells as numbers.

    Notes: "decimal comma", "thousands separators", "percent sign", "spaces trimmed", "not a number", "infinite",
    "above 2^53".

    Args:
        raw: Cells of any type.
        options: Missing markers, and whether commas are decimal everywhere.
        style: What the column says about commas and points; wins over ``options``.
    """
    array = flat(raw)
    if not is_text(array.type):
        return _typed(array)
    # Where 1.234 is a thousand, what looks plain is not.
    values = None if style.thousands_point else _clean_texts(array, options)
    if values is not None:
        return _checked(values, np.zeros(len(array), bool), {}, array)
    texts = read_texts(array, options)
    values_K, notes = parse_numbers(texts, options, style)
    return _checked(gather(values_K, texts.index_N, np.nan), _infinite_rows(values_K, texts), notes, None)


def too_small(values_N: np.ndarray) -> bool:
    """Whether all numbers are zero or so near to it (below 2.2e-308) that a processor may take them for zero."""
    bits_N = np.ascontiguousarray(values_N, np.float64).view(np.uint64) & _WITHOUT_SIGN
    return bool(((bits_N > 0) & (bits_N < _NORMAL)).any() and (bits_N < _NORMAL).all())


def _clean_texts(array: pa.Array, options: ReadOptions) -> np.ndarray | None:
    """The fast way, for columns of plain numbers and bare missing markers; None if there is anything else."""
    markers = [*options.missing_values, ""]
    # A failing cast words an error for each bad cell, which is slow: some rows from everywhere are asked first.
    some = array.take(pa.array(np.linspace(0, len(array) - 1, min(len(array), 512)).astype(np.int64)))
    if not any(_is_plain(marker) for marker in markers) and _cast(some) is not None:
        values = _cast(array)
        if values is not None:
            return values
    return None if _cast(_without(markers, some)) is None else _cast(_without(markers, array))


def _without(markers: list[str], array: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_in(array, value_set=pa.array(markers, array.type)), None, array)


def _cast(array: pa.Array) -> np.ndarray | None:
    try:
        return _floats(pc.cast(array, pa.float64()))
    except pa.ArrowInvalid:
        return None


def _is_plain(marker: str) -> bool:
    try:
        return bool(np.isfinite(float(marker)))
    except ValueError:
        return False


def _floats(array: pa.Array) -> np.ndarray:
    return np.asarray(array.to_numpy(zero_copy_only=False), np.float64)


def _typed(array: pa.Array) -> NumberCells:
    kind, count = array.type, len(array)
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        unread = count - array.null_count
        notes = {"not a number": unread} if unread else {}
        return NumberCells(missing_N=np.ones(count, bool), value_N=np.full(count, np.nan), notes=notes)
    values = _floats(array.cast(pa.float64(), safe=False))
    above = int((np.abs(values) >= EXACT).sum()) if pa.types.is_integer(kind) else 0
    return _checked(values, np.zeros(count, bool), {"above 2^53": above}, None)


def _checked(
    values_N: np.ndarray, infinite_N: np.ndarray, notes: dict[str, int], texts: pa.Array | None
) -> NumberCells:
    """Make infinities missing, and count what float64 cannot hold."""
    infinite_N = infinite_N | np.isinf(values_N)
    if infinite_N.any():
        values_N = np.where(infinite_N, np.nan, values_N)
        notes = notes | {"infinite": int(infinite_N.sum())}
    large_N = np.abs(values_N) >= EXACT
    if texts is not None and large_N.any():
        digits = pc.match_substring_regex(texts.filter(pa.array(large_N)), r"^[+-]?\d+$")
        notes = notes | {"above 2^53": int(pc.sum(digits).as_py() or 0)}
    kept = {kind: count for kind, count in notes.items() if count}
    return NumberCells(missing_N=np.isnan(values_N), value_N=values_N, notes=kept)


def _infinite_rows(values_K: np.ndarray, texts: Texts) -> np.ndarray:
    return gather(np.isinf(values_K), texts.index_N, False)


def number_style(texts: pa.Array, options: ReadOptions, asked: NumberStyle = NumberStyle()) -> NumberStyle:
    """What the column's own cells say about commas and points.

    Clear cells decide: ``7,11`` and ``1.234,50`` for a decimal comma, ``1,234.50`` and ``1,234,567`` against it,
    the more frequent kind if there are both. When all commas stand before exactly three digits, they part thousands.

    Args:
        texts: Distinct trimmed texts.
        options: ``decimal_comma`` set there stands.
        asked: What the user wrote about this column; stands too.
    """
    comma, point = asked.decimal_comma, asked.thousands_point
    if comma is None:
        comma = options.decimal_comma
    commas = texts.filter(pc.match_substring(texts, ","))
    if comma is None and len(commas):
        grouped = _matches(commas, _COMMA_GROUPS)
        pointed = _matches(commas, _POINT_GROUPS) | (
            _matches(commas, _COMMA_DECIMAL) & ~_matches(commas, _COMMA_UNCLEAR)
        )
        unclear = _matches(commas, _COMMA_UNCLEAR)
        if grouped.any() or pointed.any() or unclear.any():
            comma = int(pointed.sum()) > int(grouped.sum())
    if point is None and _has(texts, ".") and _matches(texts, _POINT_GROUPS).any():
        point = True
    return NumberStyle(comma, point)


def _matches(texts: pa.Array, pattern: str) -> np.ndarray:
    return np.asarray(pc.match_substring_regex(texts, pattern))


def parse_numbers(
    texts: Texts,
    options: ReadOptions,
    style: NumberStyle = NumberStyle(),  # frozen
) -> tuple[np.ndarray, dict[str, int]]:
    """Values of distinct texts, and counts of dirt.

    Returns:
        (K,) float64 with NaN where unreadable and infinities kept; notes in rows.
    """
    counts_K, notes = texts.row_counts(), dict(texts.notes)
    cleaned, values_K = _without_ornament(texts.texts, counts_K, notes), np.full(len(texts.texts), np.nan)
    plain_K = _matches(cleaned, _PLAIN)
    _put(values_K, np.flatnonzero(plain_K), cleaned.filter(pa.array(plain_K)))
    rest = np.flatnonzero(~plain_K)
    if len(rest) or style.thousands_point:
        settled = number_style(cleaned, options, style)
        values = np.full(len(rest), np.nan)
        _marked(cleaned.take(pa.array(rest)), counts_K[rest], settled, values, notes)
        values_K[rest] = values
        if settled.thousands_point:
            unclear = np.flatnonzero(_matches(cleaned, _POINT_UNCLEAR))
            _put(values_K, unclear, pc.replace_substring(cleaned.take(pa.array(unclear)), ".", ""))
            _count(notes, "thousands separators", counts_K[unclear])
    whole_K = np.isfinite(values_K) & (np.abs(values_K) >= EXACT)
    if whole_K.any():
        _count(notes, "above 2^53", counts_K[whole_K & _matches(cleaned, r"^[+-]?\d+$")])
    return values_K, {kind: count for kind, count in notes.items() if count}


def _count(notes: dict[str, int], kind: str, counts: np.ndarray) -> None:
    notes[kind] = notes.get(kind, 0) + int(counts.sum())


def _put(values_K: np.ndarray, places: np.ndarray, texts: pa.Array) -> None:
    """Convert texts, which must be plain numbers, into their places."""
    if len(places):
        values_K[places] = _floats(pc.cast(texts, pa.float64()))


def _without_ornament(texts: pa.Array, counts_K: np.ndarray, notes: dict[str, int]) -> pa.Array:
    """Without percent signs and gaps between groups of digits, and with a plain minus sign."""
    if _has(texts, "\u2212"):
        texts = pc.replace_substring(texts, "\u2212", "-")
    if _has(texts, "%"):
        _count(notes, "percent sign", counts_K[_matches(texts, r"\d\s*%$")])
        texts = pc.replace_substring_regex(texts, r"(\d)\s*%$", r"\1")
    if any(_has(texts, gap) for gap in _GAPS):
        gaps_K = _matches(texts, _GAP_GROUPS)
        _count(notes, "thousands separators", counts_K[gaps_K])
        texts = pc.if_else(pa.array(gaps_K), pc.replace_substring_regex(texts, f"[{_GAPS}]", ""), texts)
    return texts


def _has(texts: pa.Array, part: str) -> bool:
    return bool(pc.any(pc.match_substring(texts, part)).as_py())


def _marked(texts: pa.Array, counts: np.ndarray, style: NumberStyle, values: np.ndarray, notes: dict[str, int]) -> None:
    """Read what is no plain number: decimal commas and groups of digits in the column's style, infinities."""
    comma, point = _matches(texts, _COMMA_GROUPS), _matches(texts, _POINT_GROUPS)
    unclear, decimal = _matches(texts, _COMMA_UNCLEAR), _matches(texts, _COMMA_DECIMAL)
    if style.decimal_comma is not True:
        comma, decimal = comma | unclear, decimal & ~unclear
    if style.decimal_comma is False:
        decimal = np.zeros_like(decimal)
    infinite = _matches(texts, r"(?i)^[+-]?inf(inity)?$")
    values[infinite] = np.inf
    for chosen, dropped in ((point, "."), (comma, ","), (decimal, "")):
        some = texts.filter(pa.array(chosen))
        bare = pc.replace_substring(some, dropped, "") if dropped else some
        _put(values, np.flatnonzero(chosen), pc.replace_substring(bare, ",", "."))
    _count(notes, "decimal comma", counts[decimal | (point & _matches(texts, ","))])
    _count(notes, "thousands separators", counts[point | comma])
    _count(notes, "not a number", counts[~(point | comma | decimal | infinite | _matches(texts, r"(?i)^[+-]?nan$"))])
