"""Two models side by side: each number of both, their difference with an interval, and whether it shows anything."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from trueweight.data.levels import level_numbers
from trueweight.errors import SpecError
from trueweight.evidence.record import Entry, Evidence
from trueweight.metrics.compare import Difference
from trueweight.metrics.prediction import ClassPrediction, Prediction, SetPrediction
from trueweight.metrics.registry import metric
from trueweight.metrics.words import digits_for, plain, signed

__all__ = ["Line", "aligned_with", "changed_flags", "first_worse", "paired_lines", "unpaired_lines"]

Verdict = Literal["better", "worse", "not shown"]

COSTS = (
    "cost/train/wall_seconds",
    "cost/train/joules",
    "cost/predict/seconds_per_1000",
    "cost/predict/joules_per_1000",
)
"""Readings worth a line; no verdict is passed on them."""


@dataclass(frozen=True, slots=True)
class Line:
    """One number of both models."""

    target: str | None
    metric: str
    a: float | None
    b: float | None
    difference: float | None = None
    """Of b minus a."""
    low: float | None = None
    high: float | None = None
    verdict: Verdict | None = None
    """On b; None where nothing is compared."""
    method: str = ""
    note: str = ""

    def cells(self) -> tuple[str, str, str, str, str]:
        """Name, a, b, difference with interval, verdict."""
        half = None if self.low is None or self.high is None else (self.high - self.low) / 2
        decimals = digits_for(half, self.difference if self.difference is not None else self.a or self.b or 0.0)
        a, b = ("–" if value is None else plain(value, decimals) for value in (self.a, self.b))
        told = "" if self.difference is None else signed(self.difference, decimals)
        if self.low is not None and self.high is not None:
            told += f" ({signed(self.low, decimals)} … {signed(self.high, decimals)})"
        return self.metric, a, b, told, "; ".join(word for word in (self.verdict or "", self.note) if word)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "target": self.target, "metric": self.metric, "a": self.a, "b": self.b, "difference": self.difference,
            "low": self.low, "high": self.high, "verdict": self.verdict, "method": self.method, "note": self.note,
        }  # fmt: skip


def unpaired_lines(a: Evidence, b: Evidence) -> list[Line]:
    """Numbers of both as their evidence has them; the interval of the difference is put together from both.

    Source: Zou and Donner 2008, "Construction of confidence limits about effect measures: a general approach" (MOVER).
    It is right for rows that have nothing to do with each other; on shared rows it is wider than need be.
    """
    others = {(e.target, e.metric): e for e in _scores(b)}
    lines = [_unpaired(one, others.pop((one.target, one.metric), None)) for one in _scores(a)]
    return [*lines, *(_alone(one, first=False) for one in others.values()), *_costs(a, b)]


def paired_lines(found: Mapping[str, Sequence[tuple[Difference, float, float]]]) -> list[Line]:
    """Numbers of both on the same rows.

    Args:
        found: By target, the difference of b and a with both values, in the order of the metrics.
    """
    return [
        Line(
            target, one.metric, _known(a), _known(b), _known(one.value), one.low, one.high,
            {"a": "better", "b": "worse", "not shown": "not shown"}[one.better],  # type: ignore[arg-type]
            one.method, one.reason,
        )
        for target, differences in found.items()
        for one, a, b in differences
    ]  # fmt: skip


def first_worse(lines: Sequence[Line]) -> list[str]:
    """Targets whose first compared number is shown to be worse."""
    firsts: dict[str, Line] = {}
    for line in lines:
        if line.target is not None and line.verdict is not None:
            firsts.setdefault(line.target, line)
    return [target for target, line in firsts.items() if line.verdict == "worse"]


def changed_flags(a: Evidence, b: Evidence) -> list[str]:
    """Flags that one raises and the other does not, in words: because it looked and found nothing, or did not look."""
    one, two = (_flags(found) for found in (a, b))
    new = [_changed("raised now", "not looked for before", e, one.get(at)) for at, e in two.items() if e.value]
    gone = [_changed("raised no more", "not looked for any more", e, two.get(at)) for at, e in one.items() if e.value]
    return [words for words in (*new, *gone) if words]


def _flags(evidence: Evidence) -> dict[tuple[str, str, str | None], Entry]:
    """Flags that were looked for, wherever the rows come from."""
    found = [e for e in evidence if e.metric.endswith("flag") and isinstance(e.value, int | float)]
    return {(e.axis, e.metric, e.target): e for e in found}


def _changed(otherwise: str, unlooked: str, raised: Entry, beside: Entry | None) -> str:
    """What became of a raised flag in the other model, which has ``beside``; nothing if it is raised there too."""
    if beside is not None and beside.value:
        return ""
    return f"{otherwise if beside is not None else unlooked}: {raised.reason or raised.id}"


def aligned_with(prediction: Prediction, like: Prediction) -> Prediction | str:
    """A prediction with the classes of another, in their order; or why that cannot be."""
    if isinstance(prediction, ClassPrediction) and isinstance(like, ClassPrediction):
        place = level_numbers(list(like.classes), prediction.classes)
        if len(prediction.classes) != len(like.classes) or (place < 0).any():
            return f"they know other classes: {', '.join(like.classes[:5])} and {', '.join(prediction.classes[:5])}"
        return _reordered(prediction, place, like.classes)
    if isinstance(prediction, SetPrediction) and isinstance(like, SetPrediction):
        place = level_numbers(list(like.labels), prediction.labels)
        if len(prediction.labels) != len(like.labels) or (place < 0).any():
            return "they know other labels"
        return replace(prediction, probability_NC=prediction.probability_NC[:, place], labels=like.labels)
    return prediction if type(prediction) is type(like) else "they answer different kinds of targets"


def _reordered(prediction: ClassPrediction, place: np.ndarray, classes: tuple[str, ...]) -> ClassPrediction:
    """The same answers with columns in another order; of two classes the other one may then be the positive one."""
    chosen, threshold = prediction.set_NC, prediction.threshold
    if prediction.binary and place[0] == 1:  # from p on it was the one: beyond 1 - p it is now the other
        threshold = float(np.nextafter(1 - threshold, 2))
    return replace(
        prediction, probability_NC=prediction.probability_NC[:, place], classes=classes, threshold=threshold,
        set_NC=None if chosen is None else chosen[:, place],
    )  # fmt: skip


def _scores(evidence: Evidence) -> list[Entry]:
    return [e for e in evidence.select(axis="quality") if e.target and e.slice is None and "[" not in e.metric]


def _alone(entry: Entry, *, first: bool) -> Line:
    value = _value(entry)
    return Line(entry.target, entry.metric, value if first else None, None if first else value, note="only one has it")


def _value(entry: Entry) -> float | None:
    return float(entry.value) if isinstance(entry.value, int | float) else None


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _unpaired(a: Entry, b: Entry | None) -> Line:
    if b is None:
        return _alone(a, first=True)
    one, two = _value(a), _value(b)
    line = Line(a.target, a.metric, one, two)
    if one is None or two is None:
        return replace(line, note=a.reason or b.reason or "not measured")
    line = replace(line, difference=two - one)
    if a.interval is None or b.interval is None:
        return replace(line, note="no interval")
    low = two - one - math.hypot(two - b.interval.low, a.interval.high - one)
    high = two - one + math.hypot(b.interval.high - two, one - a.interval.low)
    try:
        greater = metric(a.metric).greater_is_better
    except SpecError:
        return replace(line, low=low, high=high, method="unpaired")
    verdict: Verdict = "not shown" if low <= 0 <= high else "better" if (low > 0) == greater else "worse"
    return replace(line, low=low, high=high, verdict=verdict, method="unpaired")


def _costs(a: Evidence, b: Evidence) -> list[Line]:
    facts = [{e.id: e for e in found.select(axis="cost")} for found in (a, b)]
    both = [(facts[0][name], facts[1][name]) for name in COSTS if all(name in one for one in facts)]
    told = [(one.id.removeprefix("cost/"), _value(one), _value(two)) for one, two in both]
    return [Line(None, name, x, y, None if x is None or y is None else y - x) for name, x, y in told]
