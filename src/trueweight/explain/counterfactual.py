"""Counterfactuals: the nearest row, with one or two cells changed, that gets another answer.

Cells take levels that training rows had, and numbers between their outer twentieths. Nearness is the sum over changed
columns of the share of training rows that lie between both numbers, or of 1 for levels: Gower 1971, "A general
coefficient of similarity and some of its properties", with ranks for ranges. Single changes are all tried; pairs are
tried among the single changes that move the answer most.

Shape suffixes:
    M  changes
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from trueweight.data.table import Table
from trueweight.evaluate.mosaic import predicted
from trueweight.explain.asked import Asked
from trueweight.explain.record import Change
from trueweight.explain.usual import Scale, grid_of, scales_of, shown_cell, with_value
from trueweight.metrics.prediction import ClassPrediction

__all__ = ["counterfactuals"]

MOST_PAIRED = 12
"""Single changes that are tried together."""

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
    single = asked.table.take(np.array([row]))
    answer = asked.predictor.predict(single)[asked.target]
    assert isinstance(answer, ClassPrediction)  # others have no answer to turn
    before = int(answer.answer_N()[0])
    changes: list[_Cells] = [{name: value} for name, grid in grids.items() for value in grid]
    tried = _try(asked, single, changes, scales, before)
    turned = [one for one in tried if one.answer != before]
    if not turned:
        best = sorted(tried, key=lambda one: one.left)[:MOST_PAIRED]
        apart = ((a, b) for a, b in combinations(best, 2) if a.cells.keys() != b.cells.keys())
        pairs: list[_Cells] = [{**a.cells, **b.cells} for a, b in apart]
        turned = [one for one in _try(asked, single, pairs, scales, before) if one.answer != before]
    if not turned:
        return Change(row, answer.classes[before], None)
    nearest = min(turned, key=lambda one: (one.distance, one.left))
    cells = tuple(
        (name, shown_cell(single.column(name)[0].as_py()), shown_cell(value)) for name, value in nearest.cells.items()
    )
    return Change(row, answer.classes[before], answer.classes[nearest.answer], cells, nearest.distance)


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
