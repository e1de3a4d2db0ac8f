"""Scores on rows that nobody trained on, each with its n and interval."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter

from trueweight.evidence.record import Data, Entry, Method
from trueweight.metrics.classes import confusion_matrix
from trueweight.metrics.curves import curves_of
from trueweight.metrics.interval import estimates
from trueweight.metrics.metric import Metric
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction
from trueweight.metrics.registry import metric
from trueweight.metrics.truth import Truth
from trueweight.recipes.tables import CLASS_METRICS
from trueweight.seeds import stream_seed
from trueweight.spec.evaluate import EvaluateSpec

__all__ = ["Ask", "estimated", "not_applicable", "now", "quality"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be measured, and how it is to be written down."""

    evaluate: EvaluateSpec
    """Resolved."""
    seed: int
    data: Data
    reproduce: str | None = None
    min_group: int = 10
    """Rows below which no part of the data is named (``bundle.min_group``)."""

    @property
    def role(self) -> str:
        """Last word of every entry's id."""
        return self.data.role

    def draws(self, rows: int) -> int:
        """Draws of the bootstrap for so many rows: many rows need fewer, and cost more, each."""
        return min(self.evaluate.interval.n_resamples, max(LEAST_DRAWS, DRAWN_ROWS // max(1, rows)))


DRAWN_ROWS = 10_000_000
LEAST_DRAWS = 200
"""Enough for the ends of a 95 % interval to be known to about a tenth of its width."""


def now() -> str:
    """This second in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def not_applicable(id: str, metric: str, why: str, ask: Ask, target: str | None = None) -> Entry:
    """An entry of a check that has nothing to look at here; its axis is the first word of its id."""
    return Entry(
        id=id, axis=id.partition("/")[0], metric=metric, target=target, status="not_applicable", reason=why,
        data=ask.data, produced_at=now(),
    )  # fmt: skip


def quality(
    predictions: Mapping[str, Prediction], truths: Mapping[str, Truth], ask: Ask, *, prefix: str = "quality",
    slice: str | None = None,
) -> list[Entry]:  # fmt: skip
    """Entries for every metric of every target.

    Args:
        predictions: By target.
        truths: By target; the same rows.
        ask: Metrics, interval and where the rows come from.
        prefix: First words of the ids; "baseline/linear" for a baseline.
        slice: Name of a part of the rows.
    """
    entries = []
    for target, truth in truths.items():
        names = _names(ask.evaluate, target, predictions[target], every=prefix == "quality" and slice is None)
        asked = [metric(name) for name in names]
        entries += estimated(prefix, target, asked, predictions[target], truth, ask, slice)
        if prefix == "quality" and slice is None:
            entries += _confusion(target, predictions[target], truth, ask)
            entries += _curves(target, predictions[target], truth, ask)
    return entries


def _names(evaluate: EvaluateSpec, target: str, prediction: Prediction, *, every: bool) -> list[str]:
    """What was asked for; for the model itself each class too, which would take baselines as long as training."""
    names = list((evaluate.metrics or {}).get(target, ()))
    if isinstance(prediction, ClassPrediction) and names and every:
        names += [f"{m}[{label}]" for m in CLASS_METRICS for label in prediction.classes[:_MOST_CLASSES]]
    if isinstance(prediction, NumberPrediction) and prediction.low_N is not None:
        names += ["coverage", "interval_width"]
    return list(dict.fromkeys(names))


_MOST_CLASSES = 20  # per-class metrics beyond this many classes drown the rest


def _confusion(target: str, prediction: Prediction, truth: Truth, ask: Ask) -> list[Entry]:
    """How often each class was taken for which: counts, so without intervals."""
    if not isinstance(prediction, ClassPrediction) or len(prediction.classes) > _MOST_CLASSES:
        return []
    found = confusion_matrix(prediction, truth)
    return [
        Entry(
            id=f"confusion/{target}/{i}/{j}/{ask.role}",
            axis="confusion",
            metric=f"{actual} answered as {answered}",
            target=target,
            value=float(found.weight_LC[i, j]),
            unit="rows" if truth.weight_N is None else "weight",
            n=found.n,
            method=Method("confusion_matrix", "1"),
            data=ask.data,
            produced_at=now(),
        )
        for i, actual in enumerate(found.actual)
        for j, answered in enumerate(found.answered)
    ]


def _curves(target: str, prediction: Prediction, truth: Truth, ask: Ask) -> list[Entry]:
    """Lines behind the scores, drawn by reports."""
    return [
        Entry(
            id=f"curve/{target}/{name}/{ask.role}", axis="curve", metric=name, target=target, value=len(curve.points),
            unit="points", n=int(truth.present_N.sum()), method=Method(name, "1", {"min_group": ask.min_group}),
            data=ask.data, reproduce=ask.reproduce, produced_at=now(), curve=curve,
        )
        for name, curve in curves_of(prediction, truth, ask.min_group).items()
    ]  # fmt: skip


def estimated(
    prefix: str, target: str, asked: Sequence[Metric], prediction: Prediction, truth: Truth, ask: Ask,
    slice: str | None = None,
) -> list[Entry]:  # fmt: skip
    """An entry for each metric of a target's answers, with n and interval.

    Args:
        prefix: First words of the ids; the first of them is the axis.
        target: Its name.
        asked: What to measure.
        prediction: N rows.
        truth: The same rows.
        ask: How intervals are found, and where the rows come from.
        slice: Name of a part of the rows.
    """
    start, how = perf_counter(), ask.evaluate.interval
    seed = stream_seed(ask.seed, "interval") % 2**32
    found = estimates(
        asked, prediction, truth, level=how.level, method=how.method, n_resamples=ask.draws(len(truth)), seed=seed
    )
    seconds = round((perf_counter() - start) / max(1, len(asked)), 4)
    axis = prefix.split("/", maxsplit=1)[0]
    entries = []
    for what, one in zip(asked, found, strict=True):
        known = math.isfinite(one.value)
        method = Method(one.metric, "1", {"interval": one.method, "n_resamples": ask.draws(len(truth))}, seed)
        entries.append(
            Entry(
                id="/".join([prefix, target, one.metric, ask.role] + ([slice] if slice else [])),
                axis=axis,
                metric=one.metric,
                target=target,
                slice=slice,
                value=one.value if known else None,
                unit=what.unit,
                interval=one.interval() if known else None,
                n=one.n,
                status="measured" if known else "not_applicable",
                reason=one.reason or (None if known else "undefined"),
                method=method,
                data=ask.data,
                cost={"seconds": seconds},
                reproduce=ask.reproduce,
                produced_at=now(),
            )
        )
    return entries
