"""Counterfactuals: the nearest row, with few cells changed, that gets another answer.

Cells take levels that training rows had, and numbers between their outer twentieths. Nearness is the sum over changed
columns of the share of training rows that lie between both numbers, or of 1 for levels: Gower 1971, "A general
coefficient of similarity and some of its properties", with ranks for ranges. Single changes are all tried; more
columns are added only where none turns the answer, to the changes that move it most, up to four.

Shape suffixes:
    M  changes
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from trueweight.data.table import Table
from trueweight.evaluate.mosaic import mosaic, predicted
from trueweight.explain.asked import Asked
from trueweight.explain.record import Change
from trueweight.explain.usual import Scale, grid_of, scales_of, shown_cell, with_value
from trueweight.metrics.prediction import ClassPrediction

__all__ = ["counterfactuals"]

MOST_COLUMNS = 4
"""That are changed at once, where fewer do not turn the answer."""

MOST_PAIRED, EACH, BEAM = 15, 3, 8
"""Single changes that are tried together, at most so many of one column; sets of two or more that are added to."""

_Cells = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Tried:
    cells: _Cells
    distance: float
    answer: int
    left: float
    """Probability of the answer there was."""


def counterfactuals(asked: Asked) -> list[Change]:
    """For every row; those without one say so."""
    scales = scales_of(asked.signature, [name for name in asked.columns if name not in asked.keep])
    grids = {name: grid_of(asked.signature.columns[name]) for name in scales}
    return [_of_row(asked, int(row), scales, grids) for row in asked.rows]


def _of_row(asked: Asked, row: int, scales: Mapping[str, Scale], grids: Mapping[str, list[Any]]) -> Change:
    single = mosaic(asked.table, np.array([row]))
    answer = asked.predictor.predict(single)[asked.target]
    assert isinstance(answer, ClassPrediction)  # others have no answer to turn
    before = int(answer.answer_N()[0])
    turned = _turned(lambda changes: _try(asked, single, changes, scales, before), grids, before)
    if not turned:
        return Change(row, answer.classes[before], None)
    nearest = min(turned, key=lambda one: (len(one.cells), one.distance, one.left))
    cells = tuple(
        (name, shown_cell(single.column(name)[0].as_py()), shown_cell(value)) for name, value in nearest.cells.items()
    )
    return Change(row, answer.classes[before], answer.classes[nearest.answer], cells, nearest.distance)


def _turned(ask: Callable[[list[_Cells]], list[_Tried]], grids: Mapping[str, list[Any]], before: int) -> list[_Tried]:
    """Changes of as few columns as are found to turn the answer; [] if none is."""
    tried = ask([{name: value} for name, grid in grids.items() for value in grid])
    single = _promising(tried)
    for columns in range(1, MOST_COLUMNS + 1):
        turned = [one for one in tried if one.answer != before]
        if turned:
            fewer = _parts(min(turned, key=lambda one: (one.distance, one.left)).cells)
            return turned + [one for one in ask(fewer) if one.answer != before]
        if columns < MOST_COLUMNS:
            bases = sorted(tried, key=lambda one: one.left)[:BEAM] if columns > 1 else single
            tried = ask(_extended(bases, single))
    return []


def _promising(tried: list[_Tried]) -> list[_Tried]:
    """Single changes that move the answer most, of one column only some: others must come to their turn."""
    found: list[_Tried] = []
    for one in sorted(tried, key=lambda one: one.left):
        if sum(one.cells.keys() == other.cells.keys() for other in found) < EACH:
            found.append(one)
    return found[:MOST_PAIRED]


def _extended(bases: list[_Tried], single: list[_Tried]) -> list[_Cells]:
    """Each of the bases with one column more, every set of cells once."""
    both = ({**a.cells, **b.cells} for a in bases for b in single if not a.cells.keys() & b.cells.keys())
    return list({frozenset(cells.items()): cells for cells in both}.values())


def _parts(cells: _Cells) -> list[_Cells]:
    """Smaller changes that a change of three columns or more is made of; smaller ones were tried on the way."""
    sizes = range(2, len(cells))
    return [{name: cells[name] for name in names} for size in sizes for names in combinations(cells, size)]


def _try(asked: Asked, single: Table, changes: list[_Cells], scales: Mapping[str, Scale], before: int) -> list[_Tried]:
    """What is answered with each change that changes anything."""
    own = {name: scale.places(single)[0] for name, scale in scales.items()}

    def tables() -> Iterator[Table]:
        for cells in changes:
            table = single
            for name, value in cells.items():
                table = with_value(table, name, value)
            yield table

    changed = list(tables())
    found = []
    for cells, table, answers in zip(changes, changed, predicted(asked.predictor, iter(changed)), strict=True):
        answer = answers[asked.target]
        assert isinstance(answer, ClassPrediction)
        apart = [float(scales[n].distances(own[n][None], scales[n].places(table))[0]) for n in cells]
        if all(apart):
            left = float(answer.probability_NC[0, before])
            found.append(_Tried(cells, sum(apart), int(answer.answer_N()[0]), left))
    return found
