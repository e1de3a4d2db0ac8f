"""Decoding, resampling and mel spectra, against slower ways to the same numbers."""

import io
import os
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest
import soundfile as sf

from trueweight.data.media import UnusableError, in_threads
from trueweight.data.sounds import (
    FLOOR,
    decode,
    fft_size,
    is_sound,
    log_mel,
    mel_centres,
    mel_filters,
    resample,
    sound_head,
    steps_of,
)  # fmt: skip

RATE, MELS, WINDOW, HOP = 8000, 20, 200, 80


def file_of(sample_N: np.ndarray, rate: int = RATE, kind: str = "WAV", subtype: str | None = None) -> bytes:
    out = io.BytesIO()
    sf.write(out, sample_N, rate, format=kind, subtype=subtype)
    return out.getvalue()


def noise(count: int, seed: int = 0, size: float = 0.1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count) * size


def slow_log_mel(sample_N: np.ndarray, rate: int, mels: int, window: int, hop: int) -> np.ndarray:
    """The formula of the docstring in float64, with a Fourier transform written out and triangles drawn one by one."""
    hann = np.array([0.5 - 0.5 * np.cos(2 * np.pi * i / window) for i in range(window)])
    size = fft_size(rate, mels, window)
    frequency = np.arange(size // 2 + 1) * rate / size
    wave_KW = np.exp(-2j * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(window)) / size)
    mel = lambda f: 2595 * np.log10(1 + f / 700)  # noqa: E731
    edges = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(0, mel(rate / 2), mels + 2)]
    rows = []
    for step in range(-(-len(sample_N) // hop)):
        first = step * hop - (window - hop) // 2
        piece = np.array([sample_N[i] if 0 <= i < len(sample_N) else 0.0 for i in range(first, first + window)])
        power = np.abs(wave_KW @ (piece * hann)) ** 2 / np.square(hann).sum()
        bands = []
        for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
            sides = [((f - low) / (middle - low), (high - f) / (high - middle)) for f in frequency]
            weight = np.array([max(0.0, min(two)) for two in sides])
            bands.append(np.log((weight * power).sum() / weight.sum() + FLOOR))
        rows.append(bands)
    return np.array(rows)


@pytest.mark.parametrize("count", [1, 79, 80, 81, 200, 1000])
def test_mel_spectrum_is_that_of_a_transform_written_out(count):
    sample_N = noise(count).astype(np.float32)
    found = log_mel(sample_N, RATE, MELS, WINDOW, HOP)
    assert (found.shape, found.dtype) == ((steps_of(count, HOP), MELS), np.float32)
    # Powers of float32 transforms are right to about 1e-5 of the largest; logarithms of small ones feel it most.
    np.testing.assert_allclose(found, slow_log_mel(sample_N, RATE, MELS, WINDOW, HOP), atol=2e-3)


def test_long_sounds_are_computed_in_pieces_that_fit_together():
    sample_N = noise(80 * 5000).astype(np.float32)
    whole = log_mel(sample_N, RATE, MELS, WINDOW, HOP)
    part = log_mel(sample_N[80 * 2000 : 80 * 2200], RATE, MELS, WINDOW, HOP)
    assert len(whole) == 5000
    np.testing.assert_allclose(whole[2010:2190], part[10:-10], atol=1e-4)


def test_a_hundred_thousand_steps():
    assert log_mel(np.zeros(80 * 100_000, np.float32), RATE, 8, WINDOW, HOP).shape == (100_000, 8)


def test_white_noise_has_its_variance_in_every_band():
    power = np.exp(log_mel(noise(RATE * 20).astype(np.float32), RATE, MELS, WINDOW, HOP)[5:-5])
    # 2,000 steps, overlapping: a mean of about 800 exponential values, so 3.5 % each; the widest of 20 errs by 3 sd.
    np.testing.assert_allclose(power.mean(0), 0.01, rtol=0.12)


@pytest.mark.parametrize("frequency", [300, 1000, 3000])
def test_a_tone_is_loudest_in_its_band(frequency):
    tone = np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE).astype(np.float32)
    loudest = log_mel(tone, RATE, MELS, WINDOW, HOP).mean(0).argmax()
    edges = mel_centres(RATE, MELS)
    assert edges[loudest] < frequency < edges[loudest + 2]


@pytest.mark.parametrize(
    ("rate", "mels", "window"), [(16000, 64, 400), (16000, 80, 400), (8000, 128, 200), (4000, 4, 1)]
)
def test_no_band_is_empty(rate, mels, window):
    filters = mel_filters(rate, fft_size(rate, mels, window), mels)
    np.testing.assert_allclose(filters.sum(0), 1, rtol=1e-5)


def test_samples_that_are_no_numbers_are_silent_and_giants_stay_finite():
    sample_N = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38] * 100, np.float32)
    found = log_mel(sample_N, RATE, MELS, WINDOW, HOP)
    assert np.isfinite(found.astype(np.float16)).all()
    silent = log_mel(np.full(500, np.nan, np.float32), RATE, MELS, WINDOW, HOP)
    np.testing.assert_allclose(silent, np.log(FLOOR), rtol=1e-6)


