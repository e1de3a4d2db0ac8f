"""Yes-no columns: one flag, whatever the two values are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, LevelCells, ReadOptions
from trueweight.data.column import Arrays, Sense
from trueweight.data.levels import draw_levels, level_numbers, rows_per_level, summary_of_levels
from trueweight.data.parse_texts import read_levels
from trueweight.data.quantiles import pooled
from trueweight.data.sample import BottomK
from trueweight.spec.base import EncoderPart, PartSpec

__all__ = ["BinaryCodec", "BinaryColumn"]

_UNSURE = 0.5
"""Encoded for a value that is missing or neither of the two: halfway between them."""


@dataclass(frozen=True, slots=True)
class BinaryCodec:
    """``flag``: 0 for the first level, 1 for the second, 0.5 for missing and for anything else; and a missing mark.

    The order of the two is that of numbers or texts: 0 before 1, no before yes. Where one of them was too rare to be
    named, everything but the named one is 1. A constant column gives no flag.
    """

    name: str
    levels: tuple[str, ...]
    others: bool
    """Whether rows of other levels count as the second one."""
    flags: bool
    """Whether missing values are marked."""

    def _varies(self) -> bool:
        return len(self.levels) == 2 or (len(self.levels) == 1 and self.others)

    def shapes(self) -> dict[str, int]:
        width = int(self._varies()) + int(self.flags)
        return {"flag": width} if width else {}

    def cardinalities(self) -> list[int]:
        return []

    def knots(self) -> list[list[float]]:
        return []

    def labels(self) -> dict[str, list[str]]:
        if not self.shapes():
            return {}
        second = self.levels[1] if len(self.levels) == 2 else f"not {self.levels[0]}" if self.levels else ""
        words = [f"{self.name} is {second}"] if self._varies() else []
        return {"flag": words + ([f"{self.name} missing"] if self.flags else [])}

    def senses(self) -> dict[str, Sense]:
        return {}

    def encode(self, cells: Cells) -> Arrays:
        assert isinstance(cells, LevelCells)
        columns = []
        if self._varies():
            numbers = level_numbers(cells.levels, self.levels).astype(np.float64)
            values = np.where(numbers < 0, 1.0 if len(self.levels) == 1 else _UNSURE, numbers)
            columns.append(np.append(values, _UNSURE)[cells.code_N])  # -1 finds the last
        if self.flags:
            columns.append(cells.missing_N)
        return {"flag": np.stack(columns, axis=1).astype(np.float32)} if columns else {}

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "levels": list(self.levels), "others": self.others, "flags": self.flags}


class BinaryColumn(PartSpec):
    """One of two values: yes and no, 0 and 1, or any two texts.

    Facts learnt: "count" and "missing" (rows), "levels" and "counts" (at most two, by falling count), "rare" (levels
    and rows beyond those).

    Example:
        ``smoker: binary``
    """

    type: Literal["binary"] = "binary"
    """Registered name."""

    encoder: EncoderPart | None = None
    """An encoder for this column alone, instead of the one that all plain columns share."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> LevelCells:
        """Interpret raw cells as trimmed texts."""
        return read_levels(raw, options)

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:  # noqa: ARG002
        """Facts from the rows given; a level with fewer than ``min_group`` rows is counted, not named."""
        assert isinstance(cells, LevelCells)
        counts = rows_per_level(cells, rows)
        facts = pooled(cells.levels, counts, min_group, 2)
        return {"count": int(counts.sum()), "missing": int(cells.missing_N[rows].sum()), **facts}

    def codec(self, name: str, learnt: Mapping[str, Any]) -> BinaryCodec:
        """The codec for facts that :meth:`learn` found."""
        others = learnt["rare"]["rows"] > 0
        flags = learnt["missing"] > 0 and learnt["count"] > 0
        return BinaryCodec(name, tuple(sorted(learnt["levels"], key=_by_meaning)), others, flags)

    def codec_from_json(self, raw: Mapping[str, Any]) -> BinaryCodec:
        """The inverse of :meth:`BinaryCodec.to_json`."""
        return BinaryCodec(raw["name"], tuple(raw["levels"]), raw["others"], raw["flags"])

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        """The two values, drawn by their frequency."""
        return draw_levels(learnt, rng, n)

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``male 64 %, female 36 %``."""
        if len(learnt["levels"]) < 2:
            return summary_of_levels(learnt)
        shares = [
            f"{level} {count / learnt['count']:.0%}"
            for level, count in zip(learnt["levels"], learnt["counts"], strict=True)
        ]
        return ", ".join(share.replace("%", " %") for share in shares)


def _by_meaning(text: str) -> tuple[int, float, str]:
    """Numbers by size, before texts by spelling."""
    try:
        value = float(text)
    except ValueError:
        return (1, 0.0, text)
    return (0, value, text)
