"""Series gone wrong: noise, sensors that fall silent, gaps, another start, another scale.

Shape suffixes:
    N  rows    S  steps of all rows    T  steps of a row    C  channels
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, SeriesCells
from trueweight.data.ragged import Ragged
from trueweight.data.signature import ColumnFacts
from trueweight.evaluate.corrupt import Family, Suite, missing_suite

__all__ = ["SERIES", "SeriesRows", "load_series", "write_series"]


@dataclass(frozen=True, slots=True)
class SeriesRows:
    """Series, with the spread that each channel had in training."""

    value: Ragged
    std_C: np.ndarray

    def changed(self, value_SC: np.ndarray) -> pa.Array:
        """Other values of the same steps, as raw cells."""
        return write_series(SeriesRows(Ragged(value_SC, self.value.start_N1), self.std_C))


def load_series(cells: Cells, facts: ColumnFacts) -> SeriesRows | None:
    """As the codec reads them."""
    assert isinstance(cells, SeriesCells)
    std_C = np.asarray(facts.learnt.get("std", ()))
    fits = len(std_C) > 0 and cells.value.value_MC.shape[1] == len(std_C)
    return SeriesRows(cells.value, std_C) if fits else None


def write_series(loaded: SeriesRows) -> pa.Array:
    """As lists of steps, those of several channels lists themselves; null where there is no step."""
    value_SC = loaded.value.value_MC
    starts = loaded.value.start_N1
    flat = pa.array(np.ascontiguousarray(value_SC, np.float32).reshape(-1), from_pandas=False)
    channels = value_SC.shape[1]
    if channels > 1:
        offsets = pa.array(np.arange(len(value_SC) + 1) * channels, pa.int64())
        flat = pa.LargeListArray.from_arrays(offsets, flat)
    empty_N = np.append(np.diff(starts) == 0, False)
    return pa.LargeListArray.from_arrays(pa.array(starts, pa.int64(), mask=empty_N), flat)


def _noisy(loaded: SeriesRows, strength: float, rng: np.random.Generator) -> pa.Array:
    value_SC = loaded.value.value_MC
    return loaded.changed((value_SC + rng.normal(size=value_SC.shape) * (strength * loaded.std_C)).astype(np.float32))


def _silent(loaded: SeriesRows, strength: float, rng: np.random.Generator) -> pa.Array:
    value_SC, channels = loaded.value.value_MC.astype(np.float32), len(loaded.std_C)
    gone = min(channels - 1, max(1, round(channels * strength / 100)))
    if channels > 1:
        for start, end in zip(loaded.value.start_N1[:-1], loaded.value.start_N1[1:], strict=True):
            value_SC[start:end, rng.permutation(channels)[:gone]] = np.nan
    return loaded.changed(value_SC)


def _gaps(loaded: SeriesRows, strength: float, rng: np.random.Generator) -> pa.Array:
    value_SC = loaded.value.value_MC.astype(np.float32)
    for start, length in zip(loaded.value.start_N1[:-1], loaded.value.lengths, strict=True):
        gap = min(int(length) - 1, max(1, round(length * strength / 100)))
        if gap > 0:
            begin = start + rng.integers(0, length - gap + 1)
            value_SC[begin : begin + gap] = np.nan
    return loaded.changed(value_SC)


def _moved(loaded: SeriesRows, strength: float, rng: np.random.Generator) -> pa.Array:
    place_S = np.arange(len(loaded.value.value_MC))
    for start, length in zip(loaded.value.start_N1[:-1], loaded.value.lengths, strict=True):
        by = max(1, round(length * strength / 100)) * int(rng.choice([-1, 1]))
        # What comes in at the end is the last value that was there.
        place_S[start : start + length] = start + np.clip(np.arange(length) - by, 0, max(length - 1, 0))
    return loaded.changed(loaded.value.value_MC[place_S])


def _scaled(loaded: SeriesRows, strength: float, rng: np.random.Generator) -> pa.Array:
    by_N = (1 + strength / 100) ** rng.choice([-1.0, 1.0], size=len(loaded.value))
    by_S1 = np.repeat(by_N, loaded.value.lengths)[:, None]
    return loaded.changed((loaded.value.value_MC * by_S1).astype(np.float32))


SERIES = Family(
    "series",
    ("timeseries",),
    load_series,
    write_series,
    (
        Suite("noise", "noise of {} standard deviations of each channel", (0.1, 0.3, 1), _noisy),
        Suite("channels", "{} % of the channels without a value", (10, 25, 50), _silent, mild=False),
        Suite("gaps", "{} % of the steps missing in one stretch", (5, 15, 40), _gaps),
        Suite("shift", "{} % of its length earlier or later", (2, 10, 25), _moved),
        Suite("scale", "{} % larger or smaller", (5, 25, 100), _scaled),
        missing_suite(write_series),
    ),
)
