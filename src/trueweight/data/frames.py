"""Frames in memory: pandas, Polars, Arrow, Hugging Face datasets, NumPy and plain Python, in and out.

No library is imported to find out whether a frame is its own: a frame's class says where it comes from.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import pyarrow as pa

from trueweight.data.plain import content_digest, named, plain_types
from trueweight.data.table import Provenance, Table
from trueweight.errors import DataError

__all__ = ["arrow_array", "from_frame", "like_frame"]


@runtime_checkable
class _ArrowStream(Protocol):
    """The Arrow PyCapsule interface for tables."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


@runtime_checkable
class _ArrowBatch(Protocol):
    """The Arrow PyCapsule interface for one batch."""

    def __arrow_c_array__(self, requested_schema: object = None) -> object: ...


@runtime_checkable
class _ArrayLike(Protocol):
    """What NumPy can view, e.g. a tensor."""

    def __array__(self) -> np.ndarray: ...


def from_frame(obj: object) -> Table:
    """A table from anything that holds rows in memory.

    Args:
        obj: pandas or Polars frames and series; Arrow tables, batches and readers; a Hugging Face dataset; any
            object with ``__arrow_c_stream__``; a mapping of names to columns; a list of dicts; a NumPy array of
            shape (N, D) (columns ``x0``, ``x1``, …), (N,), or with named fields.

    Returns:
        Columns with their types, made plain (see :func:`~trueweight.data.plain.plain_types`); NaN is null. A pandas
        index is not read: make a column of it with ``reset_index`` where it matters.

    Raises:
        DataError: The object holds no rows that we can read, repeats a column name, or its columns differ in length.
    """
    if isinstance(obj, Table):
        return obj
    data = _arrow(obj)
    if not data.num_columns:
        raise DataError(f"the frame has no columns ({len(data)} rows)", hint="give a frame with at least one column")
    data, notes = named(data, "the frame")
    data = plain_types(data)
    return Table(data, Provenance(digest=content_digest(data), format="frame", notes=notes))


def _home(obj: object) -> str:
    return type(obj).__module__.split(".")[0]


def _arrow(obj: object) -> pa.Table:
    if isinstance(obj, pa.Table):
        return obj
    if isinstance(obj, pa.RecordBatch):
        return pa.Table.from_batches([obj])
    if isinstance(obj, pa.RecordBatchReader):
        return obj.read_all()
    if reader := _BY_HOME.get(_home(obj)):
        return reader(obj)
    if isinstance(obj, _ArrowStream):
        return pa.RecordBatchReader.from_stream(obj).read_all()
    if isinstance(obj, _ArrowBatch):
        return pa.Table.from_batches([pa.record_batch(obj)])
    if isinstance(obj, Mapping):
        return _columns([str(name) for name in obj], list(obj.values()))
    if isinstance(obj, np.ndarray):
        return _numpy(obj)
    if isinstance(obj, Sequence) and not isinstance(obj, str | bytes):
        return _rows(obj)
    if isinstance(obj, _ArrayLike):
        return _numpy(np.asarray(obj))
    raise _unreadable(obj)


def _unreadable(obj: object) -> DataError:
    hint = "give a file name, a pandas or Polars frame, an Arrow table, a dict of columns, or a NumPy array"
    kind = type(obj)
    return DataError(f"no rows can be read from a {kind.__module__}.{kind.__qualname__}", hint=hint)


def _pandas(obj: Any) -> pa.Table:
    if type(obj).__name__ == "Series":
        obj = obj.to_frame(obj.name if obj.name is not None else "x0")
    if type(obj).__name__ != "DataFrame":
        raise _unreadable(obj)
    pa.nulls(0).to_pandas()  # Arrow may have been kept from pandas (see cli.machine): now it looks for it again
    arrays = [_pandas_column(obj.iloc[:, place]) for place in range(obj.shape[1])]
    return pa.Table.from_arrays(arrays, names=[str(name) for name in obj.columns])


def _pandas_column(series: Any) -> pa.Array:
    if series.dtype == object and any(isinstance(value, set | frozenset) for value in series):
        return _from_list(series.where(series.notna(), None).tolist())
    try:
        array = pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _mixed(series.astype(object).where(series.notna(), None).tolist())
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if isinstance(array.type, pa.BaseExtensionType):  # periods and intervals: what is stored means little
        return pa.array([None if missing else str(value) for value, missing in zip(series, series.isna(), strict=True)])
    return array


