"""Whether cells hold several things each: vectors, series and sets, typed or written out.

Each function gives (type, why, spec) of a guess, or None.
"""

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import ReadOptions, SeriesCells
from trueweight.data.parse_lists import find_separator, read_sets, read_vectors
from trueweight.data.parse_series import is_list, read_series
from trueweight.data.parse_texts import Texts, is_text

__all__ = ["guess_list", "guess_numbers", "guess_several", "guess_several_targets", "guess_steps"]

_Found: TypeAlias = tuple[str, str, dict[str, Any]]

LEAST_STEPS = 20
"""Numbers from which on a list may be a series though all lists have as many."""

_ALIKE = 0.1
"""Correlation of neighbouring numbers, or of those two apart, from which on such lists are series. In embeddings
neighbours have nothing to do with each other."""


def guess_list(array: pa.Array, options: ReadOptions) -> _Found | None:
    """Typed lists: of numbers a vector or a series, of texts a set, other lists nothing that can be learnt from."""
    kind = array.type
    if not is_list(kind):
        return None
    inner = kind.value_type
    if is_list(inner) and _is_number(inner.value_type):
        return guess_steps(array, options)
    if _is_number(inner):
        return _series(array, options, "") or guess_numbers(array, options) or guess_steps(array, options)
    if pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_dictionary(inner):
        return "set", f"lists of {len(read_sets(array, options).levels):,} distinct texts", {}
    return "ignore", f"cells of type {kind} are not supported yet, ignored", {}


def guess_numbers(array: pa.Array, options: ReadOptions) -> _Found | None:
    """Typed lists of as many numbers in nearly all cells: a vector."""
    if not is_list(array.type) or not _is_number(array.type.value_type):
        return None
    cells = read_vectors(array, options)
    width, given = cells.value_ND.shape[1], int((~cells.missing_N).sum())
    if given and given >= 0.9 * (len(array) - array.null_count):
        return "vector", f"lists of {width:,} numbers", {"width": width}
    return None


def guess_steps(array: pa.Array, options: ReadOptions) -> _Found:
    """Cells that are series if they can be read as such; sets of texts, or nothing, if not."""
    cells = read_series(array, options)
    if cells.missing_N.all():
        kind = array.type
        if is_list(kind) and is_text(kind.value_type):
            return "set", f"lists of {len(read_sets(array, options).levels):,} distinct texts", {}
        return "ignore", "lists without a number", {}
    if 2 * int(cells.notes.get("not a series", 0)) > int((~cells.missing_N).sum()):
        return "set", f"lists of {len(read_sets(array, options).levels):,} distinct texts", {}
    return "timeseries", _words_for(cells), {"channels": cells.value.value_MC.shape[1]}


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _series(raw: pa.Array, options: ReadOptions, written: str) -> _Found | None:
    """Lists that are series and no vectors: of differing lengths, or long ones whose neighbours are alike."""
    cells = read_series(raw, options)
    lengths = cells.value.lengths[~cells.missing_N]
    if not len(lengths) or cells.value.value_MC.shape[1] != 1:
        return None
    usual = int(np.bincount(lengths).argmax())
    even = float((lengths == usual).mean()) >= 0.9
    if even and (usual < LEAST_STEPS or not _neighbours_alike(cells, usual)):
        return None
    return "timeseries", _words_for(cells) + written, {"channels": 1}


def _neighbours_alike(cells: SeriesCells, width: int) -> bool:
    """Whether neighbouring places of lists of one length go together, each place measured from its own mean."""
    rows = np.flatnonzero(cells.value.lengths == width)[:500]
    value_ND = np.nan_to_num(cells.value.take(rows).value_MC.astype(np.float64)).reshape(len(rows), width)
    if len(rows) > 2:
        value_ND = value_ND - value_ND.mean(0)
    value_ND = value_ND - value_ND.mean(1, keepdims=True)
    size = np.abs(value_ND).max(initial=0.0)
    if not 0 < size < np.inf:
        return False
    value_ND = value_ND / size
    whole = float(np.square(value_ND).sum())
    likeness = [abs(float((value_ND[:, lag:] * value_ND[:, :-lag]).sum())) / whole for lag in (1, 2)]
    return max(likeness) >= _ALIKE