def slow_resample(sample_N: np.ndarray, old: int, new: int) -> np.ndarray:
    """A sum of shifted sinc functions, each cut-off softened by a raised cosine: the impulse response by numerical
    integration over frequency, in float64."""
    limit = min(old, new) / 2
    f = (np.arange(1000) + 0.5) / 1000 * limit
    share = np.clip((limit - f) / (0.1 * limit), 0, 1)
    weight = (0.5 - 0.5 * np.cos(np.pi * share)) * limit / 1000 * 2 / old
    times = np.arange(-(-len(sample_N) * new // old)) / new
    away = times[:, None] - np.arange(len(sample_N)) / old
    return np.cos(2 * np.pi * away[..., None] * f) @ weight @ sample_N


@pytest.mark.parametrize(("old", "new"), [(44100, 16000), (8000, 16000), (16000, 8000), (11025, 16000), (7919, 8000)])
def test_resampling_is_a_sum_of_sincs(old, new):
    sample_N = noise(90, size=1.0)
    found = resample(sample_N.astype(np.float32), old, new)
    assert found.dtype == np.float32
    # The transform closes on itself after some silence, where the sum goes on for ever: a trace of that remains.
    np.testing.assert_allclose(found, slow_resample(sample_N, old, new), atol=5e-3)


@pytest.mark.parametrize(
    ("old", "new"), [(44100, 16000), (48000, 16000), (8000, 16000), (22050, 16000), (16000, 11025)]
)
def test_a_tone_stays_itself_at_another_rate(old, new):
    tone = lambda rate: np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)  # noqa: E731
    found = resample(tone(old).astype(np.float32), old, new)
    assert len(found) == new
    np.testing.assert_allclose(found[200:-200], tone(new)[200:-200], atol=2e-5)


def test_what_the_lower_rate_cannot_carry_is_left_out():
    high = np.sin(2 * np.pi * 7000 * np.arange(16000) / 16000).astype(np.float32)
    assert np.abs(resample(high, 16000, 8000)[200:-200]).max() < 1e-3


@pytest.mark.parametrize("old", [1, 999, 192_000])
def test_one_sample_survives_any_rate(old):
    assert len(resample(np.ones(1, np.float32), old, 16000)) == max(1, -(-16000 // old))


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "PCM_U8"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"),
     ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"), ("AU", "PCM_16")],
)  # fmt: skip
def test_every_format_is_read(kind, subtype):
    sample_N = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000) * 0.5
    content = file_of(np.stack([sample_N, sample_N], 1), 16000, kind, subtype)
    assert is_sound(content) and sound_head(content) == (16000, 16000, 2)
    found = decode(content, 16000, 10)
    assert found.shape == (16000,)
    assert np.abs(found[4000:8000] - sample_N[4000:8000]).max() < (0.02 if kind not in ("MP3", "OGG") else 0.2)


def test_channels_are_averaged_and_late_parts_are_not_decoded():
    left, right = noise(8000), noise(8000, 1)
    found = decode(file_of(np.stack([left, right], 1), RATE, subtype="FLOAT"), RATE, 0.25)
    np.testing.assert_allclose(found, ((left + right) / 2)[:2000], atol=1e-6)


BAD = {
    "text": (b"Rumpelstilzchen " * 30, "not a sound"),
    "nothing": (b"", "empty file"),
    "picture": (b"\xff\xd8\xff\xe0" + bytes(300), "not a sound"),
    "riff, but a film": (b"RIFF\x00\x00\x00\x00AVI " + bytes(300), "not a sound"),
    "head alone": (file_of(noise(2000))[:40], "broken sound"),
    "wav cut off": (file_of(noise(2000))[:2500], "broken sound"),
    "flac, head alone": (file_of(noise(2000), kind="FLAC")[:30], "broken sound"),
    "ogg cut off": (file_of(noise(8000), kind="OGG")[:-1000], "broken sound"),
    "zeros behind a head": (b"fLaC" + bytes(1000), "broken sound"),
    "no sample": (file_of(noise(0)), "empty sound"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_head_tells_what_is_no_sound(name):
    content, reason = BAD[name]
    with pytest.raises(UnusableError, match=f"^{reason}$"):
        sound_head(content)


@pytest.mark.parametrize("kind", ["FLAC", "MP3"])
def test_decoding_finds_what_the_head_hides(kind):
    content = file_of(noise(16000), 16000, kind)[:-3000]
    assert sound_head(content)[1] == 16000
    with pytest.raises(UnusableError, match="broken sound"):
        decode(content, 16000, 10)


def test_a_wav_written_into_a_pipe_has_no_size_and_is_whole():
    content = bytearray(file_of(noise(2000)))
    place = content.index(b"data") + 4
    content[place : place + 4] = b"\xff\xff\xff\xff"
    content[4:8] = b"\xff\xff\xff\xff"
    assert sound_head(bytes(content))[0] == 2000
    assert len(decode(bytes(content), RATE, 10)) == 2000


def test_odd_mp3_files_say_nothing_and_other_words_come_through(capfd: pytest.CaptureFixture[str]):
    """The decoder of mp3 writes to file number 2 in C, from any thread."""
    whole = file_of(noise(RATE), kind="MP3")
    odd = [whole[: len(whole) // 2], b"ID3" + whole[:400], whole[:600] + bytes(300) + whole[900:]] * 20

    def look(content: bytes) -> None:
        for job in (sound_head, lambda content: decode(content, RATE, 9.0)):
            with suppress(UnusableError):
                job(content)

    for _ in in_threads(look, odd):
        pass
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_decoding_goes_on_without_a_standard_error():
    program = "import os, sys; os.close(2); from trueweight.data.sounds import decode\n"
    program += "print(len(decode(sys.stdin.buffer.read(), 8000, 9.0)))"
    whole = file_of(noise(RATE), kind="MP3")
    done = subprocess.run([sys.executable, "-c", program], input=whole, stdout=subprocess.PIPE, check=False)
    assert done.returncode == 0
    assert int(done.stdout) >= RATE
