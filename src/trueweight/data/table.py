"""A table as it was found: named columns over Arrow, cells not yet interpreted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from trueweight.data.told import Told
from trueweight.errors import DataError

__all__ = ["Provenance", "Table"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a table came from and what reading it cost. Holds no absolute paths and no cells."""

    names: tuple[str, ...] = ()
    """File names without folders; empty for a frame."""
    digest: str = ""
    """Of the content: file bytes and reading options, or the frame's Arrow buffers."""
    format: str = "frame"
    encoding: str | None = None
    delimiter: str | None = None
    skipped_rows: int = 0
    """Unreadable rows that were left out."""
    notes: tuple[str, ...] = ()
    """What a careful reader would want to know, in plain words."""
    series: tuple[str, ...] | None = None
    """Columns that became lists when rows were put together to cases; None where each row is a case."""
    channels: tuple[str, ...] = ()
    """Columns that became the channels of one of these series."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Table:
    """Rows as they were read. Text files give string columns (null = empty unquoted cell is *not* assumed:
    empty cells are ""); Parquet, Arrow and frames keep their types. A column type's ``read`` interprets cells.
    """

    data: pa.Table
    provenance: Provenance = field(default_factory=Provenance)
    media_dir: Path | None = None
    """Folder that paths in cells start from; None: the working directory."""
    told: Told | None = field(default=None, init=False, repr=False)
    """The same rows as plain values, where they came as such; ``data`` is then made when somebody asks for it. Tables
    made of this one have their own ``data``, and nothing told."""

    if not TYPE_CHECKING:  # or any name would pass for an attribute

        def __getattr__(self, name: str) -> pa.Table:
            """Of what is not there: Arrow of what was told."""
            if name != "data":
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            made = self.told.arrow()
            object.__setattr__(self, "data", made)
            return made

    def __len__(self) -> int:
        return int(self.data.num_rows) if self.told is None else self.told.count

    @property
    def names(self) -> list[str]:
        """Column names, in file order, unique."""
        return list(self.data.column_names if self.told is None else self.told.columns)

    def column(self, name: str) -> pa.ChunkedArray:
        """Raw cells of one column.

        Raises:
            DataError: There is no such column; names the nearest ones.
        """
        if name not in self.data.column_names:
            from difflib import get_close_matches

            near = get_close_matches(name, self.names, n=3) or self.names[:8]
            raise DataError(f"no column {name!r}", where=self.label, hint=f"there is {', '.join(map(repr, near))}")
        return self.data.column(name)

    @property
    def label(self) -> str:
        """Short name for messages: the first file and how many more, or "the table"."""
        first, *more = self.provenance.names or ("the table",)
        return f"{first} and {len(more)} more" if more else first

    def take(self, rows: Sequence[int] | pa.Array) -> "Table":
        """The rows with these numbers, in this order."""
        return replace(self, data=self.data.take(rows if isinstance(rows, pa.Array) else pa.array(rows, pa.int64())))

    def select(self, names: Sequence[str]) -> "Table":
        """Only these columns."""
        return replace(self, data=self.data.select(list(names)))

    def head(self, rows: int) -> "Table":
        """The first rows."""
        return replace(self, data=self.data.slice(0, rows))

    def row(self, number: int) -> "Table":
        """One of them."""
        return self.part(number, 1)

    def part(self, start: int, rows: int) -> "Table":
        """So many of them, fewer at the end."""
        return replace(self, data=self.data.slice(start, rows))

    def slices(self, rows: int) -> Iterator["Table"]:
        """All rows, so many at a time; one empty table where there are none."""
        for start in range(0, max(1, len(self)), rows):
            yield self.part(start, rows)

    @classmethod
    def of_told(cls, told: Told, provenance: Provenance) -> "Table":
        """A few rows that came as plain values."""
        table = cls.__new__(cls)
        for name, value in (("provenance", provenance), ("media_dir", None), ("told", told)):
            object.__setattr__(table, name, value)
        return table

    @classmethod
    def of(cls, columns: Mapping[str, object]) -> "Table":
        """A small table from Python lists or arrays, for tests and synthetic rows."""
        return cls(pa.table(dict(columns)))
