"""Vectors and sets: lists of typed sources, and texts that hold several things.

Shape suffixes:
    N  rows    D  width of a vector    M  members of all rows together    K  distinct texts
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import ReadOptions, SetCells, VectorCells
from trueweight.data.parse_numbers import read_numbers
from trueweight.data.parse_texts import Texts, flat, gather, is_text, read_texts, trim

__all__ = ["SEPARATORS", "find_separator", "read_sets", "read_vectors"]

SEPARATORS = ("|", ";", ",")
"""Between the members of a set, the least likely to mean something else first."""

_BREAK = "\x1f"
"""ASCII's own sign between units: no cell has it."""
_LISTED = r"^\s*\[(?s:.*)\]\s*$"


def read_vectors(raw: pa.ChunkedArray | pa.Array, options: ReadOptions, *, width: int | None = None) -> VectorCells:
    """Interpret cells as lists of numbers: typed lists, or texts like ``[1, 2.5]``, ``1 2.5`` and ``1;2.5``.

    Notes: "wrong length", "not a vector" (rows of which some piece is no number), "spaces trimmed".

    Args:
        raw: Cells of any type.
        options: Missing markers.
        width: D; None takes the most frequent length.
    """
    array = flat(raw)
    if _is_list(array.type):
        return _vectors(_lengths(array), array.flatten(), width, np.arange(len(array)), {})
    if not is_text(array.type):
        numbers = read_numbers(array, options)
        lengths = np.where(numbers.missing_N, -1, 1)
        given = pa.array(numbers.value_N[~numbers.missing_N])
        unread = {"not a vector": numbers.notes["not a number"]} if "not a number" in numbers.notes else {}
        return _vectors(lengths, given, width, np.arange(len(array)), unread)
    texts = read_texts(array, options)
    bare = trim(pc.replace_substring_regex(texts.texts, r"[\[\](){},;\s]+", " "))
    pieces = pc.split_pattern(bare, " ")
    return _vectors(_lengths(pieces), pieces.flatten(), width, texts.index_N, dict(texts.notes))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _lengths(lists: pa.Array) -> np.ndarray:
    """Members of each list, -1 for null, int64."""
    return np.asarray(pc.list_value_length(lists).fill_null(-1)).astype(np.int64)


def _vectors(
    lengths_K: np.ndarray, members: pa.Array, width: int | None, index_N: np.ndarray, notes: dict[str, int]
) -> VectorCells:
    """Vectors of the lists that have the right length and numbers only.

    Args:
        lengths_K: Members of each distinct list, -1 where missing.
        members: Of all lists, joined.
        width: D, or None.
        index_N: Which list each row holds, -1 for none.
        notes: Counts so far, in rows.
    """
    values = read_numbers(members, ReadOptions(decimal_comma=False)).value_N
    rows_K = np.bincount(index_N[index_N >= 0], minlength=len(lengths_K))
    start_K = np.concatenate([[0], np.cumsum(np.maximum(lengths_K, 0))])[:-1]
    bad = np.concatenate([[0], np.cumsum(np.isnan(values))])
    given_K = (lengths_K >= 0) & (rows_K > 0)
    readable_K = given_K & (bad[start_K + np.maximum(lengths_K, 0)] == bad[start_K]) & (lengths_K > 0)
    if width is None:
        width = int(np.bincount(lengths_K[readable_K], rows_K[readable_K]).argmax()) if readable_K.any() else 0
    fits_K = readable_K & (lengths_K == width)
    value_KD = np.full((len(lengths_K) + 1, width), np.nan)
    value_KD[:-1][fits_K] = values[start_K[fits_K][:, None] + np.arange(width)]
    value_ND = value_KD[index_N]
    notes["wrong length"] = int(rows_K[readable_K & ~fits_K].sum())
    notes["not a vector"] = notes.get("not a vector", 0) + int(rows_K[given_K & ~readable_K].sum())
    missing_N = ~gather(fits_K, index_N, False)
    return VectorCells(missing_N=missing_N, value_ND=value_ND, notes={k: v for k, v in notes.items() if v})


