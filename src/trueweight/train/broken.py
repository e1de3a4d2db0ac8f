"""Pictures and sounds that cannot be used: how many are bearable, and what becomes of their rows."""

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, MediaCells, ReadOptions
from trueweight.data.media import OUTSIDE, media_array
from trueweight.data.parse_texts import is_text, marks_missing, trim
from trueweight.data.reading import cells_of
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.errors import DataError

__all__ = ["refuse_broken", "without_any_file"]

_NAMED = 3
"""Files that a message names."""


def refuse_broken(blank: Signature, table: Table, most: float) -> None:
    """Refuse a table of which too many files cannot be used.

    Args:
        blank: Types and roles.
        table: All rows.
        most: Share of rows that is bearable: ``data.max_bad_rows``.

    Raises:
        DataError: Names some of the files, and what is wrong with them.
    """
    for facts in blank.features():
        cells = cells_of(table, facts, blank.options)
        if not isinstance(cells, MediaCells) or sum(cells.notes.values()) <= most * len(table):
            continue
        bad = sum(cells.notes.values())
        what = ", ".join(f"{kind}: {count:,}" for kind, count in sorted(cells.notes.items()))
        problem = f"{bad:,} of {len(table):,} files in column {facts.name!r} cannot be used ({what}), e.g. "
        problem += ", ".join(_named_files(table.column(facts.name), cells, blank.options))
        raise DataError(problem, where=table.label, hint=_remedy(cells.notes, len(table)))


def _remedy(notes: Mapping[str, int], rows: int) -> str:
    bad = sum(notes.values())
    if OUTSIDE in notes:
        return "to have absolute paths and paths with .. followed, name a folder that holds the files: data.media_dir"
    if notes.get("file not found") == bad == rows:
        return "say in which folder the paths start (data.media_dir), or give the column another type"
    if bad == rows:
        return "is this the right column?"
    share = np.ceil(100 * bad / rows) / 100
    return f"mend or remove them, check data.media_dir, or allow as many: data.max_bad_rows: {share:.0%}"


def _named_files(raw: pa.ChunkedArray, cells: MediaCells, options: ReadOptions) -> list[str]:
    """Some files that were given and cannot be used, by name where they have one, else by row."""
    array = media_array(raw)
    if array is None:
        return ["row 1"]
    given_N = np.asarray(array.is_valid())
    if is_text(array.type):
        texts = trim(array)
        given_N = given_N & ~marks_missing(texts, options)
    rows = np.flatnonzero(given_N & cells.missing_N)[:_NAMED]
    return [_name(array[int(row)].as_py(), int(row)) for row in rows]


def _name(cell: str | bytes, row: int) -> str:
    return cell[:100] if isinstance(cell, str) and not cell.startswith("data:") else f"row {row + 1:,}"


def without_any_file(features: Iterable[Cells], rows: int) -> np.ndarray:
    """Rows in which every feature is a picture or a sound that is not there: nothing is left to learn from, (N,) bool.

    False everywhere where there are features of another kind.

    Args:
        features: Looked at one by one.
        rows: N.
    """
    without_N, some = np.ones(rows, bool), False
    for cells in features:
        if not isinstance(cells, MediaCells):
            return np.zeros(rows, bool)
        without_N, some = without_N & cells.missing_N, True
    return without_N if some else np.zeros(rows, bool)
