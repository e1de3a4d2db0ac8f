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


def shingles_of(text: str) -> np.ndarray:
    """Distinct runs of 8 bytes of a text in small letters, as sorted uint64."""
    return np.unique(_windows(_plain(text)))


def _plain(text: str) -> bytes:
    return " ".join(text.lower().split()).encode("utf-8", "surrogatepass")[:LONGEST]


def _windows(content: bytes) -> np.ndarray:
    """Every 8 bytes in a row, (S,) uint64; none of a shorter text."""
    if len(content) < WIDTH:
        return np.zeros(0, np.uint64)
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(content, np.uint8), WIDTH)
    return np.ascontiguousarray(windows).view(np.uint64)[:, 0]


def sketches(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sketches, (N, B) uint64, whose share of equal bins is about the texts' Jaccard index; and shingles of each, (N,).

    A text without a shingle has a sketch of its own that means nothing.
    """
    count_N = np.zeros(len(texts), np.int64)
    none = np.uint64(0xFFFFFFFFFFFFFFFF)
    sketch_NB = np.full((len(texts), BINS), none)
    for row, text in enumerate(texts):
        window_S = _windows(_plain(text))
        count_N[row] = len(window_S)
        hash_S = row_hashes(11, window_S)
        np.minimum.at(sketch_NB[row], (hash_S & np.uint64(BINS - 1)).astype(np.int64), hash_S >> np.uint64(6))
    empty_NB = sketch_NB == none
    for _ in range(BINS):  # an empty bin takes what its neighbour holds, marked by how far it came
        holes_NB = empty_NB & (count_N > 0)[:, None]
        if not holes_NB.any():
            break
        next_NB = np.roll(sketch_NB, -1, axis=1)
        moved_NB = np.where(next_NB == none, none, row_hashes(13, next_NB))
        sketch_NB = np.where(holes_NB, moved_NB, sketch_NB)
        empty_NB = sketch_NB == none
    return sketch_NB, count_N


def jaccard(one_S: np.ndarray, other_S: np.ndarray) -> float:
    """Shingles that both have, of those that either has."""
    both = len(np.intersect1d(one_S, other_S, assume_unique=True))
    either = len(one_S) + len(other_S) - both
    return both / either if either else 0.0
