"""Dates and times: how late, and where in the year, the week and the day."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from trueweight.data.bins import bins_of
from trueweight.data.cells import Cells, DateCells, ReadOptions
from trueweight.data.column import Arrays, Sense
from trueweight.data.parse_dates import DAY, read_dates
from trueweight.data.quantiles import draw_quantiles, scale_facts, scale_of, tellable
from trueweight.data.sample import BottomK
from trueweight.spec.base import EncoderPart, PartSpec

__all__ = ["DateCodec", "DateColumn"]

_LIMIT = 1e6
_SECOND = 1_000_000

_HARMONICS = {"year": 2, "week": 3, "day": 3}
"""Waves of each cycle: 3 tell all 7 weekdays apart, and give a day its two rush hours."""

_STEPS = (86_400, 3_600, 60)
"""Seconds: how coarse the clock of a column may be."""

_SEASON_DAYS = 60
"""Columns that span less say nothing about seasons."""


def phases(micros_N: np.ndarray, cycle: str) -> np.ndarray:
    """Where in the year, the week (from Monday) or the day each moment lies, float64 in [0, 1)."""
    day_N, rest_N = np.divmod(micros_N, DAY)
    match cycle:
        case "year":
            dates = day_N.astype("datetime64[D]")
            start = dates.astype("datetime64[Y]").astype("datetime64[D]")
            end = (dates.astype("datetime64[Y]") + np.timedelta64(1, "Y")).astype("datetime64[D]")
            return np.asarray((dates - start).astype(np.float64) / (end - start).astype(np.float64))
        case "week":
            return np.asarray((day_N + 3) % 7 / 7.0)  # 1970 began on a Thursday
        case _:
            return np.asarray(rest_N / DAY)


@dataclass(frozen=True, slots=True)
class DateCodec:
    """``number``: linear time on a common scale, then sines and cosines of the cycles that vary. ``flag``: missing."""

    name: str
    center: float
    """Seconds since 1970 UTC."""
    scale: float
    """Seconds, above 0, or 0 for a column that does not vary."""
    cycles: tuple[str, ...]
    flags: bool
    """Whether missing values are marked."""
    inner: tuple[float, ...] = ()
    """Inner quantiles of linear time, in encoded units."""

    def _waves(self) -> list[tuple[str, int]]:
        return [(cycle, k) for cycle in self.cycles for k in range(1, _HARMONICS[cycle] + 1)]

    def shapes(self) -> dict[str, int]:
        width = int(self.scale > 0) + 2 * len(self._waves())
        return ({"number": width} if width else {}) | ({"flag": 1} if self.flags else {})

    def cardinalities(self) -> list[int]:
        return []

    def knots(self) -> list[list[float]]:
        return ([list(self.inner)] if self.scale else []) + [[]] * (2 * len(self._waves()))

    def labels(self) -> dict[str, list[str]]:
        waves = [f"{self.name} {part} of {cycle} {k}" for cycle, k in self._waves() for part in ("sine", "cosine")]
        words = {"number": ([self.name] if self.scale else []) + waves, "flag": [f"{self.name} missing"]}
        return {key: words[key] for key in self.shapes()}

    def senses(self) -> dict[str, Sense]:
        return {}

    def encode(self, cells: Cells) -> Arrays:
        assert isinstance(cells, DateCells)
        columns = []
        if self.scale:
            linear = (cells.micros_N / _SECOND - self.center) / self.scale
            columns.append(np.clip(linear, -_LIMIT, _LIMIT))
        for cycle in self.cycles:
            angle = 2 * np.pi * phases(cells.micros_N, cycle)
            for k in range(1, _HARMONICS[cycle] + 1):
                # Standard normal columns have variance 1, a wave has one half.
                columns += [np.sqrt(2) * np.sin(k * angle), np.sqrt(2) * np.cos(k * angle)]
        arrays: dict[str, np.ndarray] = {}
        if columns:
            number_NC = np.where(cells.missing_N[:, None], 0.0, np.stack(columns, axis=1))
            arrays["number"] = number_NC.astype(np.float32)
        if self.flags:
            arrays["flag"] = cells.missing_N.astype(np.float32)[:, None]
        return arrays

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "center": self.center,
            "scale": self.scale,
            "cycles": list(self.cycles),
            "flags": self.flags,
            "inner": list(self.inner),
        }


class DateColumn(PartSpec):
    """Dates or moments, as texts in common formats or typed. Moments without a zone are UTC.

    Facts learnt: "count" and "missing" (rows), "mean", "std", "median", "levels", "quantiles" and "knots" in seconds
    since 1970, "bins" (rows between edges), "center" and "scale", "cycles" (which of year, week and day vary), "step"
    (seconds that all cells are multiples of: a day, an hour, a minute or 1).

    Example:
        ``reported_at: {type: date, day_first: true}``
    """

    type: Literal["date"] = "date"
    """Registered name."""

    day_first: bool | None = None
    """Whether ``10/04/1912`` is in April. Null decides from the column's cells; where none tells, the day is
    first."""

    encoder: EncoderPart | None = None
    """An encoder for this column alone, instead of the one that all plain columns share."""

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> DateCells:
        """Interpret raw cells; see :func:`trueweight.data.parse_dates.read_dates` for what is understood."""
        return read_dates(raw, options, day_first=self.day_first)

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:
        """Facts from the rows given. Dates are described by quantiles, never by single ones."""
        assert isinstance(cells, DateCells)
        missing = int(cells.missing_N[rows].sum())
        micros = cells.micros_N[sample.rows[~cells.missing_N[sample.rows]]]
        micros = tellable(micros, len(rows) - missing, len(rows), min_group)
        seconds = micros / _SECOND
        facts = scale_facts(seconds, min_group)
        center, scale = scale_of(seconds, min_group)
        cycles = [cycle for cycle in _HARMONICS if len(np.unique(phases(micros, cycle))) > 1]
        if facts["quantiles"] and facts["quantiles"][-1] - facts["quantiles"][0] < _SEASON_DAYS * DAY / _SECOND:
            cycles = [cycle for cycle in cycles if cycle != "year"]
        return {
            "count": len(rows) - missing,
            "missing": missing,
            **facts,
            "bins": bins_of(seconds, min_group),
            "center": center,
            "scale": scale,
            "cycles": cycles,
            "step": next((step for step in _STEPS if (micros % (step * _SECOND) == 0).all()), 1),
        }

    def codec(self, name: str, learnt: Mapping[str, Any]) -> DateCodec:
        """The codec for facts that :meth:`learn` found."""
        flags = learnt["missing"] > 0 and learnt["count"] > 0
        inner: tuple[float, ...] = ()
        if learnt["scale"]:
            scaled = (np.asarray(learnt["knots"], np.float64) - learnt["center"]) / learnt["scale"]
            inner = tuple(float(x) for x in np.unique(np.clip(scaled, -_LIMIT, _LIMIT).astype(np.float32)))
        return DateCodec(name, learnt["center"], learnt["scale"], tuple(learnt["cycles"]), flags, inner)

    def codec_from_json(self, raw: Mapping[str, Any]) -> DateCodec:
        """The inverse of :meth:`DateCodec.to_json`."""
        return DateCodec(**{**raw, "cycles": tuple(raw["cycles"]), "inner": tuple(raw["inner"])})

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        """Moments between the outer quantiles, as ISO texts; whole days where the real ones are."""
        step = learnt["step"]
        unit = "D" if step == _STEPS[0] else "s"
        seconds = np.round(draw_quantiles(learnt, rng, n) / step).astype(np.int64) * step
        texts = np.datetime_as_string(seconds.astype("datetime64[s]").astype(f"datetime64[{unit}]"))
        empty = rng.uniform(size=n) < (0.1 if learnt["missing"] else 0.0)
        return pa.array(texts.astype(object), pa.string(), mask=empty)

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``from about 2010-10 to 2015-06``."""
        if not learnt["quantiles"]:
            return "no values"
        ends = np.array([learnt["quantiles"][0], learnt["quantiles"][-1]]).astype(np.int64).astype("datetime64[s]")
        first, last = np.datetime_as_string(ends.astype("datetime64[M]")).tolist()
        return f"around {first}" if first == last else f"from about {first} to {last}"
