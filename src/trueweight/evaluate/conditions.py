"""Conditions that part the rows, in plain words: "region = north", "age ≥ 61 (highest tenth)", "note is missing".

Only values that the Signature holds are named, or, of columns that were not learnt from, values of enough of the judged
rows; and nothing of few rows either way.

Shape suffixes:
    N  rows
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from trueweight.data.cells import LevelCells, NumberCells, SetCells
from trueweight.data.gist import GISTS, gist_of
from trueweight.data.levels import level_numbers
from trueweight.data.quantiles import inner_quantiles
from trueweight.data.reading import cells_of, plain_facts
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table

__all__ = ["Condition", "bins_of_number", "conditions_of", "crossed", "found_conditions", "groups_of"]

_LEVELS = 24
"""Most values of one column that are looked at, the most frequent ones."""

_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)

_Bands: TypeAlias = Mapping[tuple[float | None, float | None], str]

_BANDS: _Bands = {
    (None, 0.1): "lowest tenth", (None, 0.25): "lowest quarter", (0.25, 0.5): "second quarter",
    (0.5, 0.75): "third quarter", (0.75, None): "highest quarter", (0.9, None): "highest tenth",
}  # fmt: skip
"""Bands of a number between two of its quantiles; None is an open end."""

_QUARTERS = {ends: words for ends, words in _BANDS.items() if words.endswith("quarter")}
"""Those that part the rows, each row into one."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of the rows."""

    columns: tuple[str, ...]
    words: str
    rows_N: np.ndarray
    """bool."""
    kinds: bool
    """Whether it names a kind of case, rather than a band of a number: bands near a decision are hard by nature."""

    def __and__(self, other: "Condition") -> "Condition":
        words, kinds = f"{self.words} & {other.words}", self.kinds and other.kinds
        return Condition(self.columns + other.columns, words, self.rows_N & other.rows_N, kinds)


def found_conditions(signature: Signature, table: Table, least: int) -> list[Condition]:
    """Every condition on one feature that holds for ``least`` rows, and not for all but fewer than that."""
    found = [c for facts in signature.features() for c in _of_feature(facts, signature, table, _BANDS)]
    return [c for c in found if least <= c.rows_N.sum() <= len(table) - least]


def conditions_of(column: str, signature: Signature, table: Table, least: int) -> list[Condition]:
    """Every value (or band) of one column that holds for ``least`` rows: a feature's, or any other column's."""
    facts = signature.columns.get(column)
    if facts is not None and facts.role == "feature":
        found = list(_of_feature(facts, signature, table, _QUARTERS))
    else:
        found = groups_of(column, signature, table)
    return [c for c in found if c.rows_N.sum() >= least]


def crossed(columns: Sequence[str], signature: Signature, table: Table, least: int) -> list[Condition]:
    """Every combination of values of some columns that holds for ``least`` rows."""
    found = conditions_of(columns[0], signature, table, least)
    for column in columns[1:]:
        more = conditions_of(column, signature, table, least)
        found = [both for one in found for other in more if (both := one & other).rows_N.sum() >= least]
    return found


def bins_of_number(column: str, bins: Sequence[float], signature: Signature, table: Table) -> list[Condition]:
    """Bins that somebody named."""
    cells = cells_of(table, plain_facts(column, "number", len(table)), signature.options)
    assert isinstance(cells, NumberCells)
    edges = [-np.inf, *bins, np.inf]
    found = []
    for low, high in pairwise(edges):
        rows_N = (cells.value_N >= low) & (cells.value_N < high)
        found.append(Condition((column,), _between(column, _number(low), _number(high)), rows_N, False))
    return found


def groups_of(column: str, signature: Signature, table: Table) -> list[Condition]:
    """All groups that a column parts the rows into, whatever their size; of a number with many values its quarters."""
    numbers = cells_of(table, plain_facts(column, "number", len(table)), signature.options)
    levels = cells_of(table, plain_facts(column, "category", len(table)), signature.options)
    assert isinstance(levels, LevelCells)
    assert isinstance(numbers, NumberCells)
    value_N = numbers.value_N[~numbers.missing_N]
    if len(levels.levels) > _LEVELS and (numbers.missing_N == levels.missing_N).all():
        edges = np.unique(inner_quantiles(value_N, (0.25, 0.5, 0.75), 10))
        found = bins_of_number(column, edges.tolist(), signature, table)
    else:
        found = [
            Condition((column,), f"{column} = {level}", levels.code_N == code, True)
            for code, level in enumerate(levels.levels)
        ]
    if levels.missing_N.any():
        found.append(Condition((column,), f"{column} is missing", levels.missing_N, True))
    return found


