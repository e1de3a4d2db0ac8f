"""Free text as it is read: one spelling for what looks alike, no marks that nobody sees."""

import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import ReadOptions, TextCells
from trueweight.data.parse_texts import Texts, gather, marks_missing, read_texts, trim

__all__ = ["MOST_CHARACTERS", "read_free_texts"]

MOST_CHARACTERS = 100_000
"""Characters of a cell that are read, about fifty pages; what follows is cut off, and counted."""

_UNSEEN = "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
"""Soft hyphens, marks of direction and spaces without width. Joiners stay: emoji and scripts of India need them."""

_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"


def read_free_texts(raw: pa.ChunkedArray, options: ReadOptions, *, normalize: bool, lowercase: bool) -> TextCells:
    """Cells as texts, trimmed; control characters become spaces, invisible marks vanish.

    Args:
        raw: Cells.
        options: Missing markers.
        normalize: Write what Unicode calls compatible alike (NFKC): full-width letters, ligatures, circled digits.
        lowercase: Make all letters small.
    """
    texts = read_texts(raw, options)
    notes = dict(texts.notes)
    distinct = _valid(texts, notes)
    long_K = pc.greater(pc.utf8_length(distinct), MOST_CHARACTERS).to_numpy(zero_copy_only=False)
    if long_K.any():
        notes["longer than 100,000 characters"] = int(texts.row_counts()[long_K].sum())
        distinct = pc.utf8_slice_codeunits(distinct, 0, MOST_CHARACTERS)
    clean = pc.replace_substring_regex(pc.replace_substring_regex(distinct, _CONTROL, " "), _UNSEEN, "")
    clean = pc.utf8_normalize(clean, form="NFKC") if normalize else clean
    clean = trim(pc.utf8_lower(clean) if lowercase else clean)
    empty_K = marks_missing(clean, ReadOptions(()))
    missing_N = gather(empty_K, texts.index_N, True)  # the value of a missing cell
    clean = pa.concat_arrays([clean.cast(pa.large_string()), pa.array([""], pa.large_string())])
    index_N = pa.array(texts.index_N.astype("int64") % len(clean))  # -1 finds the empty text
    return TextCells(missing_N=missing_N, notes=notes, text_N=clean.take(index_N))


def _valid(texts: Texts, notes: dict[str, int]) -> pa.Array:
    """The distinct texts; bytes that are no UTF-8, such as halves of surrogate pairs, become replacement marks."""
    distinct = texts.texts.cast(pa.large_string())
    try:
        distinct.validate(full=True)
    except pa.ArrowInvalid:
        before = distinct.cast(pa.large_binary())
        fixed = pa.array([cell.decode(errors="replace") for cell in before.to_pylist()], pa.large_string())
        changed = pc.not_equal(before, fixed.cast(pa.large_binary())).to_numpy(zero_copy_only=False)
        notes["not UTF-8"] = int(texts.row_counts()[changed].sum())
        return fixed
    return distinct
