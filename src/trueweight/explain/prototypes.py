"""Kept rows that resemble a row: only where the bundle may keep rows of people at all."""

import numpy as np

from trueweight.explain.asked import Asked
from trueweight.explain.record import Example
from trueweight.explain.usual import canonical, scales_of, shown_cell
from trueweight.metrics.prediction import ClassPrediction

__all__ = ["prototypes"]

EACH = 3
"""Kept rows told for each row."""


def prototypes(asked: Asked) -> list[Example]:
    """The nearest kept rows of every row, by the distance of :mod:`trueweight.explain.counterfactual`."""
    assert asked.kept is not None  # by who asks
    kept = canonical(asked.kept, asked.signature)
    scales = scales_of(asked.signature, [name for name in asked.columns if name in kept.names])
    here = {name: scale.places(asked.table.take(asked.rows)) for name, scale in scales.items()}
    there = {name: scale.places(kept) for name, scale in scales.items()}
    same = _same(asked)
    found = []
    for place, row in enumerate(asked.rows):
        apart = [scales[name].distances(np.full(len(kept), here[name][place]), there[name]) for name in scales]
        distance = np.mean(apart, axis=0)
        for nearest in np.argsort(distance, kind="stable")[:EACH].tolist():
            cells = {name: shown_cell(kept.column(name)[nearest].as_py()) for name in scales}
            found.append(Example(int(row), nearest, float(distance[nearest]), bool(same[place, nearest]), cells))
    return found


def _same(asked: Asked) -> np.ndarray:
    """Whether a row and a kept row get the same answer, (N, kept) bool; of numbers, within half the spread."""
    assert asked.kept is not None
    ours = asked.predictor.predict(asked.table.take(asked.rows))[asked.target]
    theirs = asked.predictor.predict(asked.kept)[asked.target]
    if isinstance(ours, ClassPrediction) and isinstance(theirs, ClassPrediction):
        return np.asarray(ours.answer_N()[:, None] == theirs.answer_N()[None])
    scale = np.max(asked.signature.columns[asked.target].learnt.get("std", 1.0))
    apart = np.abs(ours.scores()[:, None] - theirs.scores()[None]).max(2)
    return np.asarray(apart <= 0.5 * scale)
