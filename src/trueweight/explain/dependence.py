"""Partial dependence and its single rows: the answer while one column takes one value after the other.

Source: Friedman 2001, "Greedy function approximation: a gradient boosting machine", section 8.2; single rows as in
Goldstein et al. 2015, "Peeking inside the black box", arXiv:1309.6392.

Shape suffixes:
    N  rows    G  values of the grid
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from trueweight.data.signature import ColumnFacts
from trueweight.data.table import Table
from trueweight.evaluate.mosaic import mosaic
from trueweight.explain.asked import Asked, Output
from trueweight.explain.record import Curve
from trueweight.explain.usual import grid_of, with_value
from trueweight.model.protocols import Predictor

__all__ = ["curves"]

MOST_SINGLE = 20
"""Rows whose own curves are kept."""


def curves(asked: Asked, output: Output, rows: np.ndarray, predictor: Predictor | None = None) -> list[Curve]:
    """One for each column that has a grid, those that move the answer most first.

    Args:
        asked: Whose table, target and predictor count.
        output: Which number of the answer.
        rows: Numbers of the rows to average over, (N,).
        predictor: Another one than the question's.
    """
    grids = {name: grid_of(asked.signature.columns[name]) for name in asked.columns}
    grids = {name: grid for name, grid in grids.items() if len(grid) > 1}
    base = mosaic(asked.table, rows)

    def tables() -> Iterator[tuple[int, Table]]:
        for name, grid in grids.items():
            for value in grid:
                yield 0, with_value(base, name, value)

    one = asked.about(output)
    answers = one.scores(tables(), predictor)
    found = []
    for name, grid in grids.items():
        single_GN = np.stack([next(answers) for _ in grid])
        found.append(_curve(asked.signature.columns[name], output.name, grid, single_GN, rows))
    return sorted(found, key=lambda curve: min(curve.mean) - max(curve.mean))


def _curve(facts: ColumnFacts, output: str, grid: list[Any], single_GN: np.ndarray, rows: np.ndarray) -> Curve:
    mean_G = single_GN.mean(1)
    half_G = 1.96 * single_GN.std(1, ddof=1) / np.sqrt(single_GN.shape[1]) if single_GN.shape[1] > 1 else 0 * mean_G
    kept = single_GN[:, :MOST_SINGLE].T
    return Curve(
        facts.name, output, tuple(grid), tuple(mean_G.tolist()), tuple((mean_G - half_G).tolist()),
        tuple((mean_G + half_G).tolist()), tuple(_shares(facts, grid)), tuple(rows[:MOST_SINGLE].tolist()),
        tuple(tuple(row) for row in kept.tolist()),
    )  # fmt: skip


def _shares(facts: ColumnFacts, grid: list[Any]) -> list[float]:
    """Of training rows: those nearest to each value of a grid of numbers, those of each level."""
    learnt = facts.learnt
    if facts.type in ("category", "binary"):
        counts = dict(zip(learnt["levels"], learnt["counts"], strict=True))
        return [counts[level] / max(1, learnt["count"]) for level in grid]
    if facts.type == "date":
        return [1.0 / len(grid)] * len(grid)  # its values are quantiles in equal steps
    middle = [(a + b) / 2 for a, b in pairwise(grid)]
    below = np.interp(middle, learnt["quantiles"], learnt["levels"])
    return [float(share) for share in np.diff([0.0, *below, 1.0])]
