"""Numbers: filled, transformed if asked, and put on a common scale."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from trueweight.data.bins import bins_of
from trueweight.data.cells import Cells, NumberCells, ReadOptions
from trueweight.data.column import Arrays, Sense
from trueweight.data.parse_numbers import NumberStyle, read_numbers
from trueweight.data.quantiles import draw_quantiles, scale_facts, scale_of, tellable
from trueweight.data.sample import BottomK
from trueweight.spec.base import EncoderPart, PartSpec

__all__ = ["NumberCodec", "NumberColumn", "Transform", "scaled", "transformed"]

_LIMIT = 1e6
"""Encoded values stay within this, so that no cell, however wild, becomes infinite in float32."""

_COUNTED = 10_000
"""Distinct values are counted up to here."""

Transform = Literal["none", "log1p", "signed_log1p"]


def transformed(value_N: np.ndarray, transform: Transform) -> np.ndarray:
    """Apply a transform to float64 values. ``log1p`` takes values below 0 for 0."""
    match transform:
        case "none":
            return value_N
        case "log1p":
            return np.asarray(np.log1p(np.maximum(value_N, 0.0)))
        case "signed_log1p":
            return np.asarray(np.sign(value_N) * np.log1p(np.abs(value_N)))


def scaled(value: np.ndarray, center: float | np.ndarray, scale: float | np.ndarray) -> np.ndarray:
    """Transformed values on the common scale, within its limits; of one column, or of several side by side."""
    with np.errstate(over="ignore"):  # clipped at once
        # np.clip is the same, at three times the price of what it calls for a single row.
        return np.minimum(np.maximum((value - center) / scale, -_LIMIT), _LIMIT)


@dataclass(frozen=True, slots=True)
class NumberCodec:
    """``number``: (transform(value) - center) / scale, affine in the transformed value. ``flag``: missing marks.

    A constant column has no ``number``; a column whose training rows were all given has no ``flag``, and a
    value that is missing later is imputed.
    """

    name: str
    transform: Transform
    fill: float
    """What stands in for a missing value, in the column's unit."""
    center: float
    scale: float
    """Above 0, or 0 for a column that does not vary."""
    flags: bool
    """Whether missing values are marked."""
    inner: tuple[float, ...] = ()
    """Inner quantiles in encoded units."""

    def shapes(self) -> dict[str, int]:
        return ({"number": 1} if self.scale else {}) | ({"flag": 1} if self.flags else {})

    def cardinalities(self) -> list[int]:
        return []

    def knots(self) -> list[list[float]]:
        return [list(self.inner)] if self.scale else []

    def labels(self) -> dict[str, list[str]]:
        words = {"number": [self.name], "flag": [f"{self.name} missing"]}
        return {key: words[key] for key in self.shapes()}

    def senses(self) -> dict[str, Sense]:
        return {}

    def encode(self, cells: Cells) -> Arrays:
        assert isinstance(cells, NumberCells)
        arrays: dict[str, np.ndarray] = {}
        if self.scale:
            filled_N = np.where(cells.missing_N, self.fill, cells.value_N)
            number_N = scaled(transformed(filled_N, self.transform), self.center, self.scale)
            arrays["number"] = number_N.astype(np.float32)[:, None]
        if self.flags:
            arrays["flag"] = cells.missing_N.astype(np.float32)[:, None]
        return arrays

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"inner": list(self.inner)}


