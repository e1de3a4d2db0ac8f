"""Measures a predictor on a table: what ``train`` does with test rows and ``evaluate`` with later ones."""

from collections.abc import Mapping

import numpy as np

from trueweight.data.digest import digest_rows
from trueweight.data.table import Table
from trueweight.evaluate.baselines import OF_TEXTS
from trueweight.evaluate.checks import CHECKS
from trueweight.evaluate.cut_texts import cut_texts
from trueweight.evaluate.judging import Judging, answers_of, further, judging_of, told_of_sample
from trueweight.evaluate.quality import Ask, quality
from trueweight.evaluate.truths import require_known
from trueweight.evaluate.verdict import comparisons
from trueweight.evidence.record import Data, Entry, Evidence
from trueweight.metrics.prediction import Prediction
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.truth import Truth
from trueweight.model.protocols import Predictor
from trueweight.spec.evaluate import EvaluateSpec
from trueweight.spec.run import RunSpec
from trueweight.train.prepare import group_codes

__all__ = ["evaluate_table", "measure"]


def evaluate_table(predictor: Predictor, table: Table, spec: RunSpec, *, role: str = "other") -> Evidence:
    """Scores on rows that came later.

    Args:
        predictor: What answers.
        table: Rows with at least one known target.
        spec: The bundle's resolved spec.
        role: What the rows are called in the entries.

    Raises:
        DataError: No target column is there, or none with a value that can be scored.
    """
    data, least = Data(digest_rows(table), role), spec.bundle.min_group
    ask = Ask(_for_targets(spec.evaluate, table), spec.seed, data, min_group=least)
    judging = judging_of(predictor, table, ask, _clusters(predictor, table, spec))
    require_known(predictor.signature, table, judging.truths)
    scores = quality(judging.answers, judging.truths, ask)
    return Evidence((*scores, *cut_texts(judging), *judging.cost, *further(judging, CHECKS)))


def _clusters(predictor: Predictor, table: Table, spec: RunSpec) -> np.ndarray | None:
    """Groups of rows as in training, by whichever of their columns is there."""
    asked = (spec.evaluate.interval.cluster, spec.split.group)
    name = next((name for name in asked if name is not None and name in table.names), None)
    return group_codes(table, name, predictor.signature.options)


def _for_targets(evaluate: EvaluateSpec, table: Table) -> EvaluateSpec:
    kept = {name: names for name, names in (evaluate.metrics or {}).items() if name in table.names}
    return evaluate.model_copy(update={"metrics": kept})


def measure(judging: Judging, baselines: Mapping[str, Predictor], twins_N: np.ndarray) -> list[Entry]:
    """Scores of a model and its baselines on the same rows, what the difference means, and all further checks.

    Args:
        judging: The model and the rows to judge by.
        baselines: By name.
        twins_N: bool, rows whose features were seen in training: scores without them are added where there are some.
    """
    ours, truths, ask = judging.answers, judging.truths, judging.ask
    entries = quality(ours, truths, ask)
    if 0 < twins_N.sum() < len(twins_N):
        entries += _without_twins(ours, {name: t.take(~twins_N) for name, t in truths.items()}, ask, ~twins_N)
    for name, baseline in baselines.items():
        theirs = answers_of(baseline, judging.table)
        told = {target: t for target, t in truths.items() if name not in OF_TEXTS or _is_text(theirs[target])}
        entries += quality(theirs, told, ask, prefix=f"baseline/{name}")
        entries += comparisons(ours, theirs, told, ask, name)
    about = [*told_of_sample(judging), *cut_texts(judging), *judging.cost]
    return [*entries, *about, *further(judging, CHECKS)]


def _is_text(answer: Prediction) -> bool:
    return isinstance(answer, TextPrediction)


def _without_twins(
    ours: Mapping[str, Prediction], truths: Mapping[str, Truth], ask: Ask, keep: np.ndarray
) -> list[Entry]:
    kept = {name: prediction.take(np.flatnonzero(keep)) for name, prediction in ours.items()}
    return quality(kept, truths, ask, slice="without twins")
