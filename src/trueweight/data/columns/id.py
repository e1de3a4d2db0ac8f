"""Identifiers: they name a row, and nothing is learnt from them."""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, LevelCells, ReadOptions
from trueweight.data.levels import rows_per_level
from trueweight.data.nothing import NothingCodec
from trueweight.data.parse_texts import read_levels
from trueweight.data.sample import BottomK
from trueweight.spec.base import PartSpec

__all__ = ["IdColumn"]


class IdColumn(PartSpec):
    """A name for each row, such as a customer number. Never shown to a model.

    Facts learnt: "count" and "missing" (rows), "distinct", "repeated" (rows whose name another row has too).

    Example:
        ``claim_id: id``
    """

    type: Literal["id"] = "id"
    """Registered name."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> LevelCells:
        """Interpret raw cells as trimmed texts."""
        return read_levels(raw, options)

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:  # noqa: ARG002
        """Counts from the rows given; no identifier is kept."""
        assert isinstance(cells, LevelCells)
        counts = rows_per_level(cells, rows)
        return {
            "count": int(counts.sum()),
            "missing": int(cells.missing_N[rows].sum()),
            "distinct": int((counts > 0).sum()),
            "repeated": int(counts[counts > 1].sum()),
        }

    def codec(self, name: str, learnt: Mapping[str, Any]) -> NothingCodec:  # noqa: ARG002
        """A codec that gives no arrays."""
        return NothingCodec(name)

    def codec_from_json(self, raw: Mapping[str, Any]) -> NothingCodec:
        """The inverse of :meth:`NothingCodec.to_json`."""
        return NothingCodec(raw["name"])

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:  # noqa: ARG002
        """``row-1``, ``row-2``, …"""
        return pa.array([f"row-{i}" for i in range(1, n + 1)], pa.string())

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``2,208 names, each once``."""
        repeats = f"{learnt['repeated']:,} rows share one" if learnt["repeated"] else "each once"
        return f"{learnt['distinct']:,} name{'s' if learnt['distinct'] != 1 else ''}, {repeats}"
