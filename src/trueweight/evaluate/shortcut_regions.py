"""Places of pictures, sounds and series that can be put into others: what a shortcut may sit in.

Shape suffixes:
    P  pastes    H  height    W  width    C  channels
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells
from trueweight.data.ragged import Ragged
from trueweight.data.signature import ColumnFacts
from trueweight.evaluate.corrupt_pictures import Pictures, load_pictures, write_pictures
from trueweight.evaluate.corrupt_series import SeriesRows, load_series, write_series
from trueweight.evaluate.corrupt_sounds import Sounds, load_sounds, write_sounds

__all__ = ["PLACED", "Place", "Placed", "grid_places", "span_places"]

GRID = 4
"""Rows and columns of the regions of a picture: each is a sixteenth of its area."""

SPANS = 8
"""Stretches of a sound or a series."""


@dataclass(frozen=True, slots=True)
class Place:
    """A part of a row's picture, sound or series, by shares of its sides."""

    words: str
    """Where it is: "the upper left corner", "the first eighth"."""
    top: float
    left: float
    bottom: float
    right: float
    """For stretches of time, left and right; top and bottom are 0 and 1."""
    border: bool
    """Whether it lies at an edge, where what a picture shows seldom is."""
    word: str = ""
    """For texts, whose places are words."""

    def touches(self, other: "Place") -> bool:
        """Whether they overlap or are neighbours."""
        across = self.left <= other.right + 1e-9 and other.left <= self.right + 1e-9
        return across and self.top <= other.bottom + 1e-9 and other.top <= self.bottom + 1e-9


@dataclass(frozen=True, slots=True)
class Placed:
    """What can be put into others of its kind, place by place."""

    one: str
    """"picture"."""
    types: tuple[str, ...]
    places: Callable[[Any, np.ndarray], tuple[Place, ...]]
    """Of what was loaded, and the answers to its rows."""
    edge: float
    """Share of the decision that a place at the edge must surely carry before it counts as a shortcut."""
    inside: float
    """The same for a place inside, where what is to be seen or heard may well be."""
    load: Callable[[Cells, ColumnFacts], Any]
    there: Callable[[Any], np.ndarray]
    """(N,) bool: rows that hold something."""
    paste: Callable[[Any, np.ndarray, np.ndarray, list[Place]], pa.Array]
    """Cells of receivers (P,) with each donor's (P,) place (P of them) put into the same place."""


def grid_places() -> tuple[Place, ...]:
    """The regions of a picture, row by row."""
    names = ("upper", "upper middle", "lower middle", "lower"), ("left", "middle left", "middle right", "right")
    found = []
    for row in range(GRID):
        for column in range(GRID):
            edges = (row in (0, GRID - 1)) + (column in (0, GRID - 1))
            words = f"{names[0][row]} {names[1][column]}" + (" corner" if edges == 2 else " sixteenth")
            box = (row / GRID, column / GRID, (row + 1) / GRID, (column + 1) / GRID)
            found.append(Place(f"the {words}", *box, border=edges > 0))
    return tuple(found)


def span_places() -> tuple[Place, ...]:
    """The stretches of a sound or a series, in order."""
    names = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "last")
    return tuple(
        Place(f"the {name} eighth", 0, i / SPANS, 1, (i + 1) / SPANS, border=i in (0, SPANS - 1))
        for i, name in enumerate(names)
    )


def _paste_pictures(loaded: Pictures, receiver_P: np.ndarray, donor_P: np.ndarray, places: list[Place]) -> pa.Array:
    pixel_PHWC = loaded.pixel_NHWC[receiver_P]
    high, wide = pixel_PHWC.shape[1:3]
    for i, (donor, place) in enumerate(zip(donor_P, places, strict=True)):
        rows = slice(round(place.top * high), round(place.bottom * high))
        columns = slice(round(place.left * wide), round(place.right * wide))
        pixel_PHWC[i, rows, columns] = loaded.pixel_NHWC[donor, rows, columns]
    return write_pictures(Pictures(pixel_PHWC, np.zeros(len(receiver_P), bool)))


def _spliced(receiver: np.ndarray, donor: np.ndarray, place: Place) -> np.ndarray:
    """The receiver with a stretch of the donor, which may be of another length, instead of its own."""
    start, end = (round(at * len(receiver)) for at in (place.left, place.right))
    piece = donor[round(place.left * len(donor)) : round(place.right * len(donor))]
    return np.concatenate([receiver[:start], piece, receiver[end:]])


def _paste_sounds(loaded: Sounds, receiver_P: np.ndarray, donor_P: np.ndarray, places: list[Place]) -> pa.Array:
    samples = [np.zeros(0, np.float32) if sample is None else sample for sample in loaded.samples]
    triples = zip(receiver_P, donor_P, places, strict=True)
    return write_sounds(replace(loaded, samples=tuple(_spliced(samples[r], samples[d], at) for r, d, at in triples)))


def _paste_series(loaded: SeriesRows, receiver_P: np.ndarray, donor_P: np.ndarray, places: list[Place]) -> pa.Array:
    row, triples = loaded.value.row, zip(receiver_P.tolist(), donor_P.tolist(), places, strict=True)
    rows = [_spliced(row(r), row(d), place) for r, d, place in triples]
    return write_series(replace(loaded, value=Ragged.of(rows, loaded.value.value_MC.shape[1], np.float32)))


PLACED = (
    Placed(
        "picture",
        ("image",),
        lambda _, __: grid_places(),
        0.15,
        0.6,
        load_pictures,
        lambda loaded: ~loaded.missing_N,
        _paste_pictures,
    ),
    Placed(
        "sound",
        ("audio",),
        lambda _, __: span_places(),
        0.4,
        0.75,
        load_sounds,
        lambda loaded: np.array([sample is not None for sample in loaded.samples], bool),
        _paste_sounds,
    ),
    Placed(
        "series",
        ("timeseries",),
        lambda _, __: span_places(),
        0.4,
        0.75,
        load_series,
        lambda loaded: loaded.value.lengths > 0,
        _paste_series,
    ),
)