def _polars(obj: Any) -> pa.Table:
    kind = type(obj).__name__
    if kind == "LazyFrame":
        obj = obj.collect()
    elif kind == "Series":
        obj = obj.to_frame()
    elif kind != "DataFrame":
        raise _unreadable(obj)
    odd = [name for name, dtype in obj.schema.items() if str(dtype) == "Object"]
    if odd:
        held = {name: _mixed(obj[name].to_list()) if name in odd else obj[name].to_arrow() for name in obj.columns}
        return pa.table(held)
    return obj.to_arrow()


def _datasets(obj: Any) -> pa.Table:
    if type(obj).__name__ != "Dataset":
        names = ", ".join(map(repr, obj)) if isinstance(obj, Mapping) else ""
        hint = f"choose one of its splits: {names}" if names else "give a datasets.Dataset"
        raise DataError(f"no rows can be read from a {type(obj).__name__}", hint=hint)
    # Not `.data`: that has the rows before they were selected and shuffled.
    return obj.with_format("arrow")[:]


def _scipy(obj: Any) -> pa.Table:
    raise DataError(f"sparse matrices ({type(obj).__name__}) are not read", hint="pass matrix.toarray()")


_BY_HOME: dict[str, Callable[[Any], pa.Table]] = {
    "pandas": _pandas,
    "polars": _polars,
    "datasets": _datasets,
    "scipy": _scipy,
}


def _rows(rows: Sequence[Any]) -> pa.Table:
    """A list of dicts, or of equally long lists of numbers or texts."""
    if all(isinstance(row, Mapping) for row in rows):
        names = list(dict.fromkeys(str(name) for row in rows for name in row))
        return pa.table({name: arrow_array([row.get(name) for row in rows]) for name in names})
    if len({len(row) if isinstance(row, Sequence) and not isinstance(row, str) else -1 for row in rows}) > 1:
        raise DataError("the rows of the list differ in length", hint="give a dict of columns, or dicts as rows")
    return _numpy(np.array(rows, dtype=object) if _mixes(rows) else np.asarray(rows))


def _mixes(rows: Sequence[Any]) -> bool:
    return len({isinstance(cell, str) for row in rows if isinstance(row, Sequence) for cell in row}) > 1


def _numpy(array: np.ndarray) -> pa.Table:
    if array.dtype.names is not None and array.ndim == 1:
        return _columns(list(array.dtype.names), [array[name] for name in array.dtype.names])
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2:
        hint = "reshape it to (rows, columns), or give a dict of arrays"
        raise DataError(f"an array of shape {array.shape} is no table", hint=hint)
    return _columns([f"x{place}" for place in range(array.shape[1])], list(array.T))


def _columns(names: list[str], columns: Sequence[object]) -> pa.Table:
    arrays = [arrow_array(values) for values in columns]
    other = next((place for place, array in enumerate(arrays) if len(array) != len(arrays[0])), None)
    if other is not None:
        facts = f"{names[0]!r} has {len(arrays[0])} rows, {names[other]!r} has {len(arrays[other])}"
        hint = "every column needs one value a row; use None or NaN for missing ones"
        raise DataError(f"columns differ in length: {facts}", hint=hint)
    return pa.Table.from_arrays(arrays, names=names)


def arrow_array(values: object) -> pa.Array:
    """A column from an array or a list: NaN and None become null, and values of mixed types become texts.

    Args:
        values: (N,), or (N, D) for one list of D values a row; sets become sorted lists.

    Raises:
        DataError: Complex numbers, or more than two axes.
    """
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    if isinstance(values, pa.Array):
        return values
    if _home(values) in ("pandas", "polars"):
        table = _arrow(values)
        return table.column(0).combine_chunks()
    if isinstance(values, str | bytes | int | float):
        raise DataError(f"{values!r} is no column", hint="give one value a row, e.g. a list")
    if isinstance(values, np.ma.MaskedArray) and values.ndim == 1:
        return pa.array(np.ma.getdata(values), mask=np.ma.getmaskarray(values), from_pandas=True)
    if isinstance(values, np.ndarray) or (isinstance(values, _ArrayLike) and not isinstance(values, Sequence)):
        return _from_array(np.asarray(values))
    return _from_list(list(cast(Sequence[Any], values)))


