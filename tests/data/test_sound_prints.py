"""Small spectrograms: another gain only adds a constant, other sounds look different, broken ones show nothing."""

import io
import wave

import numpy as np
import pyarrow as pa

from trueweight.data.cells import MediaCells, ReadOptions
from trueweight.data.media import read_media
from trueweight.data.picture_prints import apart
from trueweight.data.sound_prints import MOST_SECONDS, sound_prints
from trueweight.data.sounds import sound_head

RATE = 4000


def clip(sample_N: np.ndarray) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(sample_N, -1, 1) * 32767).astype("<i2").tobytes())
    return stream.getvalue()


def cells(files: list[bytes | None]) -> MediaCells:
    return read_media(pa.chunked_array([pa.array(files, pa.binary())]), ReadOptions(), sound_head, 3, "sound")


def sound(seed: int) -> np.ndarray:
    """Noise that swells and fades, with a few tones."""
    rng, time = np.random.default_rng(seed), np.arange(RATE) / RATE
    tones = sum(np.sin(2 * np.pi * rng.uniform(100, 1800) * time) * (time > rng.uniform(0, 0.8)) for _ in range(5))
    return np.asarray(0.08 * tones + 0.02 * rng.normal(size=RATE))


def test_another_gain_adds_a_constant_and_another_sound_is_far() -> None:
    sounds = [sound(seed) for seed in range(6)]
    files = [clip(gain * s) for gain in (1.0, 0.4) for s in sounds]
    value_NF, shows_N = sound_prints(cells(files), np.arange(12))
    assert shows_N.all()
    loud_NF, soft_NF = value_NF[:6], value_NF[6:]
    # Power falls by the square of the gain; 16 bits round the softest places.
    np.testing.assert_allclose(np.median(soft_NF - loud_NF, axis=1), 2 * np.log(0.4), atol=0.01)
    assert apart(loud_NF, soft_NF).max() < 0.05
    assert apart(loud_NF, np.roll(soft_NF, 1, axis=0)).min() > 0.25


def test_gaps_and_silence_show_nothing_and_not_more_is_decoded_than_allowed() -> None:
    rows = [clip(sound(0)), None, clip(np.zeros(RATE)), b"RIFF no sound"]
    _, shows_N = sound_prints(cells(rows), np.arange(4))
    assert shows_N.tolist() == [True, False, False, False]
    again = np.zeros(round(MOST_SECONDS) + 50, int)
    _, shows_N = sound_prints(cells(rows), again)
    assert shows_N.sum() == round(MOST_SECONDS)
