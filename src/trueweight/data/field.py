"""A field: the feature columns that one encoder reads together, and how wide their arrays are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trueweight.data.cells import Cells
from trueweight.data.column import Arrays, Codec

__all__ = ["Field", "Layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """What an encoder may know of its input before it is built."""

    shapes: Mapping[str, int]
    """Array name to width: ``{"number": 6, "flag": 2, "code": 5}``; a name that is absent has width 0."""
    cardinalities: tuple[int, ...] = ()
    """Distinct codes for each column of ``code``."""
    knots: tuple[tuple[float, ...], ...] = ()
    """Inner quantiles for each column of ``number``, in encoded units; () where unknown."""
    labels: Mapping[str, tuple[str, ...]] = None  # type: ignore[assignment]  # set by Field.layout
    """A word for each array column."""

    def width(self, name: str) -> int:
        """Width of an array, 0 if the field has none of that name."""
        return self.shapes.get(name, 0)


@dataclass(frozen=True, slots=True)
class Field:
    """Feature columns with their codecs, in order. Arrays of one name are joined along axis 1."""

    name: str
    codecs: Mapping[str, Codec]
    """By column name."""
    types: Mapping[str, str]
    """Column type by column name, for the codec's way back from JSON."""

    def layout(self) -> Layout:
        """Widths of the joined arrays."""
        codecs = list(self.codecs.values())
        names = sorted({name for codec in codecs for name in codec.shapes()})
        return Layout(
            {name: sum(codec.shapes().get(name, 0) for codec in codecs) for name in names},
            tuple(c for codec in codecs for c in codec.cardinalities()),
            tuple(tuple(k) for codec in codecs for k in codec.knots()),
            {name: tuple(w for codec in codecs for w in codec.labels().get(name, [])) for name in names},
        )

    def encode(self, cells: Mapping[str, Cells]) -> Arrays:
        """Arrays of all rows: ``{"number": (N, C) float32, …}``, C-contiguous."""
        parts: dict[str, list[np.ndarray]] = {}
        for name, codec in self.codecs.items():
            for key, array in codec.encode(cells[name]).items():
                parts.setdefault(key, []).append(array)
        return {key: np.ascontiguousarray(np.concatenate(arrays, axis=1)) for key, arrays in sorted(parts.items())}

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``codecs.json``."""
        columns = [{"name": n, "type": self.types[n], "codec": c.to_json()} for n, c in self.codecs.items()]
        return {"name": self.name, "columns": columns}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any], codecs: Sequence[Codec]) -> "Field":
        """The inverse of :meth:`to_json`; the caller has rebuilt the codecs by their types."""
        columns = raw["columns"]
        names = [column["name"] for column in columns]
        return cls(raw["name"], dict(zip(names, codecs, strict=True)), {c["name"]: c["type"] for c in columns})
