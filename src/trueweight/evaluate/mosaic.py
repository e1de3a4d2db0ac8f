"""Tables put together from cells of several rows: how every explanation asks "what if this column were another's?".

Shape suffixes:
    N  rows    M  rows of the mosaic
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from trueweight.data.table import Table
from trueweight.metrics.prediction import Prediction
from trueweight.model.protocols import Predictor

__all__ = ["mosaic", "predicted", "with_column"]

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
    return replace(whole, data=data)


def with_column(table: Table, name: str, cells: pa.Array) -> Table:
    """The same table with other cells in one column, which may be of another type."""
    return replace(table, data=table.data.set_column(table.names.index(name), name, cells))


def predicted(predictor: Predictor, parts: Iterator[Table]) -> Iterator[Mapping[str, Prediction]]:
    """Answers for each of many small tables of the same columns, asked for together."""
    waiting: list[Table] = []
    for part in parts:
        waiting.append(part)
        if sum(map(len, waiting)) >= MOST_ROWS:
            yield from _answered(predictor, waiting)
            waiting = []
    yield from _answered(predictor, waiting)


def _answered(predictor: Predictor, tables: list[Table]) -> Iterator[Mapping[str, Prediction]]:
    if not tables:
        return
    joined = replace(tables[0], data=pa.concat_tables([table.data for table in tables], promote_options="none"))
    answers, start = predictor.predict(joined), 0
    for table in tables:
        rows = np.arange(start, start + len(table))
        yield {target: answer.take(rows) for target, answer in answers.items()}
        start += len(table)