def _from_array(array: np.ndarray) -> pa.Array:
    if array.dtype.kind == "c":
        raise DataError("complex numbers are not read", hint="split them into two columns, real and imaginary")
    if array.ndim > 2 or array.ndim == 0:
        raise DataError(f"a column of shape {array.shape} is not read", hint="a column is (rows,) or (rows, width)")
    if array.ndim == 2:
        flat = _from_array(np.ascontiguousarray(array).reshape(-1))
        if not array.shape[1]:
            return pa.array([[] for _ in range(len(array))], pa.list_(flat.type))
        return pa.FixedSizeListArray.from_arrays(flat, array.shape[1])
    if array.dtype.kind in "OUSV":
        return _from_list(array.tolist())
    if array.dtype.kind in "mM" and np.datetime_data(array.dtype)[0] not in ("s", "ms", "us", "ns", "D"):
        array = array.astype(f"{array.dtype.kind}8[s]")
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float32 if array.dtype.itemsize < 4 else np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return pa.array(array, from_pandas=True)


def _from_list(values: list[Any]) -> pa.Array:
    if any(isinstance(value, set | frozenset) for value in values):
        return _mixed(values)  # Arrow would keep a set in an order that changes from run to run
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _mixed(values)


_NUMBERS = {int, float, np.float64, np.float32, np.int64, np.int32}


def _mixed(values: Sequence[Any]) -> pa.Array:
    """Values that no single Arrow type can hold: lists if all are collections, numbers if all are, else texts."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, set | frozenset | tuple | list | np.ndarray) for value in known):
        lists = [None if value is None else _listed(value) for value in values]
        try:
            return pa.array(lists)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return pa.array([None if items is None else [_text(item) for item in items] for items in lists])
    kinds = {type(value) for value in known}
    if kinds and kinds <= _NUMBERS and kinds & {float, np.float64, np.float32}:  # Python's and NumPy's together
        return pa.array([None if value is None else _float(value) for value in values], from_pandas=True)
    return pa.array([None if _absent(value) else _text(value) for value in values], pa.string())


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond all floats, as its digits are read: infinite
        return math.inf if value > 0 else -math.inf


def _listed(value: Any) -> list[Any]:
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return value.tolist() if isinstance(value, np.ndarray) else list(value)


def _absent(value: Any) -> bool:
    # pandas' own markers, without importing it.
    return (
        value is None
        or type(value).__name__ in ("NAType", "NaTType")
        or (isinstance(value, float | np.floating | Decimal) and math.isnan(value))
    )


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    # Halves of surrogate pairs, as cut-off emoji leave them, are no text that could be written anywhere.
    return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def like_frame(columns: Mapping[str, np.ndarray], like: object) -> object:
    """Columns as the kind of frame that ``like`` is.

    pandas gives pandas with the same index, Polars gives Polars, Arrow gives Arrow, a Hugging Face dataset gives
    one; a list of dicts gives one. All else (dicts, NumPy, file names) gives a dict of arrays.

    Args:
        columns: Names to (N,) or (N, D) arrays; D values become a list in one cell.
        like: What :func:`from_frame` was given, N rows.
    """
    home = _home(like)
    if home == "pandas":
        import pandas as pd

        cells = {name: values if values.ndim == 1 else list(values) for name, values in columns.items()}
        return pd.DataFrame(cells, index=like.index)  # type: ignore[attr-defined]  # both frames and series have it
    if home not in ("polars", "pyarrow", "datasets") and not isinstance(like, _ArrowStream | list):
        return dict(columns)
    table = pa.table({name: arrow_array(values) for name, values in columns.items()})
    if home == "polars":
        import polars as pl

        frame = cast(pl.DataFrame, pl.from_arrow(table))
        return frame.lazy() if type(like).__name__ == "LazyFrame" else frame
    if home == "datasets":
        return type(like).from_dict(table.to_pydict())  # type: ignore[attr-defined]  # of datasets.Dataset
    if isinstance(like, list):
        return table.to_pylist() if like and isinstance(like[0], Mapping) else dict(columns)
    if isinstance(like, pa.RecordBatch):
        return table.combine_chunks().to_batches()[0] if len(table) else pa.RecordBatch.from_pylist([], table.schema)
    return table
