"""What a column's cells decide about how they are read, settled once on the whole column."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from trueweight.data.cells import ReadOptions
from trueweight.data.parse_dates import day_comes_first, read_dates
from trueweight.data.parse_lists import find_separator, read_vectors
from trueweight.data.parse_numbers import number_style
from trueweight.data.parse_series import is_list, number_of_channels
from trueweight.data.parse_texts import flat, is_text, read_texts
from trueweight.spec.base import PartSpec

__all__ = ["settle", "style_fields"]


def settle(part: PartSpec, raw: pa.ChunkedArray, options: ReadOptions) -> PartSpec:
    """The same part with everything decided that its column's cells decide, so that later tables are read alike.

    Otherwise a single row to predict would have to decide for itself whether ``1,234`` is a thousand. Parts without
    such fields come back as they are.
    """
    decide = _DECISIONS.get(part.type)
    if decide is None:
        return part
    asked = part.model_dump()
    found = {key: value for key, value in decide(raw, options).items() if key in asked and asked[key] is None}
    return part.model_copy(update=found) if found else part


def _settle_number(raw: pa.ChunkedArray, options: ReadOptions) -> dict[str, Any]:
    array = flat(raw)
    return style_fields(read_texts(array, options).texts, options) if is_text(array.type) else {}


def _settle_date(raw: pa.ChunkedArray, options: ReadOptions) -> dict[str, Any]:
    array = flat(raw)
    decided = day_comes_first(read_texts(array, options).texts) if is_text(array.type) else None
    if decided is None and "day first assumed" in read_dates(array, options).notes:
        decided = True  # as these very cells are read
    return {} if decided is None else {"day_first": decided}


def _settle_set(raw: pa.ChunkedArray, options: ReadOptions) -> dict[str, Any]:
    array = flat(raw)
    separator = find_separator(read_texts(array, options).texts) if is_text(array.type) else None
    return {"separator": separator} if separator else {}


def _settle_vector(raw: pa.ChunkedArray, options: ReadOptions) -> dict[str, Any]:
    width = read_vectors(raw, options).value_ND.shape[1]
    return {"width": width} if width else {}


def _settle_series(raw: pa.ChunkedArray, options: ReadOptions) -> dict[str, Any]:
    array = flat(raw)
    channels = number_of_channels(array, options)
    found: dict[str, Any] = {"channels": channels} if channels else {}
    members = array
    while is_list(members.type):
        members = members.flatten()
    if members is not array and is_text(members.type):
        style = number_style(read_texts(members, options).texts, options)
        found["decimal_comma"] = bool(style.decimal_comma)
    return found


def style_fields(texts: pa.Array, options: ReadOptions) -> dict[str, Any]:
    """How numbers are written in these texts, where the texts decide it."""
    style = number_style(texts, options)
    found = {"decimal_comma": style.decimal_comma, "thousands_point": style.thousands_point}
    if options.decimal_comma is not None:
        del found["decimal_comma"]  # said once, for all columns
    return {key: value for key, value in found.items() if value is not None}


_Decide = Callable[[pa.ChunkedArray, ReadOptions], dict[str, Any]]
_DECISIONS: dict[str, _Decide] = {
    "number": _settle_number,
    "date": _settle_date,
    "set": _settle_set,
    "vector": _settle_vector,
    "timeseries": _settle_series,
}
