"""Words of texts counted without a look at each letter by itself.

Shape suffixes:
    K  texts    B  bytes of some texts    W  words
"""

import numpy as np
import pyarrow as pa

__all__ = ["runs_of_signs"]

_SPACE = np.isin(np.arange(256), np.frombuffer(b"\t\n\f\r ", np.uint8))
"""What ``\\s`` means to Arrow."""

AT_ONCE = 2**14
"""Texts whose bytes are looked at together."""


def runs_of_signs(texts: pa.Array) -> np.ndarray:
    """How often ``\\S+`` is found in each text, (K,) int64. Arrow's own search takes seven times as long.

    Args:
        texts: K strings, none null.
    """
    found = [_runs(texts.slice(first, AT_ONCE)) for first in range(0, len(texts), AT_ONCE)]
    return np.concatenate([np.zeros(0, np.int64), *found])


def _runs(texts: pa.Array) -> np.ndarray:
    texts = texts.cast(pa.large_string())
    _, places, content = texts.buffers()
    start_K1 = np.frombuffer(places, np.int64, len(texts) + 1, offset=8 * texts.offset)
    if start_K1[0] == start_K1[-1]:
        return np.zeros(len(texts), np.int64)
    byte_B = np.frombuffer(content, np.uint8)[start_K1[0] : start_K1[-1]]
    start_K1 = start_K1 - start_K1[0]
    space_B = _SPACE[byte_B]
    before_B = np.append(True, space_B[:-1])
    before_B[start_K1[:-1][start_K1[:-1] < len(byte_B)]] = True  # a text begins with no sign before it
    begin_W = np.flatnonzero(before_B & ~space_B)
    return np.diff(np.searchsorted(begin_W, start_K1))
