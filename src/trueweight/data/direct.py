"""Plain values straight to arrays: the same numbers as by way of Arrow and cells, all columns of a field at once.

Shape suffixes:
    N  rows    C  columns of numbers    S  those of them that vary    F  those that mark missing values
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from trueweight.data.column import Codec, FieldArrays
from trueweight.data.columns.number import NumberCodec, Transform, scaled, transformed
from trueweight.data.told import Told

__all__ = ["Direct"]


@dataclass(frozen=True, slots=True)
class Direct:
    """A field all of whose columns are numbers."""

    names: tuple[str, ...]
    fill_C: np.ndarray
    transforms: tuple[tuple[int, Transform], ...]
    """Places of the columns that are transformed, and how."""
    varies: slice | np.ndarray
    """Places of the columns that give a number."""
    center_S: np.ndarray
    scale_S: np.ndarray
    flags: np.ndarray
    """Places of the columns that mark missing values, (F,)."""

    @classmethod
    def of(cls, codecs: Mapping[str, Codec]) -> Self | None:
        """What encodes these columns; None if one of them is no number."""
        known = [codec for codec in codecs.values() if isinstance(codec, NumberCodec)]
        if not known or len(known) < len(codecs):
            return None
        varies = [place for place, codec in enumerate(known) if codec.scale]
        return cls(
            tuple(codecs),
            np.array([codec.fill for codec in known], np.float64),
            tuple((place, known[place].transform) for place in varies if known[place].transform != "none"),
            slice(None) if len(varies) == len(known) else np.array(varies, np.int64),
            np.array([known[place].center for place in varies], np.float64),
            np.array([known[place].scale for place in varies], np.float64),
            np.array([place for place, codec in enumerate(known) if codec.flags], np.int64),
        )

    def encode(self, told: Told) -> FieldArrays | None:
        """As ``Field.encode`` of the cells; None where a column holds something that has to be read first."""
        value_NC = told.numbers(self.names)
        if value_NC is None:
            return None
        given_NC = np.isfinite(value_NC)
        arrays: dict[str, np.ndarray] = {}
        if len(self.flags):
            arrays["flag"] = np.ascontiguousarray(~given_NC[:, self.flags], np.float32)
        if len(self.scale_S):
            filled_NC = np.where(given_NC, value_NC, self.fill_C)
            for place, transform in self.transforms:
                filled_NC[:, place] = transformed(np.ascontiguousarray(filled_NC[:, place]), transform)
            number_NS = scaled(filled_NC[:, self.varies], self.center_S, self.scale_S)
            arrays["number"] = np.ascontiguousarray(number_NS, np.float32)
        return arrays
