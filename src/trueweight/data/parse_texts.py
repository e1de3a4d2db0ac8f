"""Raw cells as trimmed texts, each distinct text handled once: the first step of reading any column.

Shape suffixes:
    N  rows    K  distinct texts
"""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import LevelCells, ReadOptions

__all__ = ["Texts", "flat", "gather", "is_text", "marks_missing", "read_levels", "read_texts", "trim"]

_INVISIBLE = "\ufeff\u200b\u200e\u200f"
"""Marks without width that spreadsheets leave behind; Unicode does not count them as spaces."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of N cells over K distinct trimmed texts, in order of first appearance."""

    index_N: np.ndarray
    """int32 index into ``texts``, -1 where missing."""
    texts: pa.Array
    """(K,) string, no nulls, no repeats, no missing markers."""
    notes: dict[str, int] = field(default_factory=dict)

    def row_counts(self) -> np.ndarray:
        """How often each text occurs, (K,) int64."""
        return np.bincount(self.index_N[self.index_N >= 0], minlength=len(self.texts)).astype(np.int64)


def flat(raw: pa.ChunkedArray | pa.Array) -> pa.Array:
    """One plain array: chunks joined; dictionaries, views, extensions and half floats resolved."""
    chunks = raw.chunks if isinstance(raw, pa.ChunkedArray) else [raw]
    plain = [_plain(chunk) for chunk in chunks]
    if not plain:
        return _plain(pa.array([], raw.type))
    if len(plain) == 1:
        return plain[0]
    if pa.types.is_string(plain[0].type) and sum(chunk.nbytes for chunk in plain) >= 2**31:
        plain = [chunk.cast(pa.large_string()) for chunk in plain]  # offsets of 32 bits would overflow
    return pa.concat_arrays(plain)


def _plain(array: pa.Array) -> pa.Array:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(array.storage)
    if pa.types.is_dictionary(kind):
        return _plain(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return _plain(pc.run_end_decode(array))
    if kind == pa.string_view():
        return array.cast(pa.large_string())
    if pa.types.is_float16(kind):
        return array.cast(pa.float32())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or kind == pa.binary_view():
        return _decoded(array)
    return array


def _decoded(array: pa.Array) -> pa.Array:
    """Bytes as text; columns with bytes that are no UTF-8 stay bytes, which nobody here can read."""
    try:
        return array.cast(pa.large_binary()).cast(pa.large_string())
    except pa.ArrowInvalid:
        return array


def is_text(kind: pa.DataType) -> bool:
    """Whether a :func:`flat` array of this type holds texts."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def trim(texts: pa.Array) -> pa.Array:
    """Without spaces at both ends: all that Unicode calls spaces, no-break ones included, and invisible marks."""
    return pc.utf8_trim_whitespace(pc.utf8_trim(pc.utf8_trim_whitespace(texts), characters=_INVISIBLE))


def marks_missing(texts: pa.Array, options: ReadOptions) -> np.ndarray:
    """Which trimmed texts mean "no value", bool. The empty text always does."""
    markers = pa.array([*options.missing_values, ""], texts.type)
    return np.asarray(pc.is_in(texts, value_set=markers))


def read_texts(raw: pa.ChunkedArray | pa.Array, options: ReadOptions) -> Texts:
    """Cells as texts. Typed numbers are written as people do (3, 2.5), yes-no values "true" and "false"."""
    array = flat(raw)
    if len(array) == 0 or pa.types.is_null(array.type):
        return Texts(np.full(len(array), -1, np.int32), pa.array([], pa.string()))
    try:
        coded = array.dictionary_encode()
        spelled = _spelled(coded.dictionary)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        count = len(array) - array.null_count
        notes = {"not a text": count} if count else {}
        return Texts(np.full(len(array), -1, np.int32), pa.array([], pa.string()), notes)
    index_N = np.asarray(coded.indices.fill_null(-1)).astype(np.int32, copy=False)
    return _merged(index_N, spelled, options)


def _merged(index_N: np.ndarray, spelled: pa.Array, options: ReadOptions) -> Texts:
    """Trim distinct texts, drop missing markers, and join texts that became equal."""
    trimmed = trim(spelled)
    changed = np.asarray(pc.not_equal(trimmed, spelled).fill_null(False))
    missing = marks_missing(trimmed, options) | np.asarray(pc.is_null(trimmed))
    notes = {}
    if changed.any():
        counts = np.bincount(index_N[index_N >= 0], minlength=len(spelled))
        # A cell of spaces alone is a missing value, not a value with stray spaces.
        notes = {"spaces trimmed": int(counts[changed & ~missing].sum())}
    if not changed.any() and not missing.any():
        return Texts(index_N, trimmed, notes)
    again = pc.if_else(pa.array(missing), None, trimmed).dictionary_encode()
    new_K = np.asarray(again.indices.fill_null(-1)).astype(np.int32)
    return Texts(gather(new_K, index_N, -1), again.dictionary, {k: v for k, v in notes.items() if v})


def gather(values_K: np.ndarray, index_N: np.ndarray, otherwise: object) -> np.ndarray:
    """``values_K[index_N]``, with ``otherwise`` where the index is -1."""
    extended = np.append(values_K, np.asarray([otherwise], values_K.dtype))
    return np.asarray(extended[index_N])


def _spelled(values: pa.Array) -> pa.Array:
    """Distinct typed values as strings; null where a value has no spelling (NaN, infinity)."""
    kind = values.type
    if is_text(kind):
        return values.cast(pa.string()) if values.nbytes < 2**31 else values
    if pa.types.is_floating(kind):
        finite = pc.is_finite(values)
        whole = pc.and_(pc.equal(values, pc.round(values)), pc.less(pc.abs(values), 2.0**53))
        integers = pc.if_else(pc.and_(finite, whole), values, 0).cast(pa.int64()).cast(pa.string())
        return pc.if_else(finite, pc.if_else(whole, integers, values.cast(pa.string())), None)
    if pa.types.is_decimal(kind):
        texts = values.cast(pa.string())
        return pc.replace_substring_regex(texts, r"^([^.]*)\.0+$", r"\1")
    return values.cast(pa.string())


def read_levels(raw: pa.ChunkedArray | pa.Array, options: ReadOptions) -> LevelCells:
    """Cells as distinct trimmed texts: what categories, yes-no values and identifiers are made of."""
    texts = read_texts(raw, options)
    return LevelCells(
        missing_N=texts.index_N < 0, notes=texts.notes, code_N=texts.index_N, levels=tuple(texts.texts.to_pylist())
    )
