"""Tables put together from cells of another one: what was decoded there is not decoded again.

Explanations ask thousands of rows that are made of the cells of a few. A picture, a sound, a text or a series is
encoded alike in whichever row it stands, so that its arrays are made once and taken from there on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa

from trueweight.data.table import Table

__all__ = ["Borrowed", "borrow", "borrowed_of", "joined", "kept_but", "slices"]


@dataclass(frozen=True, slots=True, eq=False)
class Borrowed:
    """Where a table's cells come from."""

    lender: Table
    rows: Mapping[str, np.ndarray]
    """By column, its row numbers in the lender, one for each row. Columns that are not here are the table's own."""


_FROM: "WeakKeyDictionary[Table, Borrowed]" = WeakKeyDictionary()
_SOME: "WeakKeyDictionary[Table, dict[bytes, Table]]" = WeakKeyDictionary()


def borrow(table: Table, lender: Table, rows: Mapping[str, np.ndarray]) -> Table:
    """Note where a table's cells come from; the table itself."""
    _FROM[table] = Borrowed(lender, rows)
    return table


def kept_but(table: Table, before: Table, column: str) -> Table:
    """Note that all columns but one are those of another table; the table itself."""
    found = _FROM.get(before)
    if found is None:
        return table
    return borrow(table, found.lender, {name: rows for name, rows in found.rows.items() if name != column})


def joined(table: Table, parts: Sequence[Table]) -> Table:
    """Note that a table is some others, one below the other; the table itself."""
    found = [one for part in parts if (one := _FROM.get(part)) is not None]
    if len(found) < len(parts) or len({id(one.lender) for one in found}) > 1:
        return table
    names = [name for name in found[0].rows if all(name in one.rows for one in found)]
    return borrow(table, found[0].lender, {n: np.concatenate([one.rows[n] for one in found]) for n in names})


def slices(table: Table, rows: int) -> Iterator[Table]:
    """:meth:`Table.slices`, which know what they borrow."""
    found, start = _FROM.get(table), 0
    for some in table.slices(rows):
        if found is not None:
            borrow(some, found.lender, {name: of[start : start + len(some)] for name, of in found.rows.items()})
        yield some
        start += len(some)


def borrowed_of(table: Table, column: str) -> tuple[Table, np.ndarray] | None:
    """The distinct cells of a column that is borrowed, as rows of a table, and the number of each row's cell.

    None where the column is not borrowed, or where most cells stand in one row only.
    """
    found = _FROM.get(table)
    if found is None or column not in found.rows:
        return None
    used, place_N = np.unique(found.rows[column], return_inverse=True)
    if 2 * len(used) > len(table):
        return None
    if len(used) == len(found.lender):
        return found.lender, place_N
    known, key = _SOME.setdefault(found.lender, {}), used.tobytes()
    if key not in known:
        known[key] = found.lender.take(pa.array(used, pa.int64()))
    return known[key], place_N
