"""Categories: a number for each frequent level, one for all rare ones, one for missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from trueweight.data.cells import Cells, LevelCells, ReadOptions
from trueweight.data.column import Arrays, Sense
from trueweight.data.levels import draw_levels, level_numbers, rows_per_level, summary_of_levels
from trueweight.data.parse_texts import read_levels
from trueweight.data.quantiles import pooled
from trueweight.data.sample import BottomK
from trueweight.spec.base import EncoderPart, PartSpec

__all__ = ["CategoryCodec", "CategoryColumn"]

_FIRST = 2
"""Code of the first level: 0 is missing, 1 is rare or never seen."""


@dataclass(frozen=True, slots=True)
class CategoryCodec:
    """``code``: 0 missing, 1 rare or never seen, then levels by falling count. Nothing for a constant column."""

    name: str
    levels: tuple[str, ...]
    varies: bool
    """Whether training rows had more than one code."""

    def shapes(self) -> dict[str, int]:
        return {"code": 1} if self.varies else {}

    def cardinalities(self) -> list[int]:
        return [len(self.levels) + _FIRST] if self.varies else []

    def knots(self) -> list[list[float]]:
        return []

    def labels(self) -> dict[str, list[str]]:
        return {"code": [self.name]} if self.varies else {}

    def senses(self) -> dict[str, Sense]:
        return {}

    def encode(self, cells: Cells) -> Arrays:
        assert isinstance(cells, LevelCells)
        if not self.varies:
            return {}
        numbers = level_numbers(cells.levels, self.levels)
        code_of_level = np.append(np.where(numbers < 0, 1, numbers + _FIRST), 0).astype(np.int32)  # -1 finds the 0
        return {"code": code_of_level[cells.code_N][:, None]}

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "levels": list(self.levels), "varies": self.varies}


class CategoryColumn(PartSpec):
    """Texts or whole numbers that name one of several kinds.

    Facts learnt: "count" and "missing" (rows), "levels" and "counts" by falling count, "rare" (how many levels and rows
    were too rare to name).

    Example:
        ``postcode: {type: category, min_frequency: 20}``
    """

    search_space = {"min_frequency": [1, 20, 100]}

    type: Literal["category"] = "category"
    """Registered name."""

    min_frequency: Annotated[int, Field(ge=1)] = 1
    """Training rows that a level needs for a number of its own; rarer ones share one. ``bundle.min_group`` may ask for
    more."""

    max_categories: Annotated[int, Field(ge=1)] = 10_000
    """Most levels with a number of their own; the most frequent win."""

    encoder: EncoderPart | None = None
    """An encoder for this column alone, instead of the one that all plain columns share."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> LevelCells:
        """Interpret raw cells as trimmed texts."""
        return read_levels(raw, options)

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:  # noqa: ARG002
        """Facts from the rows given; levels with fewer than ``min_group`` rows are counted, not named."""
        assert isinstance(cells, LevelCells)
        counts = rows_per_level(cells, rows)
        facts = pooled(cells.levels, counts, max(min_group, self.min_frequency), self.max_categories)
        return {"count": int(counts.sum()), "missing": int(cells.missing_N[rows].sum()), **facts}

    def codec(self, name: str, learnt: Mapping[str, Any]) -> CategoryCodec:
        """The codec for facts that :meth:`learn` found."""
        levels: Sequence[str] = learnt["levels"]
        kinds = len(levels) + (learnt["rare"]["rows"] > 0) + (learnt["missing"] > 0)
        return CategoryCodec(name, tuple(levels), kinds > 1)

    def codec_from_json(self, raw: Mapping[str, Any]) -> CategoryCodec:
        """The inverse of :meth:`CategoryCodec.to_json`."""
        return CategoryCodec(raw["name"], tuple(raw["levels"]), raw["varies"])

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        """Levels drawn by their frequency; never a rare one."""
        return draw_levels(learnt, rng, n)

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``3 levels: 3rd, 1st, 2nd``."""
        return summary_of_levels(learnt)
