"""Sounds: what their heads tell, decoding, another sample rate, and their spectrum on the mel scale.

Shape suffixes:
    N  samples    T  steps    W  samples of a window    K  frequencies    M  mel bands
"""

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from math import ceil, gcd

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from trueweight.data.media import UnusableError
from trueweight.data.waves import plain_wave

__all__ = [
    "FLOOR", "decode", "fft_size", "is_sound", "log_mel", "mel_centres", "mel_filters", "quick_length", "resample",
    "sound_head", "steps_of",
]  # fmt: skip

FLOOR = 1e-8
"""Added to each band's power before its logarithm: -80 dB of the loudest noise, about what 12 bits can hold."""

_LOUDEST = 1e6
"""Samples stay within this, so that no power becomes infinite; whole files reach 1."""

_CHUNK = 2048
"""Steps whose spectra are computed at once."""

_PRODUCT = 200_000
"""Multiplications below which a product of matrices stays on the thread that asks for it. Sounds are decoded on all
cores already, and more threads within each would wait for each other: that was ten times slower."""


def is_sound(content: bytes) -> bool:
    """Whether the first bytes are those of a wav, flac, ogg, mp3, aiff, au or caf file."""
    head = content[:12]
    if head[:4] in (b"RIFF", b"RIFX", b"RF64"):
        return head[8:12] == b"WAVE"
    if head[:4] == b"FORM":
        return head[8:12] in (b"AIFF", b"AIFC")
    if head[:4] in (b"fLaC", b"OggS", b".snd", b"caff") or head[:3] == b"ID3":
        return True
    # A frame of MPEG layer II or III begins with eleven bits of 1.
    return len(head) > 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 in (0x02, 0x04)


def sound_head(content: bytes) -> tuple[int, int, int]:
    """Samples of each channel, samples a second, channels.

    Raises:
        UnusableError: Not a sound, one that was cut off, or one without a single sample.
    """
    if (plain := plain_wave(content)) is not None:
        return plain.frames, plain.rate, plain.channels
    import soundfile

    if not content:
        raise UnusableError("empty file")
    if not is_sound(content):
        raise UnusableError("not a sound")
    try:
        with _quiet(content):
            facts = soundfile.info(io.BytesIO(content))
    except (soundfile.SoundFileError, RuntimeError):
        raise UnusableError("broken sound") from None
    if _cut_off(content):
        raise UnusableError("broken sound")
    if facts.frames < 1 or facts.samplerate < 1:
        raise UnusableError("empty sound")
    return int(facts.frames), int(facts.samplerate), int(facts.channels)


_LOCK = threading.Lock()
_SILENCED: list[int] = []
"""Standard error as it was, once for each thread that is decoding mp3."""


@contextmanager
def _quiet(content: bytes) -> Iterator[None]:
    """The decoder of mp3 files cannot write to standard error, as it does about each odd file.

    It does so in C and has no option against it, so file number 2 itself leads nowhere meanwhile: from the first thread
    that decodes an mp3 until none does. What other threads write there in these milliseconds is lost; Python's
    ``sys.stderr`` is only touched where it is that file. Other formats are decoded as they are.
    """
    if content[:4] in (b"RIFF", b"RIFX", b"RF64", b"FORM", b"fLaC", b"OggS", b".snd", b"caff"):
        yield
        return
    with _LOCK:
        _SILENCED.append(_SILENCED[-1] if _SILENCED else _mute())
    try:
        yield
    finally:
        with _LOCK:
            was = _SILENCED.pop()
            if not _SILENCED and was >= 0:
                os.dup2(was, 2)
                os.close(was)


def _mute() -> int:
    """Let file number 2 lead nowhere; a copy of what it was, or -1 where it is closed."""
    try:
        was = os.dup(2)
    except OSError:
        return -1
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return was


def _cut_off(content: bytes) -> bool:
    """Whether a wav or ogg file ends before it says. Others tell only when they are decoded."""
    if content[:4] == b"OggS":
        return _ogg_cut_off(content)
    if content[:4] != b"RIFF":
        return False
    place = 12
    while place + 8 <= len(content):
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        if content[place : place + 4] == b"data":
            # Written into a pipe, the size is not known yet, and stays 0 or all ones.
            return size < 0xFFFFFF00 and place + 8 + size > len(content)
        place += 8 + size + size % 2
    return True


