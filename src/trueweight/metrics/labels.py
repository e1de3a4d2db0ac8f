"""Precision, recall and f1 from hits, answers and true occurrences, and the scores of one label."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches

import numpy as np

from trueweight.errors import SpecError
from trueweight.metrics.statistic import Array, Sums, ratio, share_of

__all__ = ["EPS", "Score", "f1", "index_of", "one_label", "precision", "recall"]

EPS = float(np.finfo(np.float64).eps)
"""Probabilities are kept this far from 0 and 1 before their logarithm is taken, as scikit-learn does."""

Score = Callable[[Array, Array, Array], Array]
"""Hits, answers and true occurrences (sums of weights) to a score, element by element."""


def precision(hits: Array, answered: Array, actual: Array) -> Array:  # noqa: ARG001 - every score has the same form
    """Share of the answers that are right; 0 where nothing was answered."""
    return ratio(hits, answered, empty=0.0)


def recall(hits: Array, answered: Array, actual: Array) -> Array:  # noqa: ARG001
    """Share of the true occurrences that were answered; 0 where there is none."""
    return ratio(hits, actual, empty=0.0)


def f1(hits: Array, answered: Array, actual: Array) -> Array:
    """Harmonic mean of precision and recall; 0 where there is neither answer nor occurrence."""
    return ratio(2 * hits, answered + actual, empty=0.0)


def one_label(score: Score, chosen_N: Array, actual_N: Array, weight_N: Array | None) -> Sums:
    """The score of one label: where it was answered, where it is true, both (N,) bool.

    Precision and recall are shares of rows, so that their intervals can be exact.
    """
    if score is precision:
        return share_of(actual_N, chosen_N, weight_N)
    if score is recall:
        return share_of(chosen_N, actual_N, weight_N)
    weight = np.ones(len(chosen_N)) if weight_N is None else weight_N
    columns = np.stack([chosen_N & actual_N, chosen_N, actual_N], axis=1) * weight[:, None]
    return Sums(columns, lambda s: score(s[:, 0], s[:, 1], s[:, 2]))


def index_of(label: str, labels: Sequence[str]) -> int:
    """Where a label stands.

    Raises:
        SpecError: There is no such label.
    """
    if label in labels:
        return list(labels).index(label)
    near = get_close_matches(label, labels, n=1)
    shown = ", ".join(labels[:10]) + (", …" if len(labels) > 10 else "")
    hint = f"did you mean {near[0]!r}?" if near else f"choose from {shown}"
    raise SpecError(f"no class is called {label!r}", hint=hint)
