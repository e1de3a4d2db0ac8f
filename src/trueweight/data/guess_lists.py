"""Whether cells hold several things each: vectors and sets, typed or written out.

Each function gives (type, why, spec) of a guess, or None.
"""

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import ReadOptions
from trueweight.data.parse_lists import find_separator, read_sets, read_vectors
from trueweight.data.parse_texts import Texts

__all__ = ["guess_list", "guess_set", "guess_vector"]

_Found: TypeAlias = tuple[str, str, dict[str, Any]]


def guess_list(array: pa.Array, options: ReadOptions) -> _Found | None:
    """Typed lists: of numbers a vector, of texts a set, other lists nothing that can be learnt from."""
    kind = array.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return None
    inner = kind.value_type
    if pa.types.is_integer(inner) or pa.types.is_floating(inner) or pa.types.is_decimal(inner):
        cells = read_vectors(array, options)
        width, given = cells.value_ND.shape[1], int((~cells.missing_N).sum())
        if given and given >= 0.9 * (len(array) - array.null_count):
            return "vector", f"lists of {width:,} numbers", {"width": width}
        return "ignore", "lists of numbers of differing lengths are not supported yet, ignored", {}
    if pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_dictionary(inner):
        return "set", f"lists of {len(read_sets(array, options).levels):,} distinct texts", {}
    return "ignore", f"cells of type {kind} are not supported yet, ignored", {}


def guess_vector(texts: Texts, raw: pa.Array, options: ReadOptions) -> _Found | None:
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


def guess_set(texts: Texts) -> _Found | None:
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
