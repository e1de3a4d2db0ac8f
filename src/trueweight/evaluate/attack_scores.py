"""Scores of rows that were changed against the model, beside those of the same rows as they are."""

from dataclasses import dataclass

import numpy as np

from trueweight.evaluate.judging import Judging
from trueweight.evaluate.quality import now
from trueweight.evidence.record import Entry, Method, Status
from trueweight.metrics.compare import paired_all
from trueweight.metrics.interval import estimates
from trueweight.metrics.metric import Metric
from trueweight.metrics.prediction import ClassPrediction, Prediction
from trueweight.metrics.registry import metric
from trueweight.metrics.truth import Truth
from trueweight.seeds import stream_seed

__all__ = ["Attack", "attacked_scores", "no_attack"]

_WHY = "an attack shows how wrong the model can be made at least; a stronger one may do worse"


@dataclass(frozen=True, slots=True)
class Attack:
    """How rows were changed."""

    name: str
    """In the names of metrics: "attacked"."""
    words: str
    """For people: "changed by up to 0.03 (linf)"."""
    method: Method


def no_attack(judging: Judging, name: str, status: Status, why: str) -> Entry:
    """Why there are no scores."""
    return Entry(
        id=f"robustness/{name}", axis="robustness", metric=name, status=status, reason=why, data=judging.ask.data,
        produced_at=now(),
    )  # fmt: skip


def _metrics(judging: Judging, target: str, answer: Prediction) -> list[Metric]:
    """The first that is asked for, and accuracy where there are classes."""
    names = list((judging.ask.evaluate.metrics or {}).get(target, ()))[:1]
    if isinstance(answer, ClassPrediction):
        names = list(dict.fromkeys([*names, "accuracy"]))
    return [metric(name) for name in names]


def attacked_scores(
    judging: Judging, target: str, before: Prediction, after: Prediction, truth: Truth, attack: Attack
) -> list[Entry]:
    """For each metric the score of the changed rows, and its paired difference from that of the same rows unchanged.

    Args:
        judging: The model, and what the spec asks for.
        target: What the model was to be wrong about.
        before: Answers about the rows as they are.
        after: Answers about the changed rows.
        truth: Of these rows.
        attack: How they were changed.
    """
    ask, how = judging.ask, judging.ask.evaluate.interval
    asked, seed = _metrics(judging, target, before), stream_seed(ask.seed, "interval") % 2**32
    draws = ask.draws(len(truth))
    scores = estimates(asked, after, truth, method=how.method, level=how.level, n_resamples=draws, seed=seed)
    changes = paired_all(asked, after, before, truth, level=how.level, n_resamples=draws, seed=seed)
    entries = []
    for one, change in zip(scores, changes, strict=True):
        known = bool(np.isfinite(one.value))
        name = f"{one.metric}_{attack.name}"
        for what, found in ((name, one), (f"{name}_change", change)):
            entries.append(
                Entry(
                    id=f"robustness/{target}/{what}/{ask.role}", axis="robustness", metric=what, target=target,
                    value=found.value if known else None, interval=found.interval() if known else None,
                    n=one.n, unit=metric(one.metric).unit, status="bounded" if known else "not_applicable",
                    reason=_WHY if known else one.reason or "undefined", method=attack.method, data=ask.data,
                    produced_at=now(), reproduce=ask.reproduce, slice=attack.words,
                )
            )  # fmt: skip
    return entries
