"""Scores on rows that nobody trained on, each with its n and interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter

from trueweight.errors import TrueweightError
from trueweight.evidence.record import Data, Entry, Interval, Method
from trueweight.metrics.interval import Estimate, estimate
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction
from trueweight.metrics.registry import metric
from trueweight.metrics.truth import Truth
from trueweight.recipes.tables import CLASS_METRICS
from trueweight.seeds import stream_seed
from trueweight.spec.run import EvaluateSpec

__all__ = ["Ask", "now", "quality"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What is to be measured, and how it is to be written down."""

    evaluate: EvaluateSpec
    """Resolved."""
    seed: int
    data: Data
    reproduce: str | None = None

    @property
    def role(self) -> str:
        """Last word of every entry's id."""
        return self.data.role


def now() -> str:
    """This second in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


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
        prediction = predictions[target]
        for name in _names(ask.evaluate, target, prediction):
            entries.append(_entry(prefix, target, name, prediction, truth, ask, slice))
    return entries


def _names(evaluate: EvaluateSpec, target: str, prediction: Prediction) -> Sequence[str]:
    names = list((evaluate.metrics or {}).get(target, ()))
    asked = len(names)
    if isinstance(prediction, ClassPrediction) and asked:
        names += [f"{m}[{label}]" for m in CLASS_METRICS for label in prediction.classes[-_MOST_CLASSES:]]
    if isinstance(prediction, NumberPrediction) and prediction.low_N is not None:
        names += ["coverage", "interval_width"]
    return names


_MOST_CLASSES = 20  # per-class metrics beyond this many classes drown the rest


def _entry(
    prefix: str, target: str, name: str, prediction: Prediction, truth: Truth, ask: Ask, slice: str | None
) -> Entry:
    start, how = perf_counter(), ask.evaluate.interval
    id = "/".join([prefix, target, name, ask.role] + ([slice] if slice else []))
    axis = prefix.split("/", maxsplit=1)[0]
    seed = stream_seed(ask.seed, "interval") % 2**32
    method = Method(name, "1", {"interval": how.method, "n_resamples": how.n_resamples}, seed)
    common = {"axis": axis, "metric": name, "target": target, "slice": slice, "method": method, "data": ask.data}
    try:
        found = estimate(
            metric(name), prediction, truth, level=how.level, method=how.method, n_resamples=how.n_resamples, seed=seed
        )
    except TrueweightError as error:
        return Entry(id=id, status="not_applicable", reason=error.problem, produced_at=now(), **common)  # type: ignore[arg-type]
    return Entry(
        id=id, value=found.value, interval=_interval(found), n=found.n, unit=metric(name).unit,
        cost={"seconds": round(perf_counter() - start, 4)}, reproduce=ask.reproduce, produced_at=now(), **common,  # type: ignore[arg-type]
    )  # fmt: skip


def _interval(found: Estimate) -> Interval | None:
    if found.low is None or found.high is None:
        return None
    return Interval(found.low, found.high, found.level, found.method)
