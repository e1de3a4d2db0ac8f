"""A field: the feature columns that one encoder reads together, and how wide their arrays are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from trueweight.data.cells import Cells
from trueweight.data.column import Codec, FieldArrays, Sense
from trueweight.data.direct import Direct
from trueweight.data.ragged import Ragged
from trueweight.files import digest_compact

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
    senses: Mapping[str, Sense] = field(default_factory=dict)
    """What there is to know of arrays of pictures, sounds, texts and series."""
    marks: tuple[tuple[int, ...], ...] = ()
    """For each column of ``flag``: the columns of ``number`` that are filled where it is 1, as the cell is missing;
    () where it says something else."""

    def width(self, name: str) -> int:
        """Width of an array, 0 if the field has none of that name."""
        return self.shapes.get(name, 0)


@dataclass(frozen=True)
class Field:
    """Feature columns with their codecs, in order. Arrays of one name are joined along axis 1."""

    name: str
    codecs: Mapping[str, Codec]
    """By column name."""
    types: Mapping[str, str]
    """Column type by column name, for the codec's way back from JSON."""

    @cached_property
    def digest(self) -> str:
        """A name for what it makes of cells. Found once: a text's codec holds tens of thousands of numbers."""
        return digest_compact(self.to_json())

    def layout(self) -> Layout:
        """Widths of the joined arrays."""
        codecs = list(self.codecs.values())
        names = sorted({name for codec in codecs for name in codec.shapes()})
        return Layout(
            {name: sum(codec.shapes().get(name, 0) for codec in codecs) for name in names},
            tuple(c for codec in codecs for c in codec.cardinalities()),
            tuple(tuple(k) for codec in codecs for k in codec.knots()),
            {name: tuple(w for codec in codecs for w in codec.labels().get(name, [])) for name in names},
            {name: sense for codec in codecs for name, sense in codec.senses().items()},
            _marks([codec.shapes() for codec in codecs]),
        )

    @cached_property
    def sensed(self) -> bool:
        """Whether it holds a column of pictures, sounds, texts or series."""
        return any(codec.senses() for codec in self.codecs.values())

    @cached_property
    def direct(self) -> Direct | None:
        """What encodes plain values without cells, if there is such a way."""
        return Direct.of(self.codecs)

    def encode(self, cells: Mapping[str, Cells]) -> FieldArrays:
        """Arrays of all rows: ``{"number": (N, C) float32, …}``, C-contiguous. Those of the senses are not joined:
        a field has one column of them."""
        parts: dict[str, list[np.ndarray]] = {}
        whole: dict[str, np.ndarray | Ragged] = {}
        for name, codec in self.codecs.items():
            senses = codec.senses()
            for key, array in codec.encode(cells[name]).items():
                if key in senses:
                    whole[key] = array
                else:
                    assert isinstance(array, np.ndarray)  # only arrays of the senses are ragged
                    parts.setdefault(key, []).append(array)
        joined = {key: np.ascontiguousarray(np.concatenate(arrays, axis=1)) for key, arrays in parts.items()}
        return dict(sorted((joined | whole).items()))

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


def _marks(shapes: Sequence[Mapping[str, int]]) -> tuple[tuple[int, ...], ...]:
    """A codec with numbers and one flag marks with it that they are missing."""
    found: list[tuple[int, ...]] = []
    start = 0
    for shape in shapes:
        numbers, flags = shape.get("number", 0), shape.get("flag", 0)
        found += [tuple(range(start, start + numbers))] if numbers and flags == 1 else [()] * flags
        start += numbers
    return tuple(found)
