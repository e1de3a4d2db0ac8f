"""Whether there is much time for each of many pictures, so that the recipe takes a wider network."""

from typing import Any

import numpy as np

from trueweight.data.cells import ReadOptions
from trueweight.data.picture_facts import LARGEST
from trueweight.data.reading import reading_from
from trueweight.data.roles import Role
from trueweight.data.table import Table
from trueweight.recipes.senses import SENSES

__all__ = ["much_time"]

_LOOKED_AT = 64
"""First rows whose pictures tell how large all are, before all are looked at."""


def much_time(role: Role, table: Table, options: ReadOptions, hurry: float) -> bool:
    """Whether the recipe has much time for each of many pictures in this column.

    Args:
        role: Of a column.
        table: All rows.
        options: How cells are read.
        hurry: Rows for each second of the budget; 0 where no clock ends the run.
    """
    if role.role != "feature" or role.part.type != "image" or role.name not in table.names or not hurry:
        return False
    part: Any = role.part
    if part.size is not None:
        high, wide = (part.size, part.size) if isinstance(part.size, int) else part.size
        return SENSES["image"].patient_with(len(table), hurry, high * wide)
    head_NF = part.read(table.head(_LOOKED_AT).column(role.name), reading_from(table, options)).head_NF
    sides_N2 = head_NF[head_NF[:, 0] > 0, :2]
    if not len(sides_N2):
        return False
    return SENSES["image"].patient_with(len(table), hurry, float(np.median(sides_N2.clip(max=LARGEST).prod(1))))
