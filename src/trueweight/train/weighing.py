"""The weights of the best score against the last ones, by what they write; see :mod:`~trueweight.train.written`."""

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from trueweight.train.job import Look, Score
from trueweight.train.state import FitState, load_weights

__all__ = ["Weighed", "weighed"]


@dataclass(frozen=True, slots=True)
class Weighed:
    """What came of it."""

    best: float
    """How badly the weights of the best score write."""
    last: float
    """And the last ones, or their average."""
    score: float
    """Of the latter at the last look."""
    averaged: bool
    weights: Mapping[str, Tensor]
    """The latter."""

    def told(self, step: int) -> str:
        """In words, where the best score was that of a step."""
        figures = f"{-self.best:.3f} by step {step}, {-self.last:.3f} by the last one"
        return f"chrF of texts written for validation rows: {figures}"


def weighed(state: FitState, best: Mapping[str, Tensor], look: Look, writing: Score) -> Weighed | None:
    """Weigh them; None where either says nothing. The network then holds the best ones, in evaluation mode.

    Args:
        state: As the last step left it.
        best: Weights of the best score.
        look: The last one.
        writing: How badly a network writes.
    """
    looks = ((look.score, False), (look.averaged, True))
    score, averaged = min((math.inf if one is None else one, averaged) for one, averaged in looks)
    if not math.isfinite(score):
        return None
    state.network.eval()
    with torch.no_grad():
        with state.averaged() if averaged else nullcontext():
            last, weights = writing(state.network), state.weights()
        load_weights(state.network, best)
        before = writing(state.network)
    return Weighed(before, last, score, averaged, weights) if math.isfinite(last) and math.isfinite(before) else None
