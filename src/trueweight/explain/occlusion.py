"""Occlusion: how the answer changes when one part of a cell is taken away.

    value[part] = f(row) - f(row without the part)

Asks the predictor alone, whatever it is made of. Source: Zeiler and Fergus 2014, "Visualizing and understanding
convolutional networks", arXiv:1311.2901, section 4.2, for squares of pictures; the same for words and spans of time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.explain.asked import Asked
from trueweight.explain.cuts import Cut
from trueweight.model.protocols import Predictor

__all__ = ["Occluded", "erased", "occlusion"]


@dataclass(frozen=True, slots=True)
class Occluded:
    """One row."""

    value_P: np.ndarray
    answer: float
    baseline: float
    """Without all parts."""


def occlusion(asked: Asked, cuts: Sequence[Cut], predictor: Predictor | None = None) -> list[Occluded]:
    """For every row, in its parts."""
    masks = []
    for cut in cuts:
        count = len(cut.parts)
        masks.append(np.concatenate([np.zeros((1, count), bool), np.ones((1, count), bool), np.eye(count, dtype=bool)]))
    return [
        Occluded(answer[0] - answer[2:], float(answer[0]), float(answer[1]))
        for answer in erased(asked, cuts, masks, predictor)
    ]


def erased(
    asked: Asked, cuts: Sequence[Cut], masks: Sequence[np.ndarray], predictor: Predictor | None = None
) -> list[np.ndarray]:
    """Answers of every row without what is marked, (M,) each.

    Args:
        asked: What is explained.
        cuts: One for each row.
        masks: For each row ways to leave parts out, (M, P) bool.
        predictor: Another one than the question's.
    """
    pairs = zip(cuts, masks, strict=True)
    tables = ((place, cut.without(gone_MP)) for place, (cut, gone_MP) in enumerate(pairs))
    answers = asked.scores(tables, predictor)
    return [found.reshape(-1, cut.repeat).mean(1) for cut, found in zip(cuts, answers, strict=True)]
