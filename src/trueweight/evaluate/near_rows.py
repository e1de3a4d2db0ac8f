"""Judged rows that are nearly a training row: in a text, a picture or a sound.

Each way also answers whether there are more of them than comes about by itself: letters come from templates, and small
pictures look alike, without anybody having copied anything.

Shape suffixes:
    N  judged rows    T  training rows    B  bins of a sketch    F  pixels of a thumbnail
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trueweight.data.cells import Cells, MediaCells, TextCells
from trueweight.data.picture_prints import apart, hashes_of, mirrored, nearest, thumbnails, unit, without_edge
from trueweight.data.shingles import BINS, jaccard, shingles_of, sketches
from trueweight.data.sound_prints import sound_prints
from trueweight.seeds import row_hashes

__all__ = ["Near", "Pair", "near_pictures", "near_sounds", "near_texts"]

SIMILAR = 0.8
"""Jaccard index of the shingles of two texts from which they are nearly the same."""

LEAST_SHINGLES = 60
"""A shorter text may well be written twice."""

ALIKE = 0.005
"""Share of pairs of unrelated texts from which likeness means nothing here: forms, letters from one template."""

LEAST = 3
"""Texts or pictures with a near twin; one or two are nobody's fault."""

CLOSER = 0.25
"""How far a picture's twin may be away, as a share of how far its fifth nearest among others is."""

REFERENCES = 500
"""Training pictures that tell how far pictures are from each other here."""

_AT_ONCE = 256
_FIFTH = 4
_BITS = 12
"""Of 64 that two pictures' hashes may differ by to be looked at closely."""

_PIXELS = 5e7
"""Pixels of files that are decoded: about half a second."""

_OPENED = 3000
"""And as many of them does it cost to open a file."""

_NEIGHBOURS = 3
"""Training rows that are compared where several share a band."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One column of the judged rows, and of the training rows."""

    name: str
    judged: Cells
    judged_rows: np.ndarray
    """Rows of ``judged`` that are looked at, (N,)."""
    training: Cells
    training_rows: np.ndarray
    """Rows of ``training`` that are looked at, (T,)."""


@dataclass(frozen=True, slots=True)
class Near:
    """Which judged rows have a near twin, by one way of looking."""

    what: str
    """For a sentence: "in all columns", "by the text 'notes'"."""
    twin_N: np.ndarray
    """bool."""
    copied: bool
    """Whether there are more than come about by themselves."""
    known: Mapping[str, Any] = field(default_factory=dict)
    """What was compared, for the record."""


def near_texts(pair: Pair) -> Near | None:
    """Texts that share at least four of five shingles with a training text; None where texts are too short for that."""
    assert isinstance(pair.judged, TextCells)
    assert isinstance(pair.training, TextCells)
    texts, others = (
        [text or "" for text in cells.text_N.take(rows).to_pylist()]
        for cells, rows in ((pair.judged, pair.judged_rows), (pair.training, pair.training_rows))
    )
    (sketch_NB, count_N), (sketch_TB, count_T) = sketches(texts), sketches(others)
    long_N, long_T = count_N >= LEAST_SHINGLES, np.flatnonzero(count_T >= LEAST_SHINGLES)
    if not long_N.any() or not len(long_T):
        return None
    twin_N = np.zeros(len(texts), bool)
    likely_N, found_N = _best(sketch_NB, sketch_TB[long_T])
    for n in np.flatnonzero(long_N & (likely_N >= SIMILAR - 0.2)):
        other = others[long_T[found_N[n]]]
        twin_N[n] = jaccard(shingles_of(texts[n]), shingles_of(other)) >= SIMILAR
    alike = _alike(sketch_NB[long_N], sketch_TB[long_T])
    copied = bool(twin_N.sum() >= LEAST and alike <= ALIKE)
    known = {"training_rows": len(others), "texts": int(long_N.sum()), "alike": round(alike, 6)}
    return Near(f"by the text {pair.name!r}", twin_N, copied, known)


def _alike(sketch_NB: np.ndarray, sketch_TB: np.ndarray) -> float:
    """Share of pairs that have nothing to do with each other, yet are alike."""
    turns = [(sketch_NB == np.resize(np.roll(sketch_TB, turn, axis=0), sketch_NB.shape)).mean(1) for turn in range(5)]
    return float((np.stack(turns) >= SIMILAR - 0.1).mean())


