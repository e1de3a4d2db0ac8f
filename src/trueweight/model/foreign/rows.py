"""Rows for a model that was trained elsewhere: the columns it reads, in the kind of frame that it knows.

A table that a check has changed (shuffled, blurred, with a column lost) must reach the model in the very form of the
first one, so what a column is is decided once, on all rows that were given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import ReadOptions
from trueweight.data.parse_texts import flat, is_text
from trueweight.data.table import Table

__all__ = ["Rows", "rows_like"]

Form = Literal["pandas", "polars", "arrays"]


@dataclass(frozen=True, slots=True)
class Rows:
    """How rows are handed over."""

    names: tuple[str, ...]
    """Columns that the model reads, in its order."""
    numbers: frozenset[str]
    """Those that hold numbers; the others are texts, or whatever the frame held."""
    missing: frozenset[str]
    """Texts that mean "no value"."""
    form: Form
    types: Mapping[str, Any]
    """By column, the type it had in the frame that was given; empty for files."""

    def of(self, table: Table) -> Any:
        """A pandas or Polars frame where one was given (or pandas is there), else arrays by name."""
        columns = {name: self._column(table, name) for name in self.names}
        if self.form == "pandas":
            import pandas as pd

            frame = pd.DataFrame(columns)
            return frame.assign(**{n: _as(frame[n], t) for n, t in self.types.items() if n in columns})
        if self.form == "polars":
            import polars as pl

            made = {n: pl.Series(n, v, nan_to_null=True) if v.dtype.kind == "f" else pl.Series(n, v.tolist())
                    for n, v in columns.items()}  # fmt: skip
            return pl.DataFrame(
                {n: s.cast(self.types[n], strict=False) if n in self.types else s for n, s in made.items()}
            )
        return columns

    def arrays(self, table: Table) -> dict[str, np.ndarray]:
        """Each column as (N,): float64 with NaN for numbers, else objects."""
        return {name: self._column(table, name) for name in self.names}

    def matrix(self, table: Table) -> np.ndarray:
        """All columns as (N, D) float32, in order.

        Raises:
            ValueError: A column holds texts.
        """
        if texts := [name for name in self.names if name not in self.numbers]:
            raise ValueError(f"column {texts[0]!r} holds texts, and the model takes one matrix of numbers")
        columns = [self._column(table, name).astype(np.float32) for name in self.names]
        return np.stack(columns, axis=1) if columns else np.zeros((len(table), 0), np.float32)

    def _column(self, table: Table, name: str) -> np.ndarray:
        if name not in table.names:  # a lost column is missing in every row
            return np.full(len(table), np.nan if name in self.numbers else None, dtype=None)
        cells = flat(table.column(name))
        if name in self.numbers:
            return _numbers(cells, self.missing)
        return np.array([None if v in self.missing else v for v in cells.to_pylist()] if is_text(cells.type)
                        else _objects(cells), dtype=object)  # fmt: skip


def rows_like(source: object, table: Table, names: Sequence[str], options: ReadOptions, *, frames: bool = True) -> Rows:
    """How rows of a source are handed over.

    Args:
        source: What the caller gave: a frame, arrays, or the name of a file.
        table: The same rows.
        names: Columns that the model reads, in its order.
        options: Says which texts mean "no value".
        frames: Whether the model takes frames; else arrays do.
    """
    missing = frozenset((*options.missing_values, ""))
    numbers = frozenset(n for n in names if n in table.names and _holds_numbers(flat(table.column(n)), missing))
    home = type(source).__module__.split(".")[0]
    if frames and home in ("pandas", "polars"):
        kinds = {str(n): t for n, t in zip(source.columns, source.dtypes, strict=True)}  # type: ignore[attr-defined]
        return Rows(tuple(names), numbers, missing, "pandas" if home == "pandas" else "polars", kinds)
    in_file = frames and isinstance(source, str | Path | list)
    return Rows(tuple(names), numbers, missing, "pandas" if in_file and _pandas_is_there() else "arrays", {})


def _pandas_is_there() -> bool:
    try:
        import pandas  # noqa: F401, ICN001
    except ImportError:
        return False
    return True


def _as(series: Any, kind: Any) -> Any:
    """A column in the type it had, if its values still allow that: a gap in whole numbers does not."""
    try:
        return series.astype(kind)
    except (TypeError, ValueError):
        return series


def _holds_numbers(cells: pa.Array, missing: frozenset[str]) -> bool:
    if pa.types.is_boolean(cells.type):
        return False
    if not is_text(cells.type):
        return bool(pa.types.is_integer(cells.type) or pa.types.is_floating(cells.type) or pa.types.is_null(cells.type))
    texts = pc.unique(cells).drop_null().to_pylist()
    return all(text.strip() in missing or _number(text) is not None for text in texts)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _numbers(cells: pa.Array, missing: frozenset[str]) -> np.ndarray:
    """float64; what is no number is NaN."""
    if not is_text(cells.type):
        if pa.types.is_null(cells.type):
            return np.full(len(cells), np.nan)
        return np.asarray(pc.cast(cells, pa.float64(), safe=False).fill_null(np.nan))
    coded = cells.dictionary_encode()
    known = [None if t.strip() in missing else _number(t) for t in coded.dictionary.to_pylist()]
    values = np.array([np.nan if v is None else v for v in [*known, None]], dtype=np.float64)
    return np.asarray(values[np.asarray(coded.indices.fill_null(len(known)))])


def _objects(cells: pa.Array) -> list[Any]:
    return [None if value is None else value for value in cells.to_pylist()]
