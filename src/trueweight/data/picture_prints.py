"""Pictures that look the same though their files differ: a perceptual hash and a thumbnail of each.

Source: the DCT hash of Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", section 3.2.

Shape suffixes:
    N  pictures    S  side of a thumbnail    F  pixels of a thumbnail
"""

from contextlib import suppress

import numpy as np

from trueweight.data.cells import MediaCells
from trueweight.data.media import UnusableError, content_of, in_threads
from trueweight.data.pictures import calm, decoded, fitted, tiny

__all__ = ["apart", "hashes_of", "mirrored", "nearest", "thumbnails", "unit", "without_edge"]

SIDE = 32
EDGE = 0.05
"""Of a side, that may have been cut away."""

LOW = 8
"""Lowest frequencies that are hashed, each way."""

FLAT = 2.0
"""Standard deviation of pixels below which a picture shows nothing to know it by."""

_RUN = 32
_AT_ONCE = 256


def thumbnails(cells: MediaCells, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Grey thumbnails, (N, F) float32, and which of them show something, (N,) bool."""
    value_NF = np.zeros((len(rows), SIDE * SIDE), np.float32)

    def several(places: np.ndarray) -> None:
        alike: dict[tuple[int, ...], tuple[list[int], list[np.ndarray]]] = {}
        for place in places.tolist():
            with suppress(UnusableError):
                pixels_HWC = decoded(content_of(cells, int(rows[place])), (SIDE, SIDE))
                at, held = alike.setdefault(pixels_HWC.shape, ([], []))
                at.append(place)
                held.append(pixels_HWC)
        for at, held in alike.values():  # to fit small pictures one by one takes as long as to decode them
            value_NF[at] = fitted(np.stack(held), (SIDE, SIDE), 1).reshape(len(at), -1)

    given = np.flatnonzero(~cells.missing_N[rows])
    runs = np.array_split(given, -(-len(given) // _RUN) or 1)
    with calm():
        for _ in in_threads(several, runs, tiny=tiny(cells, rows[given])):
            pass
    return value_NF, value_NF.std(1) >= FLAT


def mirrored(value_NF: np.ndarray) -> np.ndarray:
    """Thumbnails with left and right changed."""
    return np.ascontiguousarray(value_NF.reshape(-1, SIDE, SIDE)[:, :, ::-1]).reshape(value_NF.shape)


def without_edge(value_NF: np.ndarray) -> np.ndarray:
    """Thumbnails without a twentieth at each side, at full size again, by straight lines between pixels."""
    at_S = (np.arange(SIDE) + 0.5) * (1 - 2 * EDGE) + EDGE * SIDE - 0.5
    low_S, part_S = np.floor(at_S).astype(int), at_S - np.floor(at_S)
    move_SS = np.zeros((SIDE, SIDE), np.float32)
    move_SS[np.arange(SIDE), low_S] = 1 - part_S
    move_SS[np.arange(SIDE), np.minimum(low_S + 1, SIDE - 1)] += part_S
    return _both_ways(value_NF, move_SS).reshape(value_NF.shape)


def _both_ways(value_NF: np.ndarray, matrix_LS: np.ndarray) -> np.ndarray:
    """Each thumbnail times a matrix from the left and from the right, (N, L, L): as products of some hundred pictures,
    because single ones take several times as long, and all at once do not fit the processor's cache."""
    side = len(matrix_LS)
    found_NLL = np.empty((len(value_NF), side, side), value_NF.dtype)
    for start in range(0, len(value_NF), _AT_ONCE):
        some_NF = value_NF[start : start + _AT_ONCE]
        across_NSL = (some_NF.reshape(-1, SIDE) @ matrix_LS.T).reshape(-1, SIDE, side)
        turned_MS = across_NSL.transpose(0, 2, 1).reshape(-1, SIDE)
        found_NLL[start : start + _AT_ONCE] = (turned_MS @ matrix_LS.T).reshape(-1, side, side).transpose(0, 2, 1)
    return found_NLL


def hashes_of(value_NF: np.ndarray) -> np.ndarray:
    """The hash, (N,) uint64: its bits say which of the low frequencies are above their median."""
    place_S = np.arange(SIDE)
    cosine_LS = np.cos(np.pi / SIDE * (place_S[None, :] + 0.5) * np.arange(LOW)[:, None]).astype(value_NF.dtype)
    low_N64 = _both_ways(value_NF, cosine_LS).reshape(len(value_NF), LOW * LOW)
    low_N64[:, 0] = 0.0  # how bright it is
    middle = LOW * LOW // 2
    rank_N64 = np.partition(low_N64, (middle - 1, middle), axis=1)
    bits_N64 = low_N64 > rank_N64[:, middle - 1 : middle + 1].mean(1, keepdims=True)
    return np.ascontiguousarray(np.packbits(bits_N64, axis=1)).view(np.uint64)[:, 0]


def nearest(one_N: np.ndarray, other_T: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each hash the ``count`` nearest others, by bits that differ: which they are and how many bits, (N, count)."""

    def looked_up(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bits_NT = np.bitwise_count(some[:, None] ^ other_T[None, :])
        at = np.argpartition(bits_NT, min(count, len(other_T)) - 1, axis=1)[:, :count]
        return at, np.take_along_axis(bits_NT, at, axis=1)

    places, bits = zip(*in_threads(looked_up, np.array_split(one_N, -(-len(one_N) // _RUN) or 1)), strict=True)
    return np.concatenate(places), np.concatenate(bits)


def unit(value_NF: np.ndarray) -> np.ndarray:
    """Pictures without brightness and contrast: of mean 0 and length 1, or 0 where they are flat."""
    away_NF = value_NF - value_NF.mean(-1, keepdims=True)
    return np.asarray(away_NF / np.maximum(np.linalg.norm(away_NF, axis=-1, keepdims=True), 1e-9))


def apart(one_NF: np.ndarray, other_NF: np.ndarray) -> np.ndarray:
    """How far pictures are apart, row by row, whatever their brightness and contrast: 0 for equal, 1 for unrelated."""
    return np.asarray(np.sqrt(np.maximum(0.0, 1 - (unit(one_NF) * unit(other_NF)).sum(-1))))
