"""Series: measurements over time, of one channel or several, as long as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from trueweight.data.bins import bins_of
from trueweight.data.cells import Cells, ReadOptions, SeriesCells
from trueweight.data.column import FieldArrays, Sense
from trueweight.data.parse_series import read_series
from trueweight.data.quantiles import inner_quantiles, tellable
from trueweight.data.ragged import Ragged
from trueweight.data.sample import BottomK
from trueweight.data.series import averaged, channel_scales, filled, rows_with_gaps
from trueweight.spec.base import AugmentationPart, EncoderPart, PartSpec, only_for

__all__ = ["TimeseriesCodec", "TimeseriesColumn"]

MOST_STEPS = 1024
"""Steps that encoders see unless more are asked for: recurrent networks take them one after another."""

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Which quantiles of lengths are kept."""

_LIMIT = 100.0
"""Encoded values stay within so many standard deviations: what is beyond is a fault of the sensor."""

_MADE_UP = 96
"""Most values of a made-up series, so that one fits on a line."""


@dataclass(frozen=True, slots=True)
class TimeseriesCodec:
    """``frame``: each step standardised by channel, gaps filled; a last channel marks filled steps where training rows
    had gaps. ``flag``: missing marks."""

    name: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    """0 for channels that do not vary: they stay 0."""
    flags: bool
    gaps: bool
    """Whether a channel marks filled steps."""
    fill: str
    every: int
    """Neighbouring steps that are averaged into one."""
    length: int
    """Most steps of a row, after that."""

    def shapes(self) -> dict[str, int]:
        if not self.mean:
            return {}
        return {"frame": len(self.mean) + self.gaps} | ({"flag": 1} if self.flags else {})

    def cardinalities(self) -> list[int]:
        return []

    def knots(self) -> list[list[float]]:
        return []

    def labels(self) -> dict[str, list[str]]:
        one = len(self.mean) == 1
        frames = [self.name if one else f"{self.name}[{channel}]" for channel in range(len(self.mean))]
        words = {"frame": frames + ([f"{self.name} filled"] if self.gaps else []), "flag": [f"{self.name} missing"]}
        return {key: words[key] for key in self.shapes()}

    def senses(self) -> dict[str, Sense]:
        if not self.mean:
            return {}
        width = len(self.mean) + self.gaps
        return {"frame": Sense(ragged=True, mean=(0.0,) * width, std=(1.0,) * width, length=self.length)}

    def encode(self, cells: Cells) -> FieldArrays:
        assert isinstance(cells, SeriesCells)
        if not self.mean:
            return {}
        series, missing_N = cells.value, cells.missing_N
        if series.value_MC.shape[1] != len(self.mean):  # a table of other series has nothing for this codec
            series = Ragged(np.zeros((0, len(self.mean))), np.zeros(len(cells) + 1, np.int64))
            missing_N = np.ones(len(cells), bool)
        arrays: dict[str, np.ndarray | Ragged] = {"frame": self._frames(series)}
        if self.flags:
            arrays["flag"] = missing_N.astype(np.float32)[:, None]
        return arrays

    def _frames(self, series: Ragged) -> Ragged:
        std_C = np.asarray(self.std)
        mean_C, scale_C = np.asarray(self.mean), np.where(std_C > 0, 1.0 / np.where(std_C > 0, std_C, 1.0), 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            scaled_SC = np.clip((filled(series, self.fill).astype(np.float64) - mean_C) * scale_C, -_LIMIT, _LIMIT)
        scaled_SC = np.nan_to_num(scaled_SC, nan=0.0)
        # A channel that a row lacks altogether is as usual.
        scaled_SC[_without(series)] = 0.0
        if self.gaps:
            scaled_SC = np.column_stack([scaled_SC, np.isnan(series.value_MC).any(1)])
        short = averaged(Ragged(scaled_SC, series.start_N1), self.every, self.length)
        return Ragged(np.ascontiguousarray(short.value_MC, np.float32), short.start_N1)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "mean": list(self.mean), "std": list(self.std), "flags": self.flags, "gaps": self.gaps,
            "fill": self.fill, "every": self.every, "length": self.length,
        }  # fmt: skip


def _without(series: Ragged) -> np.ndarray:
    """(S, C) bool: steps of rows whose channel has no value at all."""
    gap_SC = np.isnan(series.value_MC)
    if not gap_SC.any():
        return np.zeros(gap_SC.shape, bool)
    total = np.concatenate([np.zeros((1, gap_SC.shape[1]), np.int64), np.cumsum(~gap_SC, axis=0)])
    empty_NC = total[series.start_N1[1:]] == total[series.start_N1[:-1]]
    return np.asarray(np.repeat(empty_NC, series.lengths, axis=0))


