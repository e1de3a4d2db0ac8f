"""Makes the Signature: facts about every column, learnt from training rows alone."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trueweight.data.cells import ReadOptions
from trueweight.data.reading import cells_of, column_part
from trueweight.data.roles import Role
from trueweight.data.sample import BottomK
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table

__all__ = ["blank_signature", "learn_signature"]


def blank_signature(table: Table, roles: Sequence[Role], options: ReadOptions, rows: np.ndarray) -> Signature:
    """Types and roles, with cells read and dirt counted over ``rows``, but nothing learnt yet."""
    columns = {}
    for role in roles:
        spec = role.part.model_dump(mode="json")
        facts = ColumnFacts(role.name, role.part.type, role.role, role.why, spec, len(rows), 0)
        if role.role != "ignored":
            cells = cells_of(table, facts, options)
            missing = int(cells.missing_N[rows].sum())
            facts = replace(facts, missing=missing, notes={k: int(v) for k, v in cells.notes.items() if v})
        columns[role.name] = facts
    return Signature(columns, options, 0)


def learn_signature(
    blank: Signature, table: Table, train: np.ndarray, *, min_group: int, weight_N: np.ndarray | None = None
) -> Signature:
    """Fill in what training rows teach.

    Args:
        blank: From :func:`blank_signature`, for the same table.
        table: All rows.
        train: Case numbers of training rows.
        min_group: Levels with fewer rows are pooled and not named.
        weight_N: float64 weights of all rows, for what targets teach.

    Raises:
        DataError: A target that cannot be learnt; says why.
    """
    sample = BottomK.of(train)
    learnt = {
        name: _learn(facts, blank, table, train, sample, min_group, weight_N) for name, facts in blank.columns.items()
    }
    return replace(blank, columns=learnt, rows=len(train))


def _learn(
    facts: ColumnFacts,
    blank: Signature,
    table: Table,
    train: np.ndarray,
    sample: BottomK,
    min_group: int,
    weight_N: np.ndarray | None,
) -> ColumnFacts:
    if facts.role not in ("feature", "target"):
        return facts
    part: Any = column_part(facts)
    cells = cells_of(table, facts, blank.options)
    if facts.role == "target":
        return replace(facts, learnt=part.learn(cells, train, sample, name=facts.name, weight_N=weight_N))
    return replace(facts, learnt=part.learn(cells, train, sample, min_group=min_group))
