"""Columns of one case's steps as the channels of one series, so that a model sees them together.

Shape suffixes:
    N  rows of all cases    K  cases    C  channels
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from trueweight.data.cells import ReadOptions
from trueweight.data.guess_lists import guess_steps
from trueweight.data.parse_texts import is_text

__all__ = ["JOINED", "as_lists", "as_one_series", "joinable"]

JOINED = "series"
"""The column that they become; ``.ts`` files call it so too."""


def joinable(cells: Mapping[str, pa.Array], start_K1: np.ndarray, options: ReadOptions) -> list[str]:
    """Which columns can be channels of one series: those that hold one number a step, all typed or all as texts. None
    if there is only one.

    Args:
        cells: By column, in the order of cases and steps.
        start_K1: Where each case begins.
        options: How cells are read.
    """
    numeric = [name for name, kind in _kinds(cells, start_K1, options) if kind == ("timeseries", 1)]
    texts = [name for name in numeric if is_text(cells[name].type)]
    return numeric if len(numeric) > 1 and texts in ([], numeric) else []


def _kinds(
    cells: Mapping[str, pa.Array], start_K1: np.ndarray, options: ReadOptions
) -> Iterator[tuple[str, tuple[str, int]]]:
    for name, column in cells.items():
        kind, _, spec = guess_steps(as_lists(column, start_K1), options)
        yield name, (kind, spec.get("channels", 0))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def as_lists(cells: pa.Array, start_K1: np.ndarray) -> pa.Array:
    """A list for each case."""
    return pa.LargeListArray.from_arrays(start_K1, cells).cast(pa.list_(cells.type))


def as_one_series(cells: Sequence[pa.Array | None], start_K1: np.ndarray) -> pa.Array:
    """A list of steps for each case, each step a list of its channels; null where a channel is not
    there at all, or holds several values itself."""
    flat = [None if column is None or pa.types.is_nested(column.type) else column for column in cells]
    typed = all(column is None or _is_number(column.type) for column in flat)
    kind = pa.float64() if typed else pa.string()
    count, channels = int(start_K1[-1]), len(flat)
    whole = pa.concat_arrays([pa.nulls(count, kind) if column is None else column.cast(kind) for column in flat])
    place_NC = np.arange(count)[:, None] + count * np.arange(channels)
    steps = as_lists(whole.take(pa.array(place_NC.ravel())), np.arange(count + 1) * channels)
    return as_lists(steps, start_K1)
