"""What rows have to do with each other: groups that a column names, an order in time."""

import numpy as np

from trueweight.data.cells import DateCells, LevelCells, ReadOptions
from trueweight.data.reading import cells_of, plain_facts
from trueweight.data.table import Table

__all__ = ["count_groups", "in_order_of_time"]

REPEATS = 1.5
"""Rows per distinct value from which an identifier names groups rather than rows."""


def count_groups(table: Table, name: str, options: ReadOptions) -> int | None:
    """Number of groups, if a column's name and repeats say that it identifies them."""
    words = name.lower().replace("-", "_").replace(" ", "_").split("_")
    if not (words[-1] in ("id", "key", "no", "nr", "number", "code", "uuid") or name.endswith(("Id", "ID"))):
        return None
    cells = cells_of(table, plain_facts(name, "id", len(table)), options)
    if not isinstance(cells, LevelCells) or cells.missing_N.mean() > 0.1:
        return None
    levels = len(cells.levels)
    many = levels >= 20 and levels * REPEATS <= len(table)
    return levels if many and levels >= 0.01 * len(table) else None


def in_order_of_time(table: Table, name: str, options: ReadOptions) -> bool:
    """Whether no row is earlier than the one above it, by a column of dates without a gap."""
    cells = cells_of(table, plain_facts(name, "date", len(table)), options)
    if not isinstance(cells, DateCells) or cells.missing_N.any() or len(cells) < 3:
        return False
    steps = np.diff(cells.micros_N)
    return bool((steps >= 0).all() and (steps > 0).mean() > 0.01)
