"""What validation rows are asked, to choose between steps, members and weights. Lower is always better."""

from collections.abc import Callable, Mapping
from functools import partial
from math import isfinite

import numpy as np

from trueweight.data.reading import cells_of, column_part
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.errors import TrainError
from trueweight.metrics.masked_prediction import MaskedPrediction
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction, VectorPrediction
from trueweight.metrics.registry import metric
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth
from trueweight.spec.run import RunSpec

__all__ = ["blend_loss", "ends_loss", "run_truths", "selection_score", "target_loss"]


def run_truths(
    signature: Signature, table: Table, weight_N: np.ndarray | None, cluster_N: np.ndarray | None = None
) -> dict[str, Truth]:
    """Truth of every target that the table has, for all its rows."""
    found = {}
    for facts in (facts for facts in signature.targets() if facts.name in table.names):
        part = column_part(facts)
        truth: Truth = part.truth(cells_of(table, facts, signature.options), facts.learnt)  # type: ignore[attr-defined]
        found[facts.name] = Truth(truth.value, truth.present_N, weight_N, cluster_N)
    return found


_HINT = 0.01
"""Of the log loss of a text that is read off a sound, beside its character error rate: it tells steps apart before
anything is said. Alone it would punish one sure mistake more than a hundred texts that became right."""


def target_loss(facts: ColumnFacts, prediction: Prediction, truth: Truth) -> float:
    """How bad answers are, in a unit that targets share: log loss (of a text: of its tokens; of one that is read off a
    sound, mainly its character error rate), or squared error over the target's variance.

    Infinite where nothing can be said: no known label among the rows.
    """
    if not truth.present_N.any():
        return np.inf
    match prediction:
        case ClassPrediction() | SetPrediction():
            return metric("log_loss").compute(prediction, truth)
        case NumberPrediction():
            return (metric("rmse").compute(prediction, truth) / (float(facts.learnt["std"]) or 1.0)) ** 2
        case TextPrediction(truth_logp_N=np.ndarray() as logp_N, truth_tokens_N=np.ndarray() as tokens_N):
            known = truth.present_N
            loss = float(-logp_N[known].sum() / max(1, int(tokens_N[known].sum())))
            if facts.spec["decoder"]["type"] != "ctc":
                return loss
            rate = metric("character_error_rate").compute(prediction, truth)
            return (rate if isfinite(rate) else 0.0) + _HINT * loss
        case MaskedPrediction():
            return metric("masked_bits").compute(prediction, truth) * float(np.log(2))
        case VectorPrediction():
            spread = float(np.mean(np.square(facts.learnt["std"]))) or 1.0
            return metric("rmse").compute(prediction, truth) ** 2 / spread
        case _:
            raise TypeError(f"no selection loss for {type(prediction).__name__}")


def blend_loss(spec: RunSpec, facts: ColumnFacts, truth: Truth) -> Callable[[Prediction, Truth], float]:
    """What the blend of a target is to make small: the metric asked for, if these rows can tell it, or its loss.

    Args:
        spec: Resolved.
        facts: Of the target.
        truth: Of the rows that choose.
    """
    chosen = spec.train.selection_metric
    if chosen is not None and chosen.target == facts.name and _varies(truth):
        return partial(_asked_loss, chosen.metric)
    return partial(target_loss, facts)


def ends_loss(facts: ColumnFacts, prediction: Prediction, truth: Truth) -> float:
    """How bad the quantiles of a number target are, in its standard deviations: the mean pinball loss of both.

    Infinite where nothing can be said.
    """
    if not isinstance(prediction, NumberPrediction) or prediction.low_N is None or prediction.high_N is None:
        return np.inf
    known = truth.present_N
    if not known.any():
        return np.inf
    loss_N = np.zeros(int(known.sum()))
    for share, end_N in zip(facts.spec["quantiles"], (prediction.low_N, prediction.high_N), strict=True):
        above_N = truth.value[known] - end_N[known]
        loss_N += np.maximum(share * above_N, (share - 1) * above_N) / 2
    weight_N = None if truth.weight_N is None else truth.weight_N[known]
    return float(np.average(loss_N, weights=weight_N)) / (float(facts.learnt["std"]) or 1.0)


def _asked_loss(name: str, prediction: Prediction, truth: Truth) -> float:
    asked = metric(name)
    value = asked.compute(prediction, truth)
    return -value if asked.greater_is_better else value


def _varies(truth: Truth) -> bool:
    """Whether there are two different true values."""
    known = truth.value[truth.present_N]
    return bool(len(known)) and bool((known != known[0]).any())


def selection_score(
    spec: RunSpec, signature: Signature, predictions: Mapping[str, Prediction], truths: Mapping[str, Truth]
) -> float:
    """One number for a model on validation rows: the metric asked for, or the weighted sum of target losses.

    Raises:
        TrainError: The metric asked for has no value, because all rows have one class.
    """
    chosen = spec.train.selection_metric
    if chosen is not None:
        truth = truths[chosen.target]
        loss = _asked_loss(chosen.metric, predictions[chosen.target], truth)
        if np.isnan(loss) and not _varies(truth):
            raise TrainError(
                f"{chosen.metric} says nothing about {chosen.target!r}: all {truth.present_N.sum():,} labelled "
                "validation rows have the same value",
                where="train.selection_metric",
                hint="make split.validation larger, split by method: stratified, or select by another metric",
            )
        return loss
    total, counted = 0.0, 0
    for name, prediction in predictions.items():
        loss = target_loss(signature.columns[name], prediction, truths[name])
        if np.isfinite(loss) or truths[name].present_N.any():
            total += float(spec.targets[name].model_dump()["loss_weight"]) * loss
            counted += 1
    return total if counted else np.inf
