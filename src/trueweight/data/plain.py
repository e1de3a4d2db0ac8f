"""The few things that are true of every table, wherever it came from: plain types, tidy names, a digest."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.errors import DataError

__all__ = ["content_digest", "named", "plain_types", "tidy_names"]


def tidy_names(names: Sequence[str], where: str) -> tuple[list[str], tuple[str, ...]]:
    """Column names trimmed, blank ones replaced by ``column_<place from 1>``; and notes that say so.

    Raises:
        DataError: Two columns have one name.
    """
    trimmed = [name.strip() for name in names]
    blank = [f"column_{place}" for place, name in enumerate(trimmed, 1) if not name]
    tidy = [name or f"column_{place}" for place, name in enumerate(trimmed, 1)]
    repeated = [name for name, count in Counter(tidy).items() if count > 1]
    if repeated:
        shown = ", ".join(map(repr, repeated[:5])) + (" and more" if len(repeated) > 5 else "")
        places = [place for place, name in enumerate(tidy, 1) if name == repeated[0]]
        problem = f"duplicate column names: {shown}"
        hint = f"columns {', '.join(map(str, places))} are all called {repeated[0]!r}: rename or remove all but one"
        raise DataError(problem, where=where, hint=hint)
    notes = []
    if blank:
        notes.append(f"columns without a name are called {', '.join(blank[:5])}" + (" …" if len(blank) > 5 else ""))
    if any(name != other for name, other in zip(names, trimmed, strict=True)):
        notes.append("spaces around column names were trimmed")
    return tidy, tuple(notes)


def named(data: pa.Table, where: str) -> tuple[pa.Table, tuple[str, ...]]:
    """A table with tidy names and without the index of a pandas frame, and notes that say so."""
    data, left_out = _without_index(data)
    names, notes = tidy_names(data.column_names, where)
    return data.rename_columns(names), (*left_out, *notes)


_UNNAMED = re.compile(r"__index_level_\d+__")


def _without_index(data: pa.Table) -> tuple[pa.Table, tuple[str, ...]]:
    """pandas writes an index without a name as a column: it numbers rows, and no model should learn from it.

    An index that has a name is a column that somebody chose, and stays.
    """
    try:
        listed = json.loads((data.schema.metadata or {}).get(b"pandas", b"{}"))["index_columns"]
        names = [n for n in listed if isinstance(n, str) and _UNNAMED.fullmatch(n) and n in data.column_names]
    except (ValueError, KeyError, TypeError):  # no such facts, or not as pandas writes them
        return data, ()
    if not names or len(names) == data.num_columns:
        return data, ()
    told = ", ".join(map(repr, names))
    return data.drop_columns(names), (f"{told} left out: the index of the pandas frame that was written",)


def plain_types(data: pa.Table) -> pa.Table:
    """The same rows in the few types that column types must know.

    Dictionaries are decoded; views and large strings, binaries and lists become ordinary ones; half floats
    become floats; extension types give way to what they store; a struct's fields become columns ``a.b``,
    except for media (a struct with a field ``bytes``), which stay whole.
    """
    data = _flattened(data)
    fields, columns = [], []
    for field, column in zip(data.schema, data.columns, strict=True):
        kind = _plain(field.type)
        columns.append(column if kind == field.type else _cast(column, kind))
        fields.append(pa.field(field.name, kind))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _flattened(data: pa.Table) -> pa.Table:
    while any(_opens(field.type) for field in data.schema):
        columns: list[pa.ChunkedArray] = []
        names: list[str] = []
        for field, column in zip(data.schema, data.columns, strict=True):
            inner = [f"{field.name}.{f.name}" for f in field.type.fields] if _opens(field.type) else [field.name]
            columns.extend(column.flatten() if _opens(field.type) else [column])
            names.extend(inner)
        data = pa.table(columns, names=names)
    return data


def _opens(kind: pa.DataType) -> bool:
    return bool(pa.types.is_struct(kind)) and kind.num_fields > 0 and kind.get_field_index("bytes") < 0


@lru_cache(256)
def _plain(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain(kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or _is_list_view(kind):
        return pa.list_(_plain(kind.value_type))
    return kind


def _is_list_view(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind))


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], type=column.type.storage_type)
    try:
        return column.cast(kind)
    except pa.ArrowInvalid:
        return column  # more than 2 GiB in one chunk: only the large types can hold it


def content_digest(data: pa.Table) -> str:
    """SHA-256 over names, types and cells, as ``sha256:<hex>``.

    Depends neither on how rows are cut into chunks, nor on slicing, nor on what lies beneath a null.
    """
    total = hashlib.sha256(f"{data.num_rows}".encode())
    for name, column in zip(data.column_names, data.columns, strict=True):
        total.update(repr((name, str(column.type))).encode())
        hashes = _Hashes()
        for chunk in column.chunks:
            hashes.add("", chunk)
        total.update(hashes.digest())
    return f"sha256:{total.hexdigest()}"


class _Hashes:
    """One running hash per buffer of a column, so that cutting into chunks makes no difference."""

    def __init__(self) -> None:
        self._by_path: dict[str, hashlib._Hash] = {}

    def _feed(self, path: str, array: np.ndarray) -> None:
        running = self._by_path.setdefault(path, hashlib.sha256())
        running.update(np.ascontiguousarray(array).view(np.uint8).data)

    def digest(self) -> bytes:
        return b"".join(path.encode() + self._by_path[path].digest() for path in sorted(self._by_path))

    def add(self, path: str, array: pa.Array) -> None:
        """Feed one chunk of a column, or of what is nested in it."""
        kind = array.type
        if isinstance(kind, pa.BaseExtensionType):
            return self.add(path, array.storage)
        self._feed(f"{path}/valid", array.is_valid().to_numpy(zero_copy_only=False))
        if pa.types.is_null(kind):
            return None
        if pa.types.is_struct(kind):
            for field, inner in zip(kind.fields, array.flatten(), strict=True):
                self.add(f"{path}/{field.name}", inner)
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
            lengths = pc.fill_null(pc.list_value_length(array), 0)
            self._feed(f"{path}/length", lengths.to_numpy(zero_copy_only=False).astype(np.int64))
            self.add(f"{path}/item", array.flatten())
        elif pa.types.is_boolean(kind):
            self._feed(f"{path}/value", pc.fill_null(array, False).to_numpy(zero_copy_only=False))
        elif pa.types.is_primitive(kind):
            self._feed(f"{path}/value", _numbers(array))
        else:
            self._texts(path, array)
        return None

    def _texts(self, path: str, array: pa.Array) -> None:
        if not (pa.types.is_string(array.type) or pa.types.is_binary(array.type)):
            array = _as_text(array)
        array = pc.fill_null(array, array.type.to_pandas_dtype()() if pa.types.is_binary(array.type) else "")
        _, offsets, content = array.buffers()
        start = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
        self._feed(f"{path}/length", np.diff(start).astype(np.int64))
        if content is not None and len(array):
            self._feed(f"{path}/value", np.frombuffer(content, np.uint8)[start[0] : start[-1]])


def _numbers(array: pa.Array) -> np.ndarray:
    """Values of a fixed-width array as raw bytes, zero beneath nulls."""
    width = array.type.bit_width // 8
    raw = array.buffers()[1]
    if raw is None or not len(array):
        return np.zeros(0, np.uint8)
    values = np.frombuffer(raw, np.uint8)[array.offset * width : (array.offset + len(array)) * width]
    if array.null_count == 0:
        return values
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    return np.where(valid[:, None], values.reshape(len(array), width), 0).astype(np.uint8)


def _as_text(array: pa.Array) -> pa.Array:
    try:
        return array.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([None if value is None else repr(value) for value in array.to_pylist()], pa.string())
