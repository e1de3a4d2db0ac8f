"""What is learnt from sounds, and sounds made up from it.

Shape suffixes:
    N  samples    T  steps    M  mel bands    S  sounds
"""

import base64
import io
import wave
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from math import ceil
from typing import Any

import numpy as np

from trueweight.data.cells import MediaCells
from trueweight.data.media import UnusableError, content_of, in_threads
from trueweight.data.quantiles import inner_quantiles
from trueweight.data.sample import BottomK
from trueweight.data.sounds import decode, mel_centres

__all__ = ["AT_ONCE", "MOST_SECONDS", "SAMPLE_SOUNDS", "learn_sounds", "make_up", "seconds_of"]

MOST_SECONDS = 30.0
"""Where sounds are cut if the spec does not say and they are longer."""

SAMPLE_SOUNDS = 512
"""Sounds that are decoded for means, spreads and a look at their quality."""

AT_ONCE = 8
"""Sounds that a thread takes: most are decoded so quickly that handing over each alone takes a tenth of the time."""

_KEPT_BYTES = 2**16
"""Of steps, up to which they are kept until they are encoded: five seconds in 64 bands."""

_USUAL = (-9.0, 3.0)
"""Mean and spread of log power in speech, for tables too small to tell theirs."""

_FULL = 0.999
"""Samples as loud as this are as loud as a file can hold."""

Steps = Callable[[np.ndarray], np.ndarray]
"""The spectrum of a sound, (N,) -> (T, M)."""


def seconds_of(cells: MediaCells, rows: np.ndarray) -> np.ndarray:
    """Lengths of the sounds of these rows, none of them missing, float64."""
    return np.asarray(cells.head_NF[rows, 0] / np.maximum(cells.head_NF[rows, 1], 1))


def learn_sounds(
    cells: MediaCells, given: np.ndarray, *, steps: Steps, rate: int, mels: int, cut: float | None, min_group: int,
    made_by: Hashable = None,
) -> dict[str, Any]:  # fmt: skip
    """Facts of the sounds of some rows; see :class:`~trueweight.data.columns.audio.AudioColumn` for their names.

    Args:
        cells: Of the column.
        given: Rows that are not missing; none where too few would tell on somebody.
        steps: How a sound becomes steps.
        rate: Samples a second that it wants.
        mels: M.
        cut: Seconds that are kept of each; None decides by the lengths.
        min_group: Rows that hide each other.
        made_by: What tells the steps from others of the same sounds. Those of short ones are kept under it in
            ``cells.kept``, in half precision, as they will be encoded; None keeps none.
    """
    levels = (0.05, 0.5, 0.95, 0.99)
    seconds = seconds_of(cells, given)
    quantiles = [float(x) for x in inner_quantiles(seconds, levels, min_group)] if len(given) else []
    # Whole seconds, so that nothing tells how long the longest of them is.
    most = cut or (min(MOST_SECONDS, float(ceil(quantiles[-1] - 1e-6))) if quantiles else MOST_SECONDS)
    chosen = BottomK.of(given, k=SAMPLE_SOUNDS).rows
    look = partial(_look, cells, steps, rate, most, made_by)
    looked = list(in_threads(look, chosen.tolist(), at_once=AT_ONCE))
    found = [one for one in looked if one is not None]
    count = sum(one[0] for one in found)
    mean_M = sum((one[1] for one in found), np.zeros(mels)) / max(count, 1)
    square_M = sum((one[2] for one in found), np.zeros(mels)) / max(count, 1)
    std_M = np.sqrt(np.maximum(square_M - mean_M**2, 0))
    told = len(found) >= min(min_group, len(given)) > 0
    return {
        "seconds": [round(x, 2) for x in quantiles[:3]],
        "max_seconds": most,
        "mean": [float(x) for x in mean_M] if told else [_USUAL[0]] * mels,
        "std": [float(x) if x > 1e-3 else 1.0 for x in std_M] if told else [_USUAL[1]] * mels,
        "cut": int((seconds > most).sum()),
        "looked_at": len(chosen),
        "broken": len(looked) - len(found),
        "silent": sum(one[3] for one in found),
        "clipped": sum(one[4] for one in found),
        "not_finite": sum(one[5] for one in found),
    }


_Look = tuple[int, np.ndarray, np.ndarray, bool, bool, bool]


def _look(cells: MediaCells, steps: Steps, rate: int, most: float, made_by: Hashable, row: int) -> _Look | None:
    """Steps, sums and squares in each band, and whether a sound is silent, clipped, or has samples that are none."""
    try:
        sample_N = decode(content_of(cells, row), rate, most)
    except UnusableError:
        return None
    found_TM = steps(sample_N)
    if (
        made_by is not None
        and found_TM.size * 2 <= _KEPT_BYTES
        and float(seconds_of(cells, np.array([row]))[0]) <= most
    ):
        cells.kept[int(cells.print_N[row]), made_by] = found_TM.astype(np.float16)
    frame_TM = found_TM.astype(np.float64)
    size_N = np.abs(np.nan_to_num(sample_N, nan=0.0, posinf=0.0, neginf=0.0))
    clipped = bool((size_N >= _FULL).mean() > 1e-3)
    finite = bool(np.isfinite(sample_N).all())
    return len(frame_TM), frame_TM.sum(0), np.square(frame_TM).sum(0), not size_N.any(), clipped, not finite


def make_up(learnt: Mapping[str, Any], rate: int, rng: np.random.Generator) -> str:
    """A short sound as an address: noise with the learnt mean spectrum, give or take its spread."""
    count = int(rate * rng.uniform(0.1, 0.25))
    mean_M, std_M = np.asarray(learnt["mean"]), np.asarray(learnt["std"])
    power_M = np.exp(np.minimum(mean_M + std_M * np.clip(rng.normal(size=len(mean_M)), -2, 2), 0.0))
    frequency = np.fft.rfftfreq(count, 1 / rate)
    shape = np.sqrt(np.interp(frequency, mel_centres(rate, len(mean_M))[1:-1], power_M))
    sample_N = np.fft.irfft(np.fft.rfft(rng.normal(size=count)) * shape, count)
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(np.round(np.clip(sample_N, -1, 1) * 32767).astype("<i2").tobytes())
    return "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()
