"""Sets: any number of labels in a row, each a flag of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from trueweight.data.cells import Cells, ReadOptions, SetCells
from trueweight.data.column import Arrays, Sense
from trueweight.data.levels import level_numbers, summary_of_levels
from trueweight.data.parse_lists import read_sets
from trueweight.data.quantiles import pooled
from trueweight.data.sample import BottomK
from trueweight.spec.base import EncoderPart, PartSpec

__all__ = ["SetCodec", "SetColumn"]


@dataclass(frozen=True, slots=True)
class SetCodec:
    """``flag``: one 0/1 column for each frequent member, one for any rare or new member, one for missing."""

    name: str
    members: tuple[str, ...]
    others: bool
    """Whether there is a flag for rare and new members."""
    flags: bool
    """Whether missing values are marked."""

    def shapes(self) -> dict[str, int]:
        width = len(self.members) + int(self.others) + int(self.flags)
        return {"flag": width} if width else {}

    def cardinalities(self) -> list[int]:
        return []

    def knots(self) -> list[list[float]]:
        return []

    def labels(self) -> dict[str, list[str]]:
        if not self.shapes():
            return {}
        words = [f"{self.name} has {member}" for member in self.members]
        words += [f"{self.name} has another"] * self.others + [f"{self.name} missing"] * self.flags
        return {"flag": words}

    def senses(self) -> dict[str, Sense]:
        return {}

    def encode(self, cells: Cells) -> Arrays:
        assert isinstance(cells, SetCells)
        if not self.shapes():
            return {}
        known = len(self.members)
        hot = np.zeros((len(cells), known + 1), np.float32)
        row_M = np.repeat(np.arange(len(cells)), np.diff(cells.start_N1))
        number_K = level_numbers(cells.levels, self.members)
        place_M = np.where(number_K < 0, known, number_K)[cells.code_M]
        hot[row_M, place_M] = 1.0
        columns = [hot if self.others else hot[:, :known]]
        if self.flags:
            columns.append(cells.missing_N.astype(np.float32)[:, None])
        return {"flag": np.concatenate(columns, axis=1)}

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "members": list(self.members), "others": self.others, "flags": self.flags}


class SetColumn(PartSpec):
    """Several labels a row, as typed lists or texts like ``red|blue``.

    Facts learnt: "count" and "missing" (rows), "levels" and "counts" (rows with each member), "rare" (members too rare
    to name), "size" (mean members a row).

    Example:
        ``topics: {type: set, separator: ";"}``
    """

    type: Literal["set"] = "set"
    """Registered name."""

    separator: Annotated[str, Field(min_length=1, max_length=3)] | None = None
    """Between the members of a text. Null finds it among ``|``, ``;`` and ``,``."""

    min_frequency: Annotated[int, Field(ge=1)] = 1
    """Training rows that a member needs for a flag of its own. ``bundle.min_group`` may ask for more."""

    max_categories: Annotated[int, Field(ge=1)] = 512
    """Most members with a flag of their own; the most frequent win."""

    encoder: EncoderPart | None = None
    """An encoder for this column alone, instead of the one that all plain columns share."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> SetCells:
        """Interpret raw cells as sets of trimmed texts."""
        return read_sets(raw, options, separator=self.separator)

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:  # noqa: ARG002
        """Facts from the rows given; members with fewer than ``min_group`` rows are counted, not named."""
        assert isinstance(cells, SetCells)
        chosen = np.zeros(len(cells), bool)
        chosen[rows] = True
        sizes = np.diff(cells.start_N1)
        counts = np.bincount(cells.code_M[np.repeat(chosen, sizes)], minlength=len(cells.levels)).astype(np.int64)
        missing = int(cells.missing_N[rows].sum())
        given = len(rows) - missing
        facts = pooled(cells.levels, counts, max(min_group, self.min_frequency), self.max_categories)
        size = float(sizes[rows].sum() / given) if given else 0.0
        return {"count": given, "missing": missing, **facts, "size": size}

    def codec(self, name: str, learnt: Mapping[str, Any]) -> SetCodec:
        """The codec for facts that :meth:`learn` found."""
        # Members that every row has tell rows apart from nothing.
        varied = learnt["missing"] > 0
        pairs = zip(learnt["levels"], learnt["counts"], strict=True)
        members = tuple(level for level, count in pairs if varied or count < learnt["count"])
        flags = learnt["missing"] > 0 and learnt["count"] > 0
        return SetCodec(name, members, learnt["rare"]["rows"] > 0, flags)

    def codec_from_json(self, raw: Mapping[str, Any]) -> SetCodec:
        """The inverse of :meth:`SetCodec.to_json`."""
        return SetCodec(raw["name"], tuple(raw["members"]), raw["others"], raw["flags"])

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        """Sets in which each named member occurs as often as in training rows; never a rare one."""
        shares = np.asarray(learnt["counts"], np.float64) / max(learnt["count"], 1)
        drawn = rng.uniform(size=(n, len(shares))) < shares
        empty = rng.uniform(size=n) < (0.1 if learnt["missing"] else 0.0)
        names = np.array(learnt["levels"], dtype=object)
        rows = [None if gone else names[row].tolist() for row, gone in zip(drawn, empty, strict=True)]
        return pa.array(rows, pa.list_(pa.string()))

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``12 levels: red, blue, …; 1.8 a row``."""
        return f"{summary_of_levels(learnt)}; {learnt['size']:.1f} a row"
