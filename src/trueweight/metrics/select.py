"""Which members a blend should have, and how much of each."""

from collections.abc import Callable, Sequence

import numpy as np

from trueweight.errors import TrainError
from trueweight.metrics.prediction import Prediction, blend
from trueweight.metrics.truth import Truth

__all__ = ["greedy_blend"]


def greedy_blend(
    predictions: Sequence[Prediction], truth: Truth, loss: Callable[[Prediction, Truth], float], *, rounds: int = 25
) -> list[float]:
    """Weights of a blend, by adding one member at a time, each time the one that helps most.

    Members may be added again, which is how they get weight. The best of all rounds is returned, so that on these
    rows the blend is never worse than its best member alone. Deterministic: of equals, the first is taken.

    Source: Caruana et al. 2004, "Ensemble selection from libraries of models", section 2.

    Args:
        predictions: One per member, for the same validation rows.
        truth: Of those rows.
        loss: Smaller is better. NaN counts as infinitely bad.
        rounds: Additions, >= 1. Weights are multiples of 1 / (additions kept).

    Returns:
        One weight per member, >= 0, summing to 1.

    Raises:
        TrainError: No member has a finite loss.
    """
    counts = np.zeros(len(predictions), dtype=np.int64)
    best, best_loss = counts, np.inf
    for _ in range(rounds):
        options = [counts + (np.arange(len(counts)) == member) for member in range(len(counts))]
        losses = [_loss_of(option, predictions, truth, loss) for option in options]
        counts = options[int(np.argmin(losses))]
        if min(losses) < best_loss:
            best, best_loss = counts, min(losses)
    if not np.isfinite(best_loss):
        raise TrainError(
            f"none of {len(predictions)} models has a finite loss on the validation rows",
            hint="look for infinite or enormous numbers in the data, or lower train.learning_rate",
        )
    return [float(count / best.sum()) for count in best]


def _loss_of(
    counts: np.ndarray, predictions: Sequence[Prediction], truth: Truth, loss: Callable[[Prediction, Truth], float]
) -> float:
    value = loss(blend(predictions, [float(count / counts.sum()) for count in counts]), truth)
    return np.inf if np.isnan(value) else value