def _best(sketch_NB: np.ndarray, sketch_TB: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each text, the likeliest twin's share of equal bins, and which it is, among those equal in one of 16 bands."""
    likely_N, found_N = np.zeros(len(sketch_NB)), np.zeros(len(sketch_NB), np.int64)
    for start in range(0, BINS, 4):
        key_N, key_T = (_key(sketch[:, start : start + 4]) for sketch in (sketch_NB, sketch_TB))
        for row_N, same_N in _meeting(key_N, key_T):
            share_N = np.where(same_N, (sketch_NB == sketch_TB[row_N]).mean(1), 0.0)
            better_N = share_N > likely_N
            likely_N, found_N = np.where(better_N, share_N, likely_N), np.where(better_N, row_N, found_N)
    return likely_N, found_N


def _key(band_N4: np.ndarray) -> np.ndarray:
    key_N = np.zeros(len(band_N4), np.uint64)
    for column_N in band_N4.T:
        key_N = row_hashes(17, key_N ^ column_N)
    return key_N


def _meeting(key_N: np.ndarray, key_T: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """A few training rows with each judged row's key: (row, whether its key is really the same) by turns."""
    order_T = np.argsort(key_T, kind="stable")
    first_N = np.searchsorted(key_T[order_T], key_N)
    found = []
    for step in range(_NEIGHBOURS):
        row_N = order_T[np.minimum(first_N + step, len(order_T) - 1)]
        found.append((row_N, key_T[row_N] == key_N))
    return found


def near_pictures(pair: Pair) -> Near | None:
    """Pictures that look like a training picture, or like its mirror image, or like either but for a narrow edge, and
    far more so than pictures here look like each other."""
    assert isinstance(pair.judged, MediaCells)
    assert isinstance(pair.training, MediaCells)
    judged_rows, training_rows = _affordable(pair)
    (value_NF, shows_N), (value_TF, shows_T) = (
        thumbnails(pair.judged, judged_rows), thumbnails(pair.training, training_rows),
    )  # fmt: skip
    judged = _Prints(value_NF, shows_N, (mirrored, without_edge))
    return _near("picture", pair, judged, _Prints(value_TF[shows_T], shows_T[shows_T], (without_edge,)))


def near_sounds(pair: Pair) -> Near | None:
    """Sounds whose spectrogram looks like a training sound's, however loud either is."""
    assert isinstance(pair.judged, MediaCells)
    assert isinstance(pair.training, MediaCells)
    judged = _Prints(*sound_prints(pair.judged, pair.judged_rows), ())
    value_TF, shows_T = sound_prints(pair.training, pair.training_rows)
    return _near("sound", pair, judged, _Prints(value_TF[shows_T], shows_T[shows_T], ()))


@dataclass(frozen=True, slots=True)
class _Prints:
    """What rows look like, small."""

    value_NF: np.ndarray
    shows_N: np.ndarray
    """Whether there is something to know it by."""
    changes: tuple[Callable[[np.ndarray], np.ndarray], ...]
    """What may have been done to copies of them."""

    def hashed(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """With its hashes: as they are, and after each change."""
        values = [self.value_NF, *(change(self.value_NF) for change in self.changes)]
        return [(value_NF, hashes_of(value_NF)) for value_NF in values]


def _near(kind: str, pair: Pair, judged: _Prints, training: _Prints) -> Near | None:
    """Those that are four times as close to a training row's as the fifth nearest of others is."""
    value_NF, value_TF, shows_N = judged.value_NF, training.value_NF, judged.shows_N
    if len(value_TF) <= _FIFTH or not shows_N.any():
        return None
    here, there = judged.hashed(), training.hashed()
    ways = [*((one, there[0]) for one in here), *((here[0], other) for other in there[1:])]
    away_N = np.minimum.reduce([_closest(one, shows_N, other) for one, other in ways])
    twin_N = np.zeros(len(pair.judged_rows), bool)
    if (close := np.flatnonzero(np.isfinite(away_N))).size:
        fifth = _fifth_nearest(value_NF[close], value_TF[:REFERENCES])
        twin_N[close] = away_N[close] < CLOSER * fifth
    known = {"training_rows": len(value_TF), f"{kind}s": int(shows_N.sum())}
    return Near(f"by the {kind} {pair.name!r}", twin_N, bool(twin_N.sum() >= LEAST), known)


def _closest(
    one: tuple[np.ndarray, np.ndarray], shows_N: np.ndarray, other: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """How far each is from the nearest of a few candidates, those of the likest hashes; infinite without any."""
    (value_NF, hash_N), (other_TF, hash_T) = one, other
    away_N = np.full(len(value_NF), np.inf)
    place_NK, bits_NK = nearest(hash_N, hash_T, _NEIGHBOURS)
    for place_N, bits_N in zip(place_NK.T, bits_NK.T, strict=True):
        near = np.flatnonzero((bits_N <= _BITS) & shows_N)
        away_N[near] = np.minimum(away_N[near], apart(value_NF[near], other_TF[place_N[near]]))
    return away_N


def _affordable(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose files have not too many pixels together; they come in the order of their hashes, so any first ones
    are a sample."""
    assert isinstance(pair.judged, MediaCells)
    assert isinstance(pair.training, MediaCells)
    kept = []
    for cells, rows in ((pair.judged, pair.judged_rows), (pair.training, pair.training_rows)):
        pixels = cells.head_NF[rows, 0] * cells.head_NF[rows, 1] + _OPENED
        kept.append(rows[: max(1, int(np.searchsorted(np.cumsum(pixels), _PIXELS)))])
    return kept[0], kept[1]


def _fifth_nearest(value_NF: np.ndarray, other_TF: np.ndarray) -> np.ndarray:
    one_NF, other_TF = unit(value_NF), unit(other_TF)
    found = []
    for some_NF in np.array_split(one_NF, -(-len(one_NF) // _AT_ONCE)):
        alike_NT = np.partition(some_NF @ other_TF.T, len(other_TF) - 1 - _FIFTH, axis=1)
        found.append(np.sqrt(np.maximum(0.0, 1 - alike_NT[:, len(other_TF) - 1 - _FIFTH])))
    return np.concatenate(found)
