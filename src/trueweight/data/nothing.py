"""The codec of columns that models do not read."""

from dataclasses import dataclass
from typing import Any

from trueweight.data.cells import Cells
from trueweight.data.column import Arrays, Sense

__all__ = ["NothingCodec"]


@dataclass(frozen=True, slots=True)
class NothingCodec:
    """Gives no arrays, so that a column may be listed without being seen."""

    name: str

    def shapes(self) -> dict[str, int]:
        return {}

    def cardinalities(self) -> list[int]:
        return []

    def knots(self) -> list[list[float]]:
        return []

    def labels(self) -> dict[str, list[str]]:
        return {}

    def senses(self) -> dict[str, Sense]:
        return {}

    def encode(self, cells: Cells) -> Arrays:  # noqa: ARG002
        return {}

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name}
