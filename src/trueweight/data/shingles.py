"""Texts that are nearly the same, found in linear time: MinHash sketches of shingles, met in bands.

Sources: Broder 1997, "On the resemblance and containment of documents"; one permutation in bins: Li, Owen and Zhang
2012, "One permutation hashing", empty bins filled as in Shrivastava and Li 2014, "Densifying one permutation hashing".

Shape suffixes:
    N  texts    B  bins of a sketch    S  shingles
"""

from collections.abc import Sequence

import numpy as np

from trueweight.seeds import row_hashes

__all__ = ["BINS", "jaccard", "shingles_of", "sketches"]

BINS = 64

WIDTH = 8
"""Bytes of a shingle: about a word and a half of English, three signs of Chinese."""

LONGEST = 4000
"""Bytes of a text that are looked at."""

_AT_ONCE = 256
"""Texts that are cut into shingles together."""


def shingles_of(text: str) -> np.ndarray:
    """Distinct runs of 8 bytes of a text in small letters, as sorted uint64."""
    return np.unique(_windows(_plain(text)))


def _plain(text: str) -> bytes:
    return " ".join(text.lower().split()).encode("utf-8", "surrogatepass")[:LONGEST]


def _windows(content: bytes) -> np.ndarray:
    """Every 8 bytes in a row, (S,) uint64; none of a shorter text."""
    window_S = np.empty(max(0, len(content) - WIDTH + 1), np.uint64)
    for first in range(min(WIDTH, len(window_S))):
        whole = (len(content) - first) // WIDTH
        window_S[first::WIDTH] = np.frombuffer(content, np.uint64, whole, first)
    return window_S


def sketches(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sketches, (N, B) uint64, whose share of equal bins is about the texts' Jaccard index; and shingles of each, (N,).

    A text without a shingle has a sketch of its own that means nothing.
    """
    count_N = np.zeros(len(texts), np.int64)
    none = np.uint64(0xFFFFFFFFFFFFFFFF)
    sketch_NB = np.full((len(texts), BINS), none)
    for first in range(0, len(texts), _AT_ONCE):
        some = [_plain(text) for text in texts[first : first + _AT_ONCE]]
        length_N = np.array([len(content) for content in some])
        here_N = np.maximum(length_N - WIDTH + 1, 0)
        row_S = np.repeat(np.arange(len(some)), here_N)
        # Of all texts end to end: windows that lie in one text.
        place_S = np.arange(len(row_S)) + np.repeat(np.cumsum(length_N) - length_N - np.cumsum(here_N) + here_N, here_N)
        hash_S = row_hashes(11, _windows(b"".join(some))[place_S])
        bin_S = (hash_S & np.uint64(BINS - 1)).astype(np.int64) + row_S * BINS
        np.minimum.at(sketch_NB[first : first + _AT_ONCE].reshape(-1), bin_S, hash_S >> np.uint64(6))
        count_N[first : first + _AT_ONCE] = here_N
    for _ in range(BINS):  # an empty bin takes what its neighbour holds, marked by how far it came
        rows = np.flatnonzero((sketch_NB == none).any(1) & (count_N > 0))
        if not len(rows):
            break
        some_NB = sketch_NB[rows]
        next_NB = np.roll(some_NB, -1, axis=1)
        moved_NB = np.where(next_NB == none, none, row_hashes(13, next_NB))
        sketch_NB[rows] = np.where(some_NB == none, moved_NB, some_NB)
    return sketch_NB, count_N


def jaccard(one_S: np.ndarray, other_S: np.ndarray) -> float:
    """Shingles that both have, of those that either has."""
    both = len(np.intersect1d(one_S, other_S, assume_unique=True))
    either = len(one_S) + len(other_S) - both
    return both / either if either else 0.0
