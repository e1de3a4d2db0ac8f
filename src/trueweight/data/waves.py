"""Plain wav files read without a decoder: their samples lie in the file as they are.

A decoder that reads from memory asks for its bytes piece by piece through Python, which takes longer than all else that
is done with a short sound. What is not quite plain is left to it.

Shape suffixes:
    N  samples of each channel    C  channels
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Wave", "plain_wave"]

_TYPES: dict[tuple[int, int], np.dtype[Any]] = {(1, 16): np.dtype("<i2"), (3, 32): np.dtype("<f4")}
"""By format tag and bits: whole numbers and floats."""

_MOST_CHANNELS = 8

_MOST_RATE = 655_350


@dataclass(frozen=True, slots=True)
class Wave:
    """A wav file whose samples can be read in place."""

    frames: int
    rate: int
    channels: int
    start: int
    """Byte where samples begin."""
    dtype: np.dtype[Any]

    def samples(self, content: bytes, count: int) -> np.ndarray:
        """The first ``count`` of each channel, (N, C) float32, whole numbers from -1 to 1.

        Args:
            content: Of the file.
            count: At most all.
        """
        found = np.frombuffer(content, self.dtype, count * self.channels, self.start).reshape(count, self.channels)
        return found.astype(np.float32) * np.float32(2.0**-15) if self.dtype.kind == "i" else found.astype(np.float32)


def plain_wave(content: bytes) -> Wave | None:
    """What a file's head says, if it is a whole wav file of one of the two usual types of samples; else None."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE" or content[12:16] != b"fmt ":
        return None
    try:
        size, tag, channels, rate, _, block, bits = struct.unpack_from("<IHHIIHH", content, 16)
    except struct.error:
        return None
    dtype = _TYPES.get((tag, bits))
    usual = dtype is not None and block == channels * bits // 8 and 1 <= channels <= _MOST_CHANNELS
    if dtype is None or not usual or not 1 <= rate <= _MOST_RATE:
        return None
    place = 20 + size + size % 2
    while place + 8 <= len(content):
        length = int.from_bytes(content[place + 4 : place + 8], "little")
        if content[place : place + 4] == b"data":
            whole = 0 < length <= len(content) - place - 8 and length % block == 0
            return Wave(length // block, rate, channels, place + 8, dtype) if whole else None
        place += 8 + length + length % 2
    return None
