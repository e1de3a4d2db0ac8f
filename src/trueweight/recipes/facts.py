"""What a recipe may look at when it chooses: counts and types, never values."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["Facts"]


@dataclass(frozen=True, slots=True)
class Facts:
    """A data set as a recipe sees it."""

    rows: int
    """All rows that take part."""
    features: Mapping[str, str]
    """Feature column to its type."""
    targets: Mapping[str, str]
    """Target column to its head's type."""
    hurry: float = 0.0
    """Rows for each second of the budget: how little time there is for each. 0 where no clock ends the run."""
