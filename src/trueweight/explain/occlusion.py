"""Occlusion: how the answer changes when one part of a cell is taken away.

    value[part] = f(row) - f(row without the part)

Asks the predictor alone, whatever it is made of. Source: Zeiler and Fergus 2014, "Visualizing and understanding
convolutional networks", arXiv:1311.2901, section 4.2, for squares of pictures; the same for words and spans of time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.data.table import Table
from trueweight.evaluate.mosaic import Again
from trueweight.explain.asked import Asked
from trueweight.explain.cuts import Cut
from trueweight.model.protocols import Predictor

__all__ = ["Occluded", "erased", "occluded", "occlusion"]


@dataclass(frozen=True, slots=True)
class Occluded:
    """One row."""

    value_P: np.ndarray
    answer: float
    baseline: float
    """Without all parts."""


def occluded(cuts: Sequence[Cut]) -> Again:
    """Of every row: as it is, without all parts, and without each of them."""

    def tables() -> Iterator[Table]:
        for cut in cuts:
            count = len(cut.parts)
            some = [np.zeros((1, count), bool), np.ones((1, count), bool), np.eye(count, dtype=bool)]
            yield cut.without(np.concatenate(some))

    return Again(tables)


def occlusion(
    asked: Asked, cuts: Sequence[Cut], predictor: Predictor | None = None, ways: Again | None = None
) -> list[Occluded]:
    """For every row, in its parts.

    Args:
        asked: What is explained.
        cuts: One for each row.
        predictor: Another one than the question's.
        ways: :func:`occluded`, where several predictors are asked: cells are then written and decoded once.
    """
    found = asked.scores(occluded(cuts) if ways is None else ways, predictor)
    answers = _averaged(cuts, found)
    return [Occluded(answer[0] - answer[2:], float(answer[0]), float(answer[1])) for answer in answers]


def erased(asked: Asked, cuts: Sequence[Cut], masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Answers of every row without what is marked, (M,) each.

    Args:
        asked: What is explained.
        cuts: One for each row.
        masks: For each row ways to leave parts out, (M, P) bool.
    """
    pairs = zip(cuts, masks, strict=True)
    return _averaged(cuts, asked.scores((place, cut.without(gone_MP)) for place, (cut, gone_MP) in enumerate(pairs)))


def _averaged(cuts: Sequence[Cut], found: Iterable[np.ndarray]) -> list[np.ndarray]:
    return [answer.reshape(-1, cut.repeat).mean(1) for cut, answer in zip(cuts, found, strict=True)]
