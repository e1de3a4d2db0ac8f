"""Vectors: lists of as many numbers in every row, such as embeddings or measurements."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from trueweight.data.cells import Cells, ReadOptions, VectorCells
from trueweight.data.column import Arrays, Sense
from trueweight.data.parse_lists import read_vectors
from trueweight.data.quantiles import knots_of, tellable
from trueweight.data.sample import BottomK
from trueweight.spec.base import EncoderPart, PartSpec

__all__ = ["VectorCodec", "VectorColumn"]

_WIDE = 64
"""Numbers a row from which on quantiles of each would cost more than they help."""

_LIMIT = 1e6
"""Encoded values stay within this, so that no cell becomes infinite in float32."""


@dataclass(frozen=True, slots=True)
class VectorCodec:
    """``number``: each place that varies, (value - mean) / std, 0 where missing. ``flag``: missing marks."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """0 for places that do not vary; they are left out."""
    flags: bool
    inner: tuple[tuple[float, ...], ...] = ()
    """Inner quantiles of each place that varies, in encoded units."""

    def _places(self) -> list[int]:
        return [place for place, spread in enumerate(self.std) if spread]

    def shapes(self) -> dict[str, int]:
        width = len(self._places())
        return ({"number": width} if width else {}) | ({"flag": 1} if self.flags else {})

    def cardinalities(self) -> list[int]:
        return []

    def knots(self) -> list[list[float]]:
        return [list(inner) for inner in self.inner]

    def labels(self) -> dict[str, list[str]]:
        words = {"number": [f"{self.name}[{place}]" for place in self._places()], "flag": [f"{self.name} missing"]}
        return {key: words[key] for key in self.shapes()}

    def senses(self) -> dict[str, Sense]:
        return {}

    def encode(self, cells: Cells) -> Arrays:
        assert isinstance(cells, VectorCells)
        # A table whose vectors all have another length has nothing that this codec can read.
        fits = cells.value_ND.shape[1] == len(self.mean)
        missing_N = cells.missing_N if fits else np.ones(len(cells), bool)
        arrays: dict[str, np.ndarray] = {}
        places = self._places()
        if places:
            value_ND = np.zeros((len(cells), len(places)))
            if fits:
                given = ~missing_N
                mean_D, std_D = np.asarray(self.mean)[places], np.asarray(self.std)[places]
                value_ND[given] = (cells.value_ND[given][:, places] - mean_D) / std_D
            arrays["number"] = np.clip(value_ND, -_LIMIT, _LIMIT).astype(np.float32)
        if self.flags:
            arrays["flag"] = missing_N.astype(np.float32)[:, None]
        return arrays

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "mean": list(self.mean),
            "std": list(self.std),
            "flags": self.flags,
            "inner": [list(inner) for inner in self.inner],
        }


class VectorColumn(PartSpec):
    """Lists of equally many numbers, typed or as texts like ``[0.1, 0.2]`` and ``0.1 0.2``.

    Facts learnt: "count" and "missing" (rows), "width", "mean" and "std" of each place, "knots" (inner quantiles of
    each place, in standard deviations from its mean).

    Example:
        ``embedding: {type: vector, width: 384}``
    """

    type: Literal["vector"] = "vector"
    """Registered name."""

    width: Annotated[int, Field(ge=1)] | None = None
    """Numbers in each list; lists of other lengths are missing. Null takes the most frequent length."""

    encoder: EncoderPart | None = None
    """An encoder for this column alone, instead of the one that all plain columns share."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> VectorCells:
        """Interpret raw cells as vectors of one width."""
        return read_vectors(raw, options, width=self.width)

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:
        """Facts from the rows given: mean and spread of each place, no single vector."""
        assert isinstance(cells, VectorCells)
        missing = int(cells.missing_N[rows].sum())
        seen = cells.value_ND[sample.rows[~cells.missing_N[sample.rows]]]
        seen = tellable(seen, len(rows) - missing, len(rows), min_group)
        varied = (seen != seen[:1]).any(0) if len(seen) else np.zeros(seen.shape[1], bool)
        size = np.maximum(np.abs(seen).max(0), 1e-300) if len(seen) else np.ones(seen.shape[1])
        mean = (seen / size).mean(0) * size if len(seen) else np.zeros(seen.shape[1])
        std = (seen / size).std(0) * size if len(seen) else np.zeros(seen.shape[1])
        std = np.where(varied & np.isfinite(std), std, 0.0)
        scaled = (seen - mean) / np.where(std > 0, std, 1.0)
        return {
            "count": len(rows) - missing,
            "missing": missing,
            "width": seen.shape[1],
            "mean": [float(x) for x in mean],
            "std": [float(x) for x in std],
            "knots": [
                knots_of(scaled[:, place], min_group) if len(std) <= _WIDE else [] for place in np.flatnonzero(std > 0)
            ],
        }

    def codec(self, name: str, learnt: Mapping[str, Any]) -> VectorCodec:
        """The codec for facts that :meth:`learn` found."""
        flags = learnt["missing"] > 0 and learnt["count"] > 0
        inner = tuple(
            tuple(float(x) for x in np.unique(np.clip(k, -_LIMIT, _LIMIT).astype(np.float32))) for k in learnt["knots"]
        )
        return VectorCodec(name, tuple(learnt["mean"]), tuple(learnt["std"]), flags, inner)

    def codec_from_json(self, raw: Mapping[str, Any]) -> VectorCodec:
        """The inverse of :meth:`VectorCodec.to_json`."""
        inner = tuple(tuple(knots) for knots in raw["inner"])
        return VectorCodec(raw["name"], tuple(raw["mean"]), tuple(raw["std"]), raw["flags"], inner)

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        """Lists drawn from a normal distribution in each place, within two standard deviations."""
        noise = np.clip(rng.normal(size=(n, learnt["width"])), -2, 2)
        values = np.asarray(learnt["mean"]) + noise * np.asarray(learnt["std"])
        empty = rng.uniform(size=n) < (0.1 if learnt["missing"] else 0.0)
        rows = [
            None if gone else [float(f"{x:.6g}") for x in row] for row, gone in zip(values.tolist(), empty, strict=True)
        ]
        return pa.array(rows, pa.list_(pa.float64()))

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``vectors of 384 numbers``."""
        return f"vectors of {learnt['width']:,} numbers" if learnt["count"] else "no values"