def _of_feature(facts: ColumnFacts, signature: Signature, table: Table, bands: _Bands) -> Iterator[Condition]:
    if facts.name not in table.names:
        return
    cells, name = cells_of(table, facts, signature.options), (facts.name,)
    match cells:
        case LevelCells():
            yield from _levels(facts, cells)
        case SetCells():
            yield from _members(facts, cells)
        case _:
            value_N = gist_of(facts.type, cells)
            if value_N is not None:
                yield from _bands(facts, value_N, bands)
    if cells.missing_N.any():
        yield Condition(name, f"{facts.name} is missing", cells.missing_N, True)


def _levels(facts: ColumnFacts, cells: LevelCells) -> Iterator[Condition]:
    named: Sequence[str] = facts.learnt.get("levels", ())
    place_N = np.append(level_numbers(cells.levels, named), -2)[cells.code_N]  # -1, a missing one, finds the last
    for place, level in enumerate(named[:_LEVELS]):
        yield Condition((facts.name,), f"{facts.name} = {level}", place_N == place, True)
    if (place_N == -1).any():
        yield Condition((facts.name,), f"{facts.name} is rare or new", place_N == -1, True)


def _members(facts: ColumnFacts, cells: SetCells) -> Iterator[Condition]:
    named: Sequence[str] = facts.learnt.get("levels", ())
    number_K = level_numbers(cells.levels, named)
    row_M = np.repeat(np.arange(len(cells)), np.diff(cells.start_N1))
    for place, level in enumerate(named[:_LEVELS]):
        rows_N = np.zeros(len(cells), bool)
        rows_N[row_M[number_K[cells.code_M] == place]] = True
        yield Condition((facts.name,), f"{facts.name} has {level}", rows_N, True)


def _bands(facts: ColumnFacts, value_N: np.ndarray, bands: _Bands) -> Iterator[Condition]:
    """Between quantiles of the training rows, or of these rows where none were learnt."""
    edges = _learnt_edges(facts.learnt) or _own_edges(value_N)
    name = f"{GISTS[facts.type]} of {facts.name}" if facts.type in GISTS else facts.name
    shown = _date if facts.type == "date" else _number
    seen = set()
    for (low, high), words in bands.items():
        first, last = edges.get(low, -np.inf), edges.get(high, np.inf)
        rows_N = (value_N >= first) & (value_N < last)
        if (first, last) in seen or first >= last:
            continue
        seen.add((first, last))
        share = (1.0 if high is None else high) - (0.0 if low is None else low)
        usual = abs(rows_N.mean() / share - 1) < 0.5  # of a number with few values, a quarter may be none
        told = _between(name, shown(first), shown(last)) + (f" ({words})" if usual else "")
        yield Condition((facts.name,), told, rows_N, False)


def _learnt_edges(learnt: Mapping[str, Any]) -> dict[float | None, float]:
    quantiles, levels = learnt.get("quantiles") or [], learnt.get("levels") or []
    known = dict(zip(levels, quantiles, strict=True)) if len(quantiles) == len(levels) else {}
    return {share: known[share] for share in _SHARES if share in known}


def _own_edges(value_N: np.ndarray) -> dict[float | None, float]:
    given = value_N[np.isfinite(value_N)]
    if not len(given):
        return {}
    return dict(zip(_SHARES, inner_quantiles(given, _SHARES, 10).tolist(), strict=True))


def _between(name: str, low: str, high: str) -> str:
    if not low:
        return f"{name} < {high}"
    return f"{low} ≤ {name} < {high}" if high else f"{name} ≥ {low}"


def _number(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else ""


def _date(seconds: float) -> str:
    return str(np.datetime64(int(seconds), "s").astype("datetime64[D]")) if np.isfinite(seconds) else ""
