"""Tables put together from cells of several rows: how every explanation asks "what if this column were another's?".

Shape suffixes:
    N  rows    M  rows of the mosaic
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from trueweight.data.borrowed import borrow, joined, kept_but
from trueweight.data.table import Table
from trueweight.metrics.prediction import Prediction
from trueweight.model.protocols import Predictor
from trueweight.progress import may_stop

__all__ = ["Again", "mosaic", "predicted", "with_column"]

MOST_ROWS = 2**16
"""Rows that are put together and answered at once."""


def mosaic(table: Table, rows_M: np.ndarray, others: Mapping[str, np.ndarray] | None = None) -> Table:
    """The rows with these numbers, but the named columns taken from other rows.

    Args:
        table: Where all cells come from.
        rows_M: Row numbers, (M,).
        others: By column, the rows (M,) that its cells come from instead.
    """
    whole = table.take(pa.array(rows_M, pa.int64()))
    data = whole.data
    for name, chosen_M in (others or {}).items():
        place = data.column_names.index(name)
        data = data.set_column(place, data.schema.field(name), table.column(name).take(pa.array(chosen_M, pa.int64())))
    return borrow(replace(whole, data=data), table, dict.fromkeys(whole.names, rows_M) | dict(others or {}))


def with_column(table: Table, name: str, cells: pa.Array) -> Table:
    """The same table with other cells in one column, which may be of another type."""
    return kept_but(replace(table, data=table.data.set_column(table.names.index(name), name, cells)), table, name)


def predicted(predictor: Predictor, parts: Iterable[Table]) -> Iterator[Mapping[str, Prediction]]:
    """Answers for each of many small tables of the same columns, asked for together."""
    for together in parts.runs() if isinstance(parts, Again) else _runs(parts):
        yield from together.answers(predictor)


class Again:
    """Small tables that several predictors are asked about. Those that are asked together at once are kept as they are
    then, with what was decoded of them; of more, each time all are made anew.

    Args:
        make: Makes the tables.
    """

    def __init__(self, make: Callable[[], Iterable[Table]]) -> None:
        self._make = make
        self._kept: tuple[_Run, ...] = ()

    def __iter__(self) -> Iterator[Table]:
        return iter(self._make())

    def runs(self) -> Iterator["_Run"]:
        """Those that are asked together."""
        if self._kept:
            yield from self._kept
            return
        first = None
        for number, run in enumerate(_runs(self._make())):
            first = run if number == 0 else None
            yield run
        self._kept = () if first is None else (first,)


@dataclass(frozen=True)
class _Run:
    whole: Table
    sizes: tuple[int, ...]
    """Rows of each of the tables that it is made of."""

    def answers(self, predictor: Predictor) -> Iterator[Mapping[str, Prediction]]:
        may_stop()
        answers, start = predictor.predict(self.whole), 0
        for size in self.sizes:
            rows = np.arange(start, start + size)
            yield {target: answer.take(rows) for target, answer in answers.items()}
            start += size


def _runs(parts: Iterable[Table]) -> Iterator[_Run]:
    waiting: list[Table] = []
    for part in parts:
        may_stop()
        waiting.append(part)
        if sum(map(len, waiting)) >= MOST_ROWS:
            yield _run(waiting)
            waiting = []
    if waiting:
        yield _run(waiting)


def _run(tables: Sequence[Table]) -> _Run:
    data = pa.concat_tables([table.data for table in tables], promote_options="none")
    return _Run(joined(replace(tables[0], data=data), tables), tuple(map(len, tables)))