class TimeseriesColumn(PartSpec):
    """Series of one channel or several, of one length or different ones: lists of numbers, or lists of steps that are
    lists of channels, typed or as texts like ``[0.1, 0.2]``, ``0.1 0.2`` and ``[[1, 2], [3, 4]]``.

    Facts learnt: "count" and "missing" (rows), "channels", "mean" and "std" of each, "gaps" (rows in which steps lack
    a value), "lengths" (quantiles), "bins" (rows between edges of them), "every" and "length" (steps that are
    averaged, and that are kept), "cut" (rows that are longer).

    Example:
        ``acceleration: {type: timeseries, max_length: 200, encoder: {type: gru}}``
    """

    type: Literal["timeseries"] = "timeseries"
    """Registered name."""

    channels: Annotated[int, Field(ge=1)] | None = None
    """Values of each step; series of others are missing. Null takes the most frequent number."""

    max_length: Annotated[int, Field(ge=1)] | None = None
    """Steps that encoders see of a row. Where more than one training row in twenty is longer, neighbouring steps are
    averaged, as many in all rows; what is longer still is cut. Null: 1,024."""

    fill: Literal["linear", "last"] = "linear"
    """What a step without a value becomes: linear lies between its neighbours, last repeats what came before."""

    decimal_comma: bool | None = None
    """Whether values that are texts use a decimal comma. Null decides it from the cells."""

    encoder: EncoderPart | None = None
    """An encoder for this column. Null: the recipe's."""

    augment: list[AugmentationPart] | None = None
    """Changes of training examples, in this order. Null: the recipe's; [] for none."""

    @field_validator("augment")
    @classmethod
    def _changes_what_it_reads(cls, parts: list[PartSpec] | None) -> list[PartSpec] | None:
        return only_for("frame", "series", parts)

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> SeriesCells:
        """Interpret raw cells as series of one number of channels."""
        return read_series(raw, options, channels=self.channels, decimal_comma=self.decimal_comma)

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:
        """Facts from the rows given: scales of channels and usual lengths, no single series."""
        assert isinstance(cells, SeriesCells)
        missing = int(cells.missing_N[rows].sum())
        count, channels = len(rows) - missing, cells.value.value_MC.shape[1]
        seen = tellable(sample.rows[~cells.missing_N[sample.rows]], count, len(rows), min_group)
        if not len(seen):
            nothing = {"channels": 0, "mean": [], "std": [], "gaps": 0, "lengths": [], "every": 1, "length": 1}
            nothing |= {"bins": {"edges": [], "counts": []}}
            return {"count": count, "missing": missing, **nothing}
        series = cells.value.take(seen)
        mean_C, std_C = channel_scales(series, min(min_group, len(rows)))
        lengths = inner_quantiles(series.lengths.astype(np.float64), LEVELS, min_group)
        most, usual = self.max_length or MOST_STEPS, float(lengths[-1])
        every = max(1, int(np.ceil(usual / most)))
        # Of lengths that hardly differ all are kept; none is told.
        length = int(min(most, np.ceil(1.25 * usual / every)))
        return {
            "count": count, "missing": missing, "channels": channels, "mean": [float(x) for x in mean_C],
            "std": [float(x) for x in std_C], "gaps": int(rows_with_gaps(series).sum()),
            "lengths": [float(x) for x in lengths], "every": every, "length": length,
            "cut": int((series.lengths > every * length).sum()),
            "bins": bins_of(series.lengths.astype(np.float64), min_group),
        }  # fmt: skip

    def codec(self, name: str, learnt: Mapping[str, Any]) -> TimeseriesCodec:
        """The codec for facts that :meth:`learn` found."""
        flags = learnt["missing"] > 0 and learnt["count"] > 0
        return TimeseriesCodec(
            name, tuple(learnt["mean"]), tuple(learnt["std"]), flags, learnt["gaps"] > 0, self.fill,
            learnt["every"], learnt["length"],
        )  # fmt: skip

    def codec_from_json(self, raw: Mapping[str, Any]) -> TimeseriesCodec:
        """The inverse of :meth:`TimeseriesCodec.to_json`."""
        return TimeseriesCodec(**{**raw, "mean": tuple(raw["mean"]), "std": tuple(raw["std"])})

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        """Series that wander about each channel's mean, of the usual lengths but short enough to be written down."""
        channels = learnt["channels"]
        kind = pa.list_(pa.float64()) if channels < 2 else pa.list_(pa.list_(pa.float64()))
        if not channels:
            return pa.nulls(n, kind)
        most = max(4, _MADE_UP // channels)
        lengths = np.interp(rng.uniform(size=n), LEVELS, learnt["lengths"]).round().clip(1, most).astype(np.int64)
        empty = rng.uniform(size=n) < (0.1 if learnt["missing"] else 0.0)
        rows = [None if gone else _wandering(rng, length, learnt) for length, gone in zip(lengths, empty, strict=True)]
        return pa.array(rows, kind)

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``series of 3 channels, about 100 steps``."""
        if not learnt["channels"]:
            return "no values"
        low, usual, high = (round(learnt["lengths"][place]) for place in (0, 2, -1))
        steps = f"{usual:,} steps" if low == high else f"about {usual:,} steps, most of {low:,} to {high:,}"
        channels = f"{learnt['channels']:,} channel{'s' if learnt['channels'] > 1 else ''}"
        return f"series of {channels}, {steps}"


def _wandering(rng: np.random.Generator, length: int, learnt: Mapping[str, Any]) -> list[Any]:
    """One made-up series: each step near the one before, within two standard deviations."""
    noise_TC = rng.normal(size=(length, learnt["channels"]))
    for step in range(1, length):
        noise_TC[step] = 0.8 * noise_TC[step - 1] + 0.6 * noise_TC[step]
    value_TC = np.asarray(learnt["mean"]) + np.clip(noise_TC, -2, 2) * np.asarray(learnt["std"])
    rounded = [[float(f"{x:.4g}") for x in step] for step in value_TC.tolist()]
    return rounded if learnt["channels"] > 1 else [step[0] for step in rounded]
