"""Cases of several rows each: a table in long form, one row a step, as one row a case with lists.

Shape suffixes:
    N  rows    K  cases
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import DateCells, LevelCells, NumberCells, ReadOptions
from trueweight.data.parse_series import is_list
from trueweight.data.ragged import starts_of
from trueweight.data.reading import cells_of, plain_facts
from trueweight.data.table import Table
from trueweight.errors import DataError
from trueweight.files import canonical_json, digest_bytes
from trueweight.spec.run import CasesSpec

__all__ = ["Grouped", "grouped"]


@dataclass(frozen=True, slots=True)
class Grouped:
    """One row a case."""

    table: Table
    series: tuple[str, ...]
    """Columns that became lists."""
    first_K: np.ndarray
    """Number of a row of each case in the table that was grouped."""


def grouped(
    table: Table, cases: CasesSpec, options: ReadOptions, *, single: Sequence[str] = (),
    apart: Sequence[str | None] | None = None,
) -> Grouped:  # fmt: skip
    """Put the rows of each case together, cases in the order in which they first come.

    Columns that vary within a case become lists in the order of time; others stay single cells: the first that is
    given. The time column, which has done its work, is left out. Rows without a case are left out and counted.

    Args:
        table: One row a step.
        cases: Which columns name the case and the time, and which become lists, where that is known already.
        options: How cells are read.
        single: Columns that must not become lists, such as targets; those that the table lacks are passed over.
        apart: A word for each row; rows with different words never share a case, whatever its name.

    Raises:
        DataError: A column is not there, a time cannot be read, or a case has two values where it must have one.
    """
    assert cases.case is not None  # by the spec's own rule
    order, start_K1 = _order(table, cases, options, apart)
    single = [name for name in single if name in table.names and name != cases.case]
    others = [name for name in table.names if name not in (cases.case, cases.time)]
    known = cases.series
    columns: dict[str, pa.Array] = {}
    series: list[str] = []
    for name in table.names:
        if name == cases.time and name not in single:
            continue
        cells = _sorted(table.data.column(name), order)
        changing = _changing(cells, start_K1) if name in others else None
        if name == cases.time:  # asked for as a time of the case: when it ends
            columns[name] = cells.take(pa.array(start_K1[1:] - 1))
            continue
        if name in single:
            _refuse(changing, name, table, cases)
        if name not in single and name in others and (name in known if known is not None else changing is not None):
            columns[name] = pa.LargeListArray.from_arrays(start_K1, cells).cast(pa.list_(cells.type))
            series.append(name)
        else:
            columns[name] = cells.take(pa.array(_first_given(cells, start_K1)))
    lost = len(table) - len(order)
    notes = (f"{lost:,} rows without a case left out",) if lost else ()
    asked = canonical_json(cases.model_dump(mode="json") | {"series": series}).encode()
    origin = table.provenance
    provenance = replace(
        origin, digest=digest_bytes(origin.digest.encode(), asked) if origin.digest else "",
        notes=(*origin.notes, *notes), series=tuple(series),
    )  # fmt: skip
    first_K = order[start_K1[:-1]] if len(order) else order
    return Grouped(replace(table, data=pa.table(columns), provenance=provenance), tuple(series), first_K)


def _order(
    table: Table, cases: CasesSpec, options: ReadOptions, apart: Sequence[str | None] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that have a case, by case and then by time; and where each case begins, (K + 1,)."""
    table.column(cases.case or "")  # says which are near, where there is none
    cells = cells_of(table, plain_facts(cases.case or "", "id", len(table)), options)
    assert isinstance(cells, LevelCells)  # which the type id gives
    code_N = cells.code_N.astype(np.int64)
    if apart is not None:
        words = {word: number for number, word in enumerate(dict.fromkeys(apart))}
        code_N = np.where(code_N < 0, -1, code_N * len(words) + [words[word] for word in apart])
    rows = np.flatnonzero(code_N >= 0)
    if not len(rows):
        raise DataError(f"column {cases.case!r} names no case", where=table.label, hint="check data.cases.case")
    _, first, case = np.unique(code_N[rows], return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))[case]  # in the order in which cases first come
    moment = np.arange(len(rows)) if cases.time is None else _moments(table, cases.time, options)[rows]
    order = np.lexsort((moment, rank))
    return rows[order], starts_of(np.bincount(rank))


def _moments(table: Table, name: str, options: ReadOptions) -> np.ndarray:
    """What orders the rows, (N,)."""
    table.column(name)
    for kind in ("number", "date"):
        cells = cells_of(table, plain_facts(name, kind, len(table)), options)
        if isinstance(cells, NumberCells) and not cells.missing_N.any():
            return cells.value_N
        if isinstance(cells, DateCells) and not cells.missing_N.any():
            return cells.micros_N
    raise DataError(
        f"column {name!r} has cells that are neither numbers nor dates", where="data.cases.time",
        hint="every row needs a time; leave data.cases.time out to take rows in the order of the file",
    )  # fmt: skip


def _sorted(column: pa.ChunkedArray, order: np.ndarray) -> pa.Array:
    taken = column.take(pa.array(order))
    return taken.combine_chunks() if isinstance(taken, pa.ChunkedArray) else taken


def _changing(cells: pa.Array, start_K1: np.ndarray) -> int | None:
    """The first case in which cells that are given differ; None if there is none."""
    if is_list(cells.type) or pa.types.is_nested(cells.type):
        long = np.flatnonzero(np.diff(start_K1) > 1)
        return int(long[0]) if len(long) else None
    coded = cells if pa.types.is_dictionary(cells.type) else pc.dictionary_encode(cells)
    code_N = np.asarray(coded.indices.fill_null(-1)).astype(np.int64)
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        empty = np.asarray(pc.equal(coded.dictionary, ""))
        code_N = np.where((code_N >= 0) & np.append(empty, False)[code_N], -1, code_N)
    most = len(coded.dictionary)
    low_K = np.minimum.reduceat(np.where(code_N < 0, most, code_N), start_K1[:-1])
    high_K = np.maximum.reduceat(code_N, start_K1[:-1])
    differing = np.flatnonzero(low_K < high_K)
    return int(differing[0]) if len(differing) else None


def _first_given(cells: pa.Array, start_K1: np.ndarray) -> np.ndarray:
    """The first row of each case that has a value, else its first row."""
    given = cells.is_valid()
    if pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type):
        given = pc.and_(given, pc.not_equal(cells.fill_null(""), ""))
    place_N = np.where(np.asarray(given), np.arange(len(cells)), len(cells))
    first_K = np.minimum.reduceat(place_N, start_K1[:-1])
    return np.where(first_K < len(cells), first_K, start_K1[:-1])


def _refuse(changing: int | None, name: str, table: Table, cases: CasesSpec) -> None:
    if changing is None:
        return
    problem = f"column {name!r} has several values within one case, and must have one (case number {changing + 1:,})"
    raise DataError(problem, where=table.label, hint=f"is {cases.case!r} the column that names cases?")