def _words_for(cells: SeriesCells) -> str:
    lengths, channels = cells.value.lengths[~cells.missing_N], cells.value.value_MC.shape[1]
    many = f" of {channels:,} channels" if channels > 1 else ""
    low, high = (int(np.quantile(lengths, share, method="nearest")) for share in (0.1, 0.9))
    return f"series{many}, most of {low:,} to {high:,} steps" if low < high else f"series{many} of {high:,} steps"


def guess_several(texts: Texts, raw: pa.Array, options: ReadOptions) -> _Found | None:
    """Texts that hold several things each: a series, a vector or a set."""
    return _written_series(texts, raw, options) or guess_several_targets(texts, raw, options)


def guess_several_targets(texts: Texts, raw: pa.Array, options: ReadOptions) -> _Found | None:
    """The same for targets, which are no series."""
    return _written_vector(texts, raw, options) or _written_set(texts)


def _written_series(texts: Texts, raw: pa.Array, options: ReadOptions) -> _Found | None:
    """Texts like ``[1, 2, 3]`` of differing or great lengths, or ``[[1, 2], [3, 4]]``."""
    if not len(texts.texts):
        return None
    some = texts.texts.slice(0, 200)
    shaped = np.asarray(pc.match_substring_regex(some, r"^[\[(]?(?i:nan|null|none|[\[\]()\s\d.,;eE+?-])+[\])]?$"))
    if shaped.mean() < 0.99:
        return None
    bracketed = bool(pc.all(pc.match_substring_regex(some, r"^\s*[\[(]")).as_py())
    nested = bracketed and bool(pc.all(pc.match_substring_regex(some, r"^\s*[\[(]\s*[\[(]")).as_py())
    if nested:
        kind, why, spec = guess_steps(raw, options)
        return (kind, why + ", written out", spec) if kind == "timeseries" else None
    counts = np.asarray(pc.count_substring_regex(some, r"\d+([.]\d*)?"))
    # Few numbers without brackets may be many things: a set of codes, an address.
    if np.median(counts) < (LEAST_STEPS if not bracketed else 3):
        return None
    return _series(raw, options, ", written out")


def _written_vector(texts: Texts, raw: pa.Array, options: ReadOptions) -> _Found | None:
    """Texts like ``[1, 2]`` or ``0.1 0.2 0.3``: at least two numbers, as many in nearly every cell."""
    if not len(texts.texts):
        return None
    shaped = np.asarray(pc.match_substring_regex(texts.texts.slice(0, 200), r"^[\[(]?[\s\d.,;eE+-]+[\])]?$"))
    if shaped.mean() < 0.99:
        return None
    cells = read_vectors(raw, options)
    width, given = cells.value_ND.shape[1], int((texts.index_N >= 0).sum())
    bracketed = bool(pc.all(pc.match_substring_regex(texts.texts.slice(0, 200), r"^[\[(]")).as_py())
    if width < (2 if bracketed else 3) or int((~cells.missing_N).sum()) < 0.99 * given:
        return None
    return "vector", f"lists of {width:,} numbers, written out", {"width": width}


def _written_set(texts: Texts) -> _Found | None:
    """Texts like ``red|blue``: many different ones, made of few short members that return in several of them."""
    separator = find_separator(texts.texts)
    if separator is None:
        return None
    counts = texts.row_counts()
    parted = np.asarray(pc.match_substring(texts.texts, separator))
    if counts[parted].sum() < 0.1 * counts.sum() or len(texts.texts) < 4:
        return None
    members = pc.utf8_trim_whitespace(pc.split_pattern(texts.texts, separator).flatten())
    kinds = pc.value_counts(members)
    distinct, words = len(kinds), pc.mean(pc.count_substring_regex(members, r"\S+")).as_py()
    # Sentences have commas too: members of a set are short, and each turns up in several sets.
    most = 0.7 if separator == "," else 0.9
    if distinct > most * len(texts.texts) or words > 3 or len(members) < 1.5 * distinct:
        return None
    sign = {"|": "bars", ";": "semicolons", ",": "commas"}[separator]
    return "set", f"{distinct:,} distinct members, parted by {sign}", {"separator": separator}
