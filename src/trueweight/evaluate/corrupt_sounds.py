"""Sounds gone wrong, at the sample rate at which the model hears them: level, noise, place in time, silence, band.

Shape suffixes:
    N  samples
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, MediaCells
from trueweight.data.columns.audio import AudioCodec
from trueweight.data.media import UnusableError, content_of, in_threads
from trueweight.data.reading import column_part
from trueweight.data.signature import ColumnFacts
from trueweight.data.sound_facts import AT_ONCE
from trueweight.data.sounds import decode, quick_length
from trueweight.evaluate.corrupt import Family, Suite, missing_suite

__all__ = ["SOUNDS", "Sounds", "load_sounds", "wav", "write_sounds"]


@dataclass(frozen=True, slots=True)
class Sounds:
    """Sounds as the model hears them, cut where it stops listening."""

    samples: tuple[np.ndarray | None, ...]
    """(N,) float32 each; None where missing."""
    rate: int
    """Samples a second."""

    def changed(self, how: Callable[[np.ndarray], np.ndarray]) -> pa.Array:
        """Every sound changed, as raw cells."""
        changed = (None if sound is None else how(sound).astype(np.float32) for sound in self.samples)
        return write_sounds(Sounds(tuple(changed), self.rate))


def load_sounds(cells: Cells, facts: ColumnFacts) -> Sounds | None:
    """Decode as the column's codec does; what cannot be decoded is missing."""
    assert isinstance(cells, MediaCells)
    codec = column_part(facts).codec(facts.name, facts.learnt)  # type: ignore[attr-defined]
    assert isinstance(codec, AudioCodec)
    if not codec.steps:
        return None

    def one(row: int) -> np.ndarray | None:
        if cells.missing_N[row]:
            return None
        try:
            return decode(content_of(cells, row), codec.spectrum.rate, codec.spectrum.seconds(codec.steps))
        except UnusableError:
            return None

    return Sounds(tuple(in_threads(one, range(len(cells)), at_once=AT_ONCE)), codec.spectrum.rate)


def wav(sample_N: np.ndarray, rate: int) -> bytes:
    """A file of these very samples: 32-bit floats, one channel. (IEEE 754 in RIFF, format tag 3.)"""
    data = sample_N.astype("<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, rate, 4 * rate, 4, 32)
    fact = struct.pack("<4sII", b"fact", 4, len(sample_N))
    body = b"WAVE" + form + fact + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def write_sounds(loaded: Sounds) -> pa.Array:
    """As files in cells."""
    return pa.array([None if s is None else wav(s, loaded.rate) for s in loaded.samples], pa.large_binary())


def _louder(loaded: Sounds, strength: float, rng: np.random.Generator) -> pa.Array:
    return loaded.changed(lambda sound: sound * 10 ** (rng.choice([-1.0, 1.0]) * strength / 20))


def _noisy(loaded: Sounds, strength: float, rng: np.random.Generator) -> pa.Array:
    def noised(sound: np.ndarray) -> np.ndarray:
        level = np.sqrt(np.square(sound, dtype=np.float64).mean()) * 10 ** (-strength / 20)
        return np.asarray(sound + level * rng.normal(size=len(sound)))

    return loaded.changed(noised)


def _moved(loaded: Sounds, strength: float, rng: np.random.Generator) -> pa.Array:
    count = round(strength * loaded.rate / 1000)

    def moved(sound: np.ndarray) -> np.ndarray:
        by = min(count, len(sound)) * int(rng.choice([-1, 1]))
        silence = np.zeros(abs(by), sound.dtype)
        return np.concatenate([silence, sound[: len(sound) - by]] if by >= 0 else [sound[-by:], silence])

    return loaded.changed(moved)


def _late(loaded: Sounds, strength: float, rng: np.random.Generator) -> pa.Array:  # noqa: ARG001
    silence = np.zeros(round(strength * loaded.rate / 1000), np.float32)
    return loaded.changed(lambda sound: np.concatenate([silence, sound]))


def _dull(loaded: Sounds, strength: float, rng: np.random.Generator) -> pa.Array:  # noqa: ARG001
    def low(sound: np.ndarray) -> np.ndarray:
        # Some silence behind, since a transform of a length with large prime factors takes several times as long.
        size = quick_length(len(sound))
        spectrum = np.fft.rfft(sound, size)
        spectrum[int(len(spectrum) * strength / 100) + 1 :] = 0
        return np.asarray(np.fft.irfft(spectrum, size)[: len(sound)])

    return loaded.changed(low)


SOUNDS = Family(
    "sounds",
    ("audio",),
    load_sounds,
    write_sounds,
    (
        Suite("gain", "louder or softer by {} dB", (3, 10, 20), _louder),
        Suite("noise", "white noise {} dB below the sound", (30, 15, 5), _noisy),
        Suite("shift", "earlier or later by {} ms", (20, 100, 300), _moved),
        Suite("silence", "{} ms of silence in front", (50, 200, 500), _late),
        Suite("band", "only the lower {} % of the frequencies", (90, 50, 25), _dull),
        missing_suite(write_sounds),
    ),
)
