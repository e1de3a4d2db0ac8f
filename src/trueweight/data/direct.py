"""Plain values straight to arrays: the same numbers as by way of Arrow and cells, all columns of a field at once.

Numbers are put on their scales side by side. What a level means, in a column of categories or of yes and no, is looked
up once, by way of cells, and remembered.

Shape suffixes:
    N  rows    C  columns of numbers    S  those of them that vary    F  those that mark missing values
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from trueweight.data.column import Arrays, Codec, FieldArrays
from trueweight.data.columns.binary import BinaryCodec
from trueweight.data.columns.category import CategoryCodec
from trueweight.data.columns.number import NumberCodec, Transform, scaled, transformed
from trueweight.data.signature import Signature
from trueweight.data.told import EXACT, Told

__all__ = ["Direct"]

_REMEMBERED, _LONG = 4096, 100
"""Values of a column that are remembered, and the longest of them: nobody's made-up levels fill the memory."""

_FEW = 512
"""Rows whose levels are looked up one by one; Arrow reads many of them sooner."""


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Columns of numbers, C of them."""

    names: tuple[str, ...]
    fill_C: np.ndarray
    transforms: tuple[tuple[int, Transform], ...]
    """Places of the columns that are transformed, and how."""
    varies: slice | np.ndarray
    """Places of the columns that give a number, S of them."""
    center_S: np.ndarray
    scale_S: np.ndarray
    marked: tuple[str, ...]
    """Columns that mark missing values, F of them."""
    place_F: np.ndarray

    @classmethod
    def of(cls, codecs: Mapping[str, NumberCodec]) -> Self:
        known = list(codecs.values())
        varies = [place for place, codec in enumerate(known) if codec.scale]
        return cls(
            tuple(codecs),
            np.array([codec.fill for codec in known], np.float64),
            tuple((place, known[place].transform) for place in varies if known[place].transform != "none"),
            slice(None) if len(varies) == len(known) else np.array(varies, np.int64),
            np.array([known[place].center for place in varies], np.float64),
            np.array([known[place].scale for place in varies], np.float64),
            tuple(name for name, codec in codecs.items() if codec.flags),
            np.array([place for place, codec in enumerate(known) if codec.flags], np.int64),
        )

    def encode(self, value_NC: np.ndarray) -> dict[str, np.ndarray]:
        """ "flag" and "number", where there are some."""
        given_NC = np.isfinite(value_NC)
        arrays: dict[str, np.ndarray] = {}
        if self.marked:
            arrays["flag"] = np.ascontiguousarray(~given_NC[:, self.place_F], np.float32)
        if len(self.scale_S):
            filled_NC = np.where(given_NC, value_NC, self.fill_C)
            for place, transform in self.transforms:
                filled_NC[:, place] = transformed(np.ascontiguousarray(filled_NC[:, place]), transform)
            number_NS = scaled(filled_NC[:, self.varies], self.center_S, self.scale_S)
            arrays["number"] = np.ascontiguousarray(number_NS, np.float32)
        return arrays


@dataclass(frozen=True, slots=True)
class _Levels:
    """A column of categories, or of yes and no: what a cell means there, it means whatever stands above and below."""

    name: str
    codec: CategoryCodec | BinaryCodec
    known: dict[type, dict[Any, Arrays]] = field(default_factory=dict)
    """Arrays of one row by a value and its type: 1, 1.0 and true are one key of a dict."""

    def encode(self, told: Told, signature: Signature) -> Arrays | None:
        """As the codec, of the column's cells; None for numbers that Arrow has its own ways with."""
        values = told.columns.get(self.name) or (None,) * told.count
        kind = type(values[0])
        known, found = self.known.setdefault(kind, {}), dict[Any, Arrays]()
        if fresh := [value for value in dict.fromkeys(values) if value not in known]:
            if kind is int and not all(-EXACT < value < EXACT for value in fresh):
                return None
            found = self._learnt(fresh, known, told, signature)
        rows = [known[value] if value in known else found[value] for value in values]
        if len(rows) == 1:
            return rows[0]
        return {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}

    def _learnt(
        self, fresh: Sequence[Any], known: dict[Any, Arrays], told: Told, signature: Signature
    ) -> dict[Any, Arrays]:
        part: Any = signature.columns[self.name].part
        arrays = self.codec.encode(part.read(told.made({self.name: fresh}).column(self.name), signature.options))
        found: dict[Any, Arrays] = {
            v: {key: array[i : i + 1] for key, array in arrays.items()} for i, v in enumerate(fresh)
        }
        kept = {v: row for v, row in found.items() if not isinstance(v, str) or len(v) <= _LONG}
        if len(known) + len(kept) <= _REMEMBERED:
            known.update(kept)
        return found


@dataclass(frozen=True, slots=True)
class Direct:
    """A field of numbers, categories and yes-no columns alone."""

    names: tuple[str, ...]
    """All columns, in the codecs' order."""
    numbers: _Numbers | None
    levels: Mapping[str, _Levels]

    @classmethod
    def of(cls, codecs: Mapping[str, Codec]) -> Self | None:
        """What encodes these columns; None if one of them is of another type."""
        numbers = {name: codec for name, codec in codecs.items() if isinstance(codec, NumberCodec)}
        levels = {n: _Levels(n, codec) for n, codec in codecs.items() if isinstance(codec, CategoryCodec | BinaryCodec)}
        if not codecs or len(numbers) + len(levels) < len(codecs):
            return None
        return cls(tuple(codecs), _Numbers.of(numbers) if numbers else None, levels)

    def encode(self, told: Told, signature: Signature) -> FieldArrays | None:
        """As ``Field.encode`` of the cells; None where a column holds something that has to be read first."""
        if self.levels and told.count > _FEW:
            return None
        found: dict[str, np.ndarray] = {}
        if self.numbers is not None:
            value_NC = told.numbers(self.numbers.names)
            if value_NC is None:
                return None
            found = self.numbers.encode(value_NC)
        if not self.levels:
            return found
        own: dict[str, Arrays] = {}
        for name, levels in self.levels.items():
            arrays = levels.encode(told, signature)
            if arrays is None:
                return None
            own[name] = arrays
        return self._joined(found, own)

    def _joined(self, numbers: dict[str, np.ndarray], own: Mapping[str, Arrays]) -> FieldArrays:
        """Side by side, in the codecs' order."""
        marked = self.numbers.marked if self.numbers is not None else ()
        flags = {name: numbers["flag"][:, place : place + 1] for place, name in enumerate(marked)}
        flags |= {name: arrays["flag"] for name, arrays in own.items() if "flag" in arrays}
        codes = [arrays["code"] for arrays in own.values() if "code" in arrays]
        found: dict[str, np.ndarray] = {}
        if codes:
            found["code"] = np.ascontiguousarray(np.concatenate(codes, axis=1))
        if flags:
            ordered = [flags[name] for name in self.names if name in flags]
            found["flag"] = np.ascontiguousarray(np.concatenate(ordered, axis=1))
        return found | {key: array for key, array in numbers.items() if key == "number"}