class NumberColumn(PartSpec):
    """Numbers, as cells of text or typed: ``7.11``, ``7,11``, ``1,234.50``, ``1e-3``.

    Facts learnt: "count" and "missing" (rows), "mean", "std", "median", "levels" and "quantiles" (0.1 % to 99.9 %),
    "knots" (48 inner quantiles), "bins" (rows between edges), "integer", "distinct" (up to 10,000), "decimals" (null:
    no fixed number), "center", "scale" and "inner" (as the codec uses them), "fill".

    Example:
        ``premium: {type: number, unit: EUR, transform: log1p}``
    """

    search_space = {"transform": ["none", "signed_log1p"], "impute": ["median", "mean"]}

    type: Literal["number"] = "number"
    """Registered name."""

    impute: Literal["median", "mean", "zero"] = "median"
    """What stands in for a missing value: a statistic of the training rows, or 0. A flag marks the row as well."""

    transform: Transform = "none"
    """Applied before scaling: none; log1p, which takes values below 0 for 0; signed_log1p, log1p of the size with the
    value's sign."""

    unit: str | None = None
    """Unit of the values, shown in summaries and reports."""

    decimal_comma: bool | None = None
    """Whether ``1,5`` is one and a half. Null decides from the column's cells; wins over ``data.decimal_comma``."""

    thousands_point: bool | None = None
    """Whether ``1.234`` is more than a thousand. Null decides from the column's cells."""

    encoder: EncoderPart | None = None
    """An encoder for this column alone, instead of the one that all plain columns share."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> NumberCells:
        """Interpret raw cells; see :func:`trueweight.data.parse_numbers.read_numbers` for what is understood."""
        return read_numbers(raw, options, NumberStyle(self.decimal_comma, self.thousands_point))

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:
        """Facts from the rows given. Numbers are described by quantiles, never by single values."""
        assert isinstance(cells, NumberCells)
        missing = int(cells.missing_N[rows].sum())
        seen = cells.value_N[sample.rows]
        seen = seen[~np.isnan(seen)]
        seen = tellable(seen, len(rows) - missing, len(rows), min_group)
        facts = scale_facts(seen, min_group)
        center, scale = scale_of(transformed(seen, self.transform), min_group)
        distinct = len(np.unique(seen))
        return {
            "count": len(rows) - missing,
            "missing": missing,
            **facts,
            "bins": bins_of(seen, min_group),
            "integer": bool(len(seen) and (seen == np.round(seen)).all()),
            "distinct": min(distinct, _COUNTED),
            "decimals": _decimals(seen),
            "center": center,
            "scale": scale,
            "fill": {"median": facts["median"], "mean": facts["mean"], "zero": 0.0}[self.impute],
        }

    def codec(self, name: str, learnt: Mapping[str, Any]) -> NumberCodec:
        """The codec for facts that :meth:`learn` found."""
        flags = learnt["missing"] > 0 and learnt["count"] > 0
        plain = NumberCodec(name, self.transform, learnt["fill"], learnt["center"], learnt["scale"], flags)
        if not learnt["scale"]:
            return plain
        values = transformed(np.asarray(learnt["knots"], np.float64), self.transform)
        knots = scaled(values, learnt["center"], learnt["scale"])
        inner = tuple(float(x) for x in np.unique(knots.astype(np.float32)))
        return NumberCodec(name, self.transform, learnt["fill"], learnt["center"], learnt["scale"], flags, inner)

    def codec_from_json(self, raw: Mapping[str, Any]) -> NumberCodec:
        """The inverse of :meth:`NumberCodec.to_json`."""
        return NumberCodec(**{**raw, "inner": tuple(raw["inner"])})

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        """Made-up numbers between the outer quantiles, as precise as the real ones."""
        values = draw_quantiles(learnt, rng, n)
        empty = np.zeros(n, bool)
        if learnt["missing"]:
            empty = rng.uniform(size=n) < 0.1
        if learnt["integer"]:
            return pa.array(np.round(values), pa.float64(), mask=empty).cast(pa.int64(), safe=False)
        decimals = learnt["decimals"]
        rounded = [round(x, decimals) if decimals is not None else float(f"{x:.6g}") for x in values.tolist()]
        return pa.array(np.array(rounded, np.float64), mask=empty)

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``mean 29.6 EUR, half between 20 and 38``."""
        if not learnt["quantiles"]:
            return "no values"
        unit = f" {self.unit}" if self.unit else ""
        if learnt["distinct"] == 1:
            return f"always {learnt['median']:.6g}{unit}"
        low, high = (learnt["quantiles"][learnt["levels"].index(level)] for level in (0.25, 0.75))
        return f"mean {learnt['mean']:.4g}{unit}, half between {low:.4g} and {high:.4g}"


def _decimals(values: np.ndarray) -> int | None:
    """Digits after the point that nearly all values get by with, up to 6; None if they need more."""
    size = np.abs(values)
    for digits in range(7):
        # Relative to the size: 1234.1 is not exact in binary either.
        exact = np.abs(values - np.round(values, digits)) <= 1e-12 * (1 + size)
        if exact.mean() >= 0.99 if len(values) else True:
            return digits
    return None
