"""What validation rows are asked, to choose between steps, members and weights. Lower is always better."""

from collections.abc import Mapping

import numpy as np

from trueweight.data.reading import cells_of, column_part
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction, VectorPrediction
from trueweight.metrics.registry import metric
from trueweight.metrics.truth import Truth
from trueweight.spec.run import RunSpec

__all__ = ["run_truths", "selection_score", "target_loss"]


def run_truths(signature: Signature, table: Table, weight_N: np.ndarray | None) -> dict[str, Truth]:
    """Truth of every target for all rows of the table."""
    found = {}
    for facts in signature.targets():
        part = column_part(facts)
        truth: Truth = part.truth(cells_of(table, facts, signature.options), facts.learnt)  # type: ignore[attr-defined]
        found[facts.name] = Truth(truth.value, truth.present_N, weight_N)
    return found


def target_loss(facts: ColumnFacts, prediction: Prediction, truth: Truth) -> float:
    """How bad answers are, in a unit that targets share: log loss, or squared error over the target's variance.

    Infinite where nothing can be said: no known label among the rows.
    """
    if not truth.present_N.any():
        return np.inf
    match prediction:
        case ClassPrediction() | SetPrediction():
            return metric("log_loss").compute(prediction, truth)
        case NumberPrediction():
            return (metric("rmse").compute(prediction, truth) / (float(facts.learnt["std"]) or 1.0)) ** 2
        case VectorPrediction():
            spread = float(np.mean(np.square(facts.learnt["std"]))) or 1.0
            return metric("rmse").compute(prediction, truth) ** 2 / spread
        case _:
            raise TypeError(f"no selection loss for {type(prediction).__name__}")


def selection_score(
    spec: RunSpec, signature: Signature, predictions: Mapping[str, Prediction], truths: Mapping[str, Truth]
) -> float:
    """One number for a model on validation rows: the metric asked for, or the weighted sum of target losses."""
    chosen = spec.train.selection_metric
    if chosen is not None:
        asked = metric(chosen.metric)
        value = asked.compute(predictions[chosen.target], truths[chosen.target])
        return -value if asked.greater_is_better else value
    total, counted = 0.0, 0
    for name, prediction in predictions.items():
        loss = target_loss(signature.columns[name], prediction, truths[name])
        if np.isfinite(loss) or truths[name].present_N.any():
            total += float(spec.targets[name].model_dump()["loss_weight"]) * loss
            counted += 1
    return total if counted else np.inf
