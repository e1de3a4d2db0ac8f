"""Columns that are left alone, and why."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import Cells, LevelCells, ReadOptions
from trueweight.data.nothing import NothingCodec
from trueweight.data.sample import BottomK
from trueweight.spec.base import PartSpec

__all__ = ["IgnoreColumn"]


class IgnoreColumn(PartSpec):
    """A column that no model may read: known too late, not allowed, or useless.

    Facts learnt: "count" and "missing" (rows).

    Example:
        ``handler_id: {type: ignore, reason: known only after the decision}``
    """

    type: Literal["ignore"] = "ignore"
    """Registered name."""

    reason: str | None = None
    """Why it is left out, for ``show`` and the model card."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> LevelCells:  # noqa: ARG002
        """Note which cells are null; nothing else is looked at."""
        missing_N = np.asarray(pc.is_null(raw)).astype(bool)
        return LevelCells(missing_N=missing_N, code_N=np.where(missing_N, -1, 0).astype(np.int32), levels=("",))

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:  # noqa: ARG002
        """Counts of the rows given."""
        missing = int(cells.missing_N[rows].sum())
        return {"count": len(rows) - missing, "missing": missing}

    def codec(self, name: str, learnt: Mapping[str, Any]) -> NothingCodec:  # noqa: ARG002
        """A codec that gives no arrays."""
        return NothingCodec(name)

    def codec_from_json(self, raw: Mapping[str, Any]) -> NothingCodec:
        """The inverse of :meth:`NothingCodec.to_json`."""
        return NothingCodec(raw["name"])

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:  # noqa: ARG002
        """Nulls: nothing is known of these cells."""
        return pa.nulls(n, pa.string())

    def summary(self, learnt: Mapping[str, Any]) -> str:  # noqa: ARG002
        """The reason."""
        return f"left out: {self.reason}" if self.reason else "left out"
