"""What a column type is: the protocol that every part of kind ``column`` keeps.

A column type reads raw cells, learns facts from them, and makes the codec that turns cells into arrays.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, ReadOptions
from trueweight.data.ragged import Ragged
from trueweight.data.sample import BottomK

__all__ = ["Arrays", "Codec", "ColumnType", "FieldArrays", "Sense"]

Arrays = Mapping[str, np.ndarray]
"""Encoded columns of N rows. Names are shared between types, so that one encoder can read many columns:

    number  float32 (N, C)  continuous values, about standard normal on training rows; NaN-free
    flag    float32 (N, F)  0/1 facts: missing marks, members of sets
    code    int32 (N, K)    category numbers: 0 is missing, 1 is rare or never seen, levels from 2 on
"""

FieldArrays = Mapping[str, np.ndarray | Ragged]
"""The same, and those of the senses, of which a field holds one column only (see :class:`Sense`):

    pixel   uint8 (N, H, W, C)      a picture
    frame   float32 or float16, ragged (C)  a sound's spectrum or a series, step by step
    token   int32, ragged (1)       text as token numbers: 0 is padding, 1 unknown
    bag     int32, ragged (1)       text as n-gram numbers, in no order
    weight  float32, ragged (1)     the weight of each of ``bag``
"""


@dataclass(frozen=True, slots=True)
class Sense:
    """What an encoder may know of an array that is more than a few places a row, before it is built."""

    ragged: bool = False
    """Rows of different lengths: a batch holds (B, T, C) filled with zeros, and ``<name>.length``, (B,) int64. In
    training there is no length where all rows of the data are equally long: T is everybody's."""
    grid: tuple[int, ...] = ()
    """Fixed axes between the row and the width, (H, W) for pictures."""
    vocabulary: int = 0
    """How many numbers there are, for arrays of numbers that name things."""
    mean: tuple[float, ...] = ()
    """Of each place of the width, over training rows; () where it means nothing."""
    std: tuple[float, ...] = ()
    """Above 0."""
    length: int = 0
    """Most items that a row keeps, for ragged arrays."""
    covariance: tuple[tuple[float, ...], ...] = ()
    """Of patches of 2 by 2 pixels, values by row, column and channel; () where unknown."""
    hertz: tuple[float, ...] = ()
    """The middle of each band of a spectrum; () for what is none."""
    mirrors: bool = True
    """Whether the mirror image of a picture may stand for it, as far as the training rows tell."""


class Codec(Protocol):
    """Cells to arrays, for one column. Plain data inside, so that it can be written to JSON."""

    def shapes(self) -> dict[str, int]:
        """Width of each array that :meth:`encode` gives, e.g. ``{"number": 1, "flag": 1}``."""
        ...

    def cardinalities(self) -> list[int]:
        """Number of distinct codes (missing and rare included) for each column of ``code``; [] without."""
        ...

    def knots(self) -> list[list[float]]:
        """For each column of ``number``: inner quantiles in encoded units, ascending, distinct; for piecewise
        linear embeddings. May be empty lists."""
        ...

    def labels(self) -> dict[str, list[str]]:
        """A word for each array column, for explanations: ``{"number": ["age"], "flag": ["age missing"]}``."""
        ...

    def senses(self) -> Mapping[str, Sense]:
        """What there is to know of each array of the senses; {} for plain columns."""
        ...

    def encode(self, cells: Cells) -> FieldArrays: ...

    def to_json(self) -> dict[str, Any]:
        """Everything that :meth:`ColumnType.codec_from_json` needs. Its digest addresses encoded blocks."""
        ...


class ColumnType(Protocol):
    """A part of kind ``column``. Implementations are ``PartSpec`` classes whose fields the user may set."""

    type: str

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> Cells:
        """Interpret raw cells. Never raises for dirt: what cannot be read is missing and counted in notes."""
        ...

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:
        """Facts from the rows given (training rows), plain JSON values. Counts exact, scales from the sample.

        Holds no value of fewer than ``min_group`` rows, no minimum and no maximum.
        """
        ...

    def codec(self, name: str, learnt: Mapping[str, Any]) -> Codec: ...

    def codec_from_json(self, raw: Mapping[str, Any]) -> Codec: ...

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        """Made-up raw cells that :meth:`read` can read, about one in ten missing if any were missing."""
        ...

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """One short line for ``show``: "mean 29.6, half between 20 and 38", "3 levels: 1st, 2nd, 3rd"."""
        ...