def find_separator(texts: pa.Array) -> str | None:
    """The sign that stands between members in most of the texts that have any; None if none has."""
    counts = {sign: int(pc.sum(pc.match_substring(texts, sign)).as_py() or 0) for sign in SEPARATORS}
    best = max(SEPARATORS, key=lambda sign: counts[sign])
    return best if counts[best] else None


def read_sets(raw: pa.ChunkedArray | pa.Array, options: ReadOptions, *, separator: str | None = None) -> SetCells:
    """Interpret cells as sets of texts: typed lists, texts like ``a|b``, or ``["a", "b"]``.

    An empty list is an empty set; an empty text is missing. Members that are missing markers are left out, repeats
    count once. Notes: "repeated members" (rows), "spaces trimmed", "not a set".

    Args:
        raw: Cells of any type.
        options: Missing markers.
        separator: Between members of a text; None finds it among :data:`SEPARATORS`.
    """
    array = flat(raw)
    if _is_list(array.type):
        members = read_texts(array.flatten(), options)
        return _sets(_lengths(array), members, np.arange(len(array)), {})
    texts = read_texts(array, options)
    notes = {"not a set" if kind == "not a text" else kind: count for kind, count in texts.notes.items()}
    lists = _split(texts.texts, separator)
    return _sets(_lengths(lists), read_texts(lists.flatten(), options), texts.index_N, notes)


def _split(texts: pa.Array, separator: str | None) -> pa.Array:
    """Lists of members of distinct texts; brackets and quotes of JSON are taken off."""
    listed = np.asarray(pc.match_substring_regex(texts, _LISTED))
    sign = separator or find_separator(texts.filter(pa.array(~listed))) or _BREAK
    plain = pc.replace_substring(texts, sign, _BREAK)
    if listed.any():
        inner = trim(pc.replace_substring_regex(texts, r"^\s*\[|\]\s*$", ""))
        quoted = pc.replace_substring_regex(inner, r"""["']\s*,\s*["']""", _BREAK)
        bare = pc.replace_substring(inner, ",", _BREAK)
        apart = pc.if_else(pc.match_substring_regex(inner, r"""^["']"""), quoted, bare)
        plain = pc.if_else(pa.array(listed), pc.utf8_trim(apart, characters="\"'"), plain)
    return pc.split_pattern(plain, _BREAK)


def _sets(lengths_K: np.ndarray, members: Texts, index_N: np.ndarray, notes: dict[str, int]) -> SetCells:
    """Sets of each row, from lists of distinct texts."""
    list_of_member = np.repeat(np.arange(len(lengths_K)), np.maximum(lengths_K, 0))
    levels = members.texts.to_pylist()
    key = list_of_member * max(len(levels), 1) + members.index_N
    key = key[members.index_N >= 0]
    unique, first = np.unique(key, return_index=True)
    kept = np.sort(first)  # order of appearance within each list
    kept_list = list_of_member[members.index_N >= 0][kept]
    kept_code = members.index_N[members.index_N >= 0][kept]
    size_K = np.bincount(kept_list, minlength=len(lengths_K))
    start_K = np.concatenate([[0], np.cumsum(size_K)])[:-1]
    size_N = gather(size_K, index_N, 0)
    start_N1 = np.concatenate([[0], np.cumsum(size_N)]).astype(np.int64)
    source_M = np.repeat(gather(start_K, index_N, 0) - start_N1[:-1], size_N) + np.arange(start_N1[-1])
    rows_K = np.bincount(index_N[index_N >= 0], minlength=len(lengths_K))
    given = np.bincount(list_of_member[members.index_N >= 0], minlength=len(lengths_K))
    notes["repeated members"] = int(rows_K[given > size_K].sum()) if len(unique) < len(key) else 0
    return SetCells(
        missing_N=~gather(lengths_K >= 0, index_N, False),
        start_N1=start_N1,
        code_M=kept_code[source_M].astype(np.int32),
        levels=tuple(levels),
        notes={kind: count for kind, count in notes.items() if count},
    )
