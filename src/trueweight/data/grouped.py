"""Cases of several rows each: a table in long form, one row a step, as one row a case with lists.

Shape suffixes:
    N  rows    K  cases
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trueweight.data.cells import DateCells, LevelCells, NumberCells, ReadOptions
from trueweight.data.channels import JOINED, as_lists, as_one_series, joinable
from trueweight.data.parse_series import is_list
from trueweight.data.ragged import starts_of
from trueweight.data.reading import cells_of, plain_facts
from trueweight.data.table import Provenance, Table
from trueweight.errors import DataError
from trueweight.files import canonical_json, digest_bytes
from trueweight.spec.data import CasesSpec

__all__ = ["Grouped", "grouped"]


@dataclass(frozen=True, slots=True)
class Grouped:
    """One row a case."""

    table: Table
    series: tuple[str, ...]
    """Columns whose cells are lists."""
    first_K: np.ndarray
    """Number of a row of each case in the table that was grouped."""


def grouped(
    table: Table, cases: CasesSpec, options: ReadOptions, *, single: Sequence[str] = (), own: Sequence[str] = (),
    apart: Sequence[str | None] | None = None,
) -> Grouped:  # fmt: skip
    """Put the rows of each case together, cases in the order in which they first come.

    Columns that vary within a case become lists in the order of time; others stay single cells: the first that is
    given. Several columns of numbers become one series, of as many channels. The time column, which has done its work,
    is left out. Rows without a case are left out and counted.

    Args:
        table: One row a step.
        cases: Which columns name the case and the time, and which become lists and channels, where that is known.
        options: How cells are read.
        single: Columns that must not become lists, such as targets; those that the table lacks are passed over.
        own: Columns that stay by themselves, and are no channels of a series with others, unless ``cases`` says so.
        apart: A word for each row; rows with different words never share a case, whatever its name.

    Raises:
        DataError: A column is not there, a time cannot be read, or a case has two values where it must have one.
    """
    assert cases.case is not None  # by the spec's own rule
    order, start_K1 = _order(table, cases, options, apart)
    single = [name for name in single if name in table.names and name != cases.case]
    columns: dict[str, pa.Array] = {}
    steps: dict[str, pa.Array] = {}
    for name in table.names:
        if name == cases.time and name not in single:
            continue
        cells = _sorted(table.data.column(name), order)
        if name == cases.time:  # asked for as a time of the case: when it ends
            columns[name] = cells.take(pa.array(start_K1[1:] - 1))
            continue
        changing = None if name == cases.case else _changing(cells, start_K1)
        if name in single:
            _refuse(changing, name, table, cases)
        if name not in (*single, cases.case) and _is_series(name, changing, cases):
            steps[name] = cells
        columns[name] = cells if name in steps else cells.take(pa.array(_first_given(cells, start_K1)))
    channels = _channels(
        table, cases, {name: cells for name, cells in steps.items() if name not in own}, start_K1, options
    )
    columns = _listed(columns, steps, channels, start_K1)
    provenance = _provenance(table, cases, tuple(steps), channels, len(table) - len(order))
    first_K = order[start_K1[:-1]] if len(order) else order
    return Grouped(replace(table, data=pa.table(columns), provenance=provenance), provenance.series or (), first_K)


def _is_series(name: str, changing: int | None, cases: CasesSpec) -> bool:
    if cases.series is None:
        return changing is not None or name in (cases.channels or ())
    return name in cases.series


def _channels(
    table: Table, cases: CasesSpec, steps: Mapping[str, pa.Array], start_K1: np.ndarray, options: ReadOptions
) -> tuple[str, ...]:
    """Columns that become one series."""
    if cases.channels is not None:
        for name in cases.channels if cases.series is None else ():  # asked for, and not known from a training table
            table.column(name)  # says which are near, where there is none
        return tuple(cases.channels) if set(cases.channels) & set(table.names) else ()
    if cases.series is not None or JOINED in table.names:
        return ()
    return tuple(joinable(steps, start_K1, options))


def _listed(
    columns: Mapping[str, pa.Array], steps: Mapping[str, pa.Array], channels: Sequence[str], start_K1: np.ndarray
) -> dict[str, pa.Array]:
    """The columns with steps as lists; the channels' series stands where the first of them was."""
    found: dict[str, pa.Array] = {}
    for name, cells in columns.items():
        if name in channels:
            if JOINED not in found:
                found[JOINED] = as_one_series([steps.get(channel) for channel in channels], start_K1)
        else:
            found[name] = as_lists(cells, start_K1) if name in steps else cells
    return found


def _provenance(
    table: Table, cases: CasesSpec, series: tuple[str, ...], channels: tuple[str, ...], lost: int
) -> Provenance:
    origin = table.provenance
    notes = (f"{lost:,} rows without a case left out",) if lost else ()
    asked = cases.model_dump(mode="json", exclude={"channels"}) | {"series": list(series)}
    asked |= {"channels": list(channels)} if channels else {}
    digest = digest_bytes(origin.digest.encode(), canonical_json(asked).encode()) if origin.digest else ""
    alone = tuple(name for name in series if name not in channels)
    lists = (*alone, JOINED) if channels else alone
    return replace(origin, digest=digest, notes=(*origin.notes, *notes), series=lists, channels=channels)


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
