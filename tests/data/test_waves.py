"""Wav files read in place, against libsndfile's decoder."""

import io

import numpy as np
import pytest
import soundfile

from trueweight.data.sounds import decode, sound_head
from trueweight.data.waves import plain_wave


def wav(subtype: str, channels: int = 1, frames: int = 700, form: str = "WAV") -> bytes:
    file, sample_NC = io.BytesIO(), np.random.default_rng(0).normal(0, 0.7, (frames, channels))
    soundfile.write(file, np.clip(sample_NC, -1, 1), 22_050, subtype, format=form)
    return file.getvalue()


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_the_same_samples_as_the_decoder_bit_for_bit(subtype, channels):
    content = wav(subtype, channels)
    found = plain_wave(content)
    theirs, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    assert (found.frames, found.rate, found.channels) == (700, rate, channels) == sound_head(content)
    np.testing.assert_array_equal(found.samples(content, 700), theirs)
    np.testing.assert_array_equal(found.samples(content, 9), theirs[:9])


def test_chunks_before_and_behind_the_samples_are_passed_over():
    content = wav("PCM_16")
    more = content[:36] + b"LIST" + (3).to_bytes(4, "little") + b"abc\0" + content[36:] + b"LIST\x02\0\0\0ab"
    theirs, _ = soundfile.read(io.BytesIO(more), dtype="float32")
    np.testing.assert_array_equal(decode(more, 22_050, 60.0), theirs)
    assert plain_wave(more) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"", b"RIFF", wav("PCM_24"), wav("DOUBLE"), wav("PCM_U8"), wav("PCM_16", form="WAVEX"),
        wav("PCM_16", form="FLAC"), wav("PCM_16")[:-1], wav("PCM_16")[:40], wav("PCM_16")[:30], wav("PCM_16", frames=0),
    ],
)  # fmt: skip
def test_whatever_is_not_quite_plain_is_left_to_the_decoder(content):
    assert plain_wave(content) is None
