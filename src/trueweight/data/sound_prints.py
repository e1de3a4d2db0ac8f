"""Sounds that are the same though their files differ: a small spectrogram of each.

Shape suffixes:
    N  sounds    T  steps    M  mel bands    F  places of a spectrogram
"""

import numpy as np

from trueweight.data.cells import MediaCells
from trueweight.data.media import UnusableError, content_of, in_threads
from trueweight.data.picture_prints import SIDE
from trueweight.data.sounds import decode, log_mel

__all__ = ["MOST_SECONDS", "sound_prints"]

RATE = 8000
LONGEST = 10.0
"""Seconds of a sound that are looked at."""

MOST_SECONDS = 800.0
"""Of all sounds together, rows in the order in which they come."""

FLAT = 0.3
"""Standard deviation of log power below which a sound is the same all over."""

DEEPEST = 12.0
"""Log power below a sound's loudest place that is told apart: 52 dB."""

_WINDOW = 400
_RUN = 32


def sound_prints(cells: MediaCells, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spectrograms of 32 steps and 32 mel bands as (N, F) float32, and which of them show something, (N,) bool.

    A sound at another gain has the same one but for a constant.
    """
    value_NF = np.zeros((len(rows), SIDE * SIDE), np.float32)

    def several(places: np.ndarray) -> None:
        for place in places:
            try:
                sample_N = decode(content_of(cells, int(rows[place])), RATE, LONGEST)
            except UnusableError:
                continue
            value_NF[place] = _print(sample_N)

    given = _affordable(cells, rows)
    for _ in in_threads(several, np.array_split(given, -(-len(given) // _RUN) or 1)):
        pass
    return value_NF, value_NF.std(1) >= FLAT


def _affordable(cells: MediaCells, rows: np.ndarray) -> np.ndarray:
    """Positions of sounds that are there and not too long together: heads tell frames and rate."""
    given = np.flatnonzero(~cells.missing_N[rows])
    head_NF = cells.head_NF[rows[given]]
    seconds_N = np.minimum(LONGEST, head_NF[:, 0] / np.maximum(head_NF[:, 1], 1))
    return given[np.cumsum(seconds_N) <= MOST_SECONDS]


def _print(sample_N: np.ndarray) -> np.ndarray:
    hop = max(1, -(-len(sample_N) // SIDE))
    found_TM = log_mel(sample_N, RATE, SIDE, max(_WINDOW, hop), hop)[:SIDE]
    value_TM = np.full((SIDE, SIDE), found_TM.mean(), np.float32)
    value_TM[: len(found_TM)] = found_TM
    # What is far below the loudest place is silence, at any gain.
    return np.asarray(np.maximum(value_TM, value_TM.max() - DEEPEST).reshape(-1))