def _ogg_cut_off(content: bytes) -> bool:
    """Whether the last page is not whole, or not the last of its stream. RFC 3533, section 6."""
    page = content[content.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 0x04:
        return True
    segments = page[26]
    return len(page) < 27 + segments + sum(page[27 : 27 + segments])


def decode(content: bytes, rate: int, seconds: float) -> np.ndarray:
    """The samples of a sound, channels averaged, (N,) float32, about from -1 to 1.

    Args:
        content: Of the file.
        rate: Samples a second that are wanted.
        seconds: What comes later is not decoded.

    Raises:
        UnusableError: Decoding finds that the file is broken, or ends before it says.
    """
    if (plain := plain_wave(content)) is not None:
        count, found = min(plain.frames, ceil(seconds * plain.rate)), plain.rate
        sample_NC = plain.samples(content, count)
    else:
        count, found, sample_NC = _decoded(content, seconds)
    if len(sample_NC) < count or not count:
        raise UnusableError("broken sound")
    sample_N = sample_NC[:, 0] if sample_NC.shape[1] == 1 else sample_NC.mean(1)
    return resample(sample_N, found, rate)


def _decoded(content: bytes, seconds: float) -> tuple[int, int, np.ndarray]:
    """Samples of each channel that there should be, samples a second, and the samples, (N, C) float32."""
    import soundfile

    try:
        with _quiet(content), soundfile.SoundFile(io.BytesIO(content)) as file:
            count = min(file.frames, ceil(seconds * file.samplerate))
            return count, file.samplerate, file.read(count, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, ValueError, MemoryError):
        raise UnusableError("broken sound") from None


def resample(sample_N: np.ndarray, old: int, new: int) -> np.ndarray:
    """The same sound with another number of samples a second, (ceil(N * new / old),) float32.

    By the Fourier transform: what both rates can carry stays, what the lower one cannot is left out, with a smooth
    edge over the last tenth below its limit, so that little rings. The sound is taken to be silent before and after.
    Source: band-limited interpolation by zero-padding of the spectrum, Smith 2007, "Mathematics of the discrete
    Fourier transform", 2nd edition, section 7.4.12. The smooth edge is ours.

    Args:
        sample_N: float, at least one.
        old: Samples a second, at least 1.
        new: The same, wanted.
    """
    if old == new:
        return np.asarray(sample_N, np.float32)
    down, up = old // gcd(old, new), new // gcd(old, new)
    wanted = -(-len(sample_N) * up // down)
    # Whole periods of both rates, some silence for what rings across the ends, and a length that is quick to transform.
    periods = quick_length(ceil((len(sample_N) + 64 * ceil(max(1, old / new))) / down))
    spectrum_K = np.fft.rfft(np.asarray(sample_N, np.float32), periods * down)
    limit = periods * min(down, up) / 2
    kept_K = spectrum_K[: int(limit) + 1]
    share_K = np.clip((limit - np.arange(len(kept_K))) / max(0.1 * limit, 1), 0, 1)
    edge_K = (0.5 - 0.5 * np.cos(np.pi * share_K)) * (up / down)
    full_K = np.zeros(periods * up // 2 + 1, spectrum_K.dtype)
    full_K[: len(kept_K)] = kept_K * edge_K
    return np.asarray(np.fft.irfft(full_K, periods * up)[:wanted], np.float32)


def quick_length(least: int) -> int:
    """The smallest product of 2, 3 and 5 that is not below ``least``, which is at least 1: so many numbers are quick
    to transform."""
    best, fives = 1 << (least - 1).bit_length(), 1
    while fives < best:
        threes = fives
        while threes < best:
            best = min(best, threes << (-(-least // threes) - 1).bit_length())
            threes *= 3
        fives *= 5
    return best


def steps_of(samples: int, hop: int) -> int:
    """T: steps that so many samples give."""
    return -(-samples // hop)


def log_mel(sample_N: np.ndarray, rate: int, mels: int, window: int, hop: int) -> np.ndarray:
    """The logarithm of the power in each mel band, step by step, (T, M) float32.

        log(sum_K filter_MK * |fft(hann_W * sample_W)_K| ** 2 / sum_W hann_W ** 2 + 1e-8)

    Step t looks at ``window`` samples around the middle of the hop that begins at ``t * hop``; beyond the ends it is
    silent. White noise of variance v has power v in each band. Samples that are no numbers are taken for silence.
    Source: Davis and Mermelstein 1980, "Comparison of parametric representations for monosyllabic word recognition",
    IEEE TASSP 28(4), section II; as there, triangles on the mel scale, but natural logarithms and no cosine transform.

    Args:
        sample_N: float, at least one.
        rate: Samples a second.
        mels: M.
        window: W, samples.
        hop: Samples from one step to the next, at most W.
    """
    safe_N = sample_N
    if not np.abs(sample_N).max() <= _LOUDEST:  # too loud, or NaN
        safe_N = np.clip(np.nan_to_num(sample_N, nan=0.0, posinf=0.0, neginf=0.0), -_LOUDEST, _LOUDEST)
    steps, before = steps_of(len(safe_N), hop), (window - hop) // 2
    padded = np.zeros((steps - 1) * hop + window, np.float32)
    room = padded[before : before + len(safe_N)]
    room[:] = safe_N[: len(room)]
    frame_TW = sliding_window_view(padded, window)[::hop]
    size = fft_size(rate, mels, window)
    hann_W, filter_KM = _hann(window), mel_filters(rate, size, mels)
    found_TM = np.empty((steps, mels), np.float32)
    for start in range(0, steps, _CHUNK):
        spectrum_TK = np.fft.rfft(frame_TW[start : start + _CHUNK] * hann_W, size)
        power_TK = spectrum_TK.real**2 + spectrum_TK.imag**2
        found_TM[start : start + _CHUNK] = _product(power_TK, filter_KM)
    return np.asarray(np.log(found_TM + np.float32(FLOOR)))


def _product(left_TK: np.ndarray, right_KM: np.ndarray) -> np.ndarray:
    """``left @ right``, a few rows at a time; see :data:`_PRODUCT`."""
    rows = max(1, _PRODUCT // right_KM.size)
    whole = len(left_TK) // rows * rows
    product_BRM = left_TK[:whole].reshape(-1, rows, left_TK.shape[1]) @ right_KM
    return np.concatenate([product_BRM.reshape(whole, right_KM.shape[1]), left_TK[whole:] @ right_KM])


@lru_cache(16)
def _hann(window: int) -> np.ndarray:
    """Periodic, scaled so that its squares sum to 1; float32."""
    hann_W = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window) if window > 1 else np.ones(1)
    return np.asarray(hann_W / np.sqrt(np.square(hann_W).sum()), np.float32)


def mel_centres(rate: int, mels: int) -> np.ndarray:
    """The middle of each band in Hz, (M,), and before and behind them the two ends: (M + 2,) float64.

    Source: mel(f) = 2595 log10(1 + f / 700), O'Shaughnessy 1987, "Speech communication", page 150.
    """
    top = 2595 * np.log10(1 + rate / 2 / 700)
    return np.asarray(700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1))


@lru_cache(16)
def fft_size(rate: int, mels: int, window: int) -> int:
    """Points of the transform: a power of two, so many that even the narrowest triangle holds a frequency."""
    edges = mel_centres(rate, mels)
    least = max(window, rate / (0.75 * edges[2]))
    return int(2 ** ceil(np.log2(max(least, 2))))


@lru_cache(16)
def mel_filters(rate: int, size: int, mels: int) -> np.ndarray:
    """Triangles over frequencies, (K, M) float32, from one band's neighbour below to the one above.

    The weights of a band sum to 1, so that its value is a mean power whatever its width.

    Args:
        rate: Samples a second.
        size: Points of the transform; K is half of it and one.
        mels: M.
    """
    edges, frequency_K = mel_centres(rate, mels), np.arange(size // 2 + 1) * (rate / size)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequency_K[:, None] - low) / (middle - low)
    falling = (high - frequency_K[:, None]) / (high - middle)
    triangle_KM = np.clip(np.minimum(rising, falling), 0, None)
    return np.asarray(triangle_KM / np.maximum(triangle_KM.sum(0), 1e-12), np.float32)
