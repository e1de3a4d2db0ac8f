"""Which parts of the rows a model is judged by: bins of a number, and groups of people."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field, field_validator

from trueweight.spec.base import Spec

__all__ = ["BinsSpec", "SensitiveSpec"]


class BinsSpec(Spec):
    """Parts of the rows by where a number lies."""

    column: str
    """Column of numbers."""

    bins: Annotated[list[float], Field(min_length=1, max_length=20)]
    """Where one part ends and the next begins, ascending: ``[12, 60]`` makes below 12, from 12 to below 60, from 60."""

    @field_validator("bins")
    @classmethod
    def _ascend(cls, value: list[float]) -> list[float]:
        if any(after <= before for before, after in pairwise(value)):
            raise ValueError("bins must ascend")
        return value


class SensitiveSpec(Spec):
    """Columns that answers must not depend on unfairly. They are measured, not learnt from, unless ``features`` gives
    one a type."""

    columns: Annotated[list[str], Field(min_length=1)]
    """Columns that part people into groups."""

    min_group: Annotated[int, Field(ge=1)] = 50
    """Rows that a group needs to be measured; smaller ones are counted, and not told apart."""
