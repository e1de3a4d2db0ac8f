"""Whether there is much time for each of many pictures, and the recipe for it; and little for each letter."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from trueweight.data.cells import ReadOptions
from trueweight.data.picture_facts import LARGEST
from trueweight.data.reading import reading_from
from trueweight.data.roles import Role
from trueweight.data.table import Table
from trueweight.recipes.images import PATIENT
from trueweight.recipes.senses import SENSES
from trueweight.recipes.writing import SELDOM
from trueweight.spec.base import part_from
from trueweight.spec.run import RunSpec

__all__ = ["letters_of", "much_time", "seldom_seen", "with_patience"]

_LOOKED_AT = 64
"""First rows whose pictures and texts tell how large all are."""


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


def letters_of(roles: Sequence[Role], table: Table) -> dict[str, float]:
    """Letters of a cell, on average, of each column that is read or written as a text."""
    head = table.head(_LOOKED_AT)
    texts = [role.name for role in _used(roles) if role.part.type == "text" and role.name in table.names]
    cells = {name: [str(cell) for cell in head.column(name).to_pylist() if cell is not None] for name in texts}
    return {name: sum(map(len, found)) / max(len(head), 1) for name, found in cells.items()}


def seldom_seen(roles: Sequence[Role], letters: Mapping[str, float], hurry: float) -> bool:
    """Whether nothing but texts is read to write texts, and there is little time for each letter.

    Args:
        roles: Of all columns.
        letters: Of :func:`letters_of`.
        hurry: Rows for each second of the budget; 0 where no clock ends the run.
    """
    kinds = {(role.role, role.part.type) for role in _used(roles)}
    return kinds == {("feature", "text"), ("target", "text")} and hurry * sum(letters.values()) >= SELDOM


def _used(roles: Sequence[Role]) -> list[Role]:
    return [role for role in roles if role.role in ("feature", "target")]


def with_patience(spec: RunSpec, roles: Sequence[Role], patient: Sequence[str]) -> tuple[RunSpec, list[Role]]:
    """The spec and its columns with the recipe for patient runs, whose parts were chosen together and are worth little
    alone; both as they are where a part of it was asked for otherwise, or something else is read or told.

    Args:
        spec: As asked for. Not changed.
        roles: Of all columns.
        patient: Columns with pictures for which there is much time.
    """
    read = [role for role in roles if role.role == "feature"]
    if len(read) != 1 or read[0].name not in patient or not (_left_open(spec) and _labels(spec)):
        return spec, list(roles)
    part: Any = read[0].part
    if part.encoder is not None or part.augment is not None:
        return spec, list(roles)
    encoder = part_from("encoder", PATIENT.encoder)
    augment = [part_from("augmentation", raw) for raw in PATIENT.augment]
    column = part.model_copy(update={"encoder": encoder, "augment": augment})
    targets = {name: told.model_copy(update=dict(PATIENT.head)) for name, told in spec.targets.items()}
    train = type(spec.train).model_validate(
        spec.train.model_dump(exclude_unset=True, by_alias=True) | dict(PATIENT.train)
    )
    changed = spec.model_copy(update={"targets": targets, "train": train})
    return changed, [replace(role, part=column) if role is read[0] else role for role in roles]


def _left_open(spec: RunSpec) -> bool:
    """Whether nothing is said of how the network learns, nor of what it is behind the pictures."""
    model = spec.model
    asked = spec.train.model_fields_set & set(PATIENT.train)
    return not asked and model.members is None and model.encoder is None and model.fusion is None


def _labels(spec: RunSpec) -> bool:
    """Whether one of several classes is told, of which nothing is said that the recipe says."""
    told = list(spec.targets.values())
    return len(told) == 1 and told[0].type == "category" and not told[0].model_fields_set & {*PATIENT.head, "loss"}
