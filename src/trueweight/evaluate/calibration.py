"""Do probabilities, sets and intervals keep their word on the judged rows?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from trueweight.evaluate.coverage import coverages
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.quality import Ask, estimated, not_applicable, now
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.beta import clopper_pearson
from trueweight.metrics.calibration import CALIBRATION, curve, p_value
from trueweight.metrics.metric import Metric, known_rows
from trueweight.metrics.prediction import ClassPrediction
from trueweight.metrics.recalibrate import Recalibration
from trueweight.metrics.statistic import Statistic, mean_of
from trueweight.metrics.text_prediction import TextPrediction
from trueweight.metrics.threshold import Threshold, cost_N
from trueweight.metrics.truth import Truth
from trueweight.metrics.words import counted
from trueweight.model.predictors.calibrated import CalibratedPredictor
from trueweight.model.predictors.threshold import ThresholdPredictor
from trueweight.model.protocols import Predictor
from trueweight.seeds import row_hashes, stream, stream_seed

__all__ = ["calibration", "nodes_of"]

LEVEL = 0.01
"""Of the test of miscalibration, over all targets together (Holm)."""

MARGIN = 0.02
"""Smallest ``ece`` worth a flag: of many rows, the test would tell gaps that nobody needs to mind."""

TESTED_ROWS, DRAWS = 5_000, 999

FEWEST = 50
"""Labelled rows below which calibration is not judged: one bin would hold them all."""


def calibration(judging: Judging) -> list[Entry]:
    """Calibration error, reliability curve, the Brier score's parts, coverage, costs, and the two flags.

    ``miscalibrated_flag``: the probabilities are wrong by more than chance and by more than :data:`MARGIN`.
    ``shift_flag``: fewer rows are covered than calibration rows promised; see :mod:`trueweight.evaluate.coverage`.
    """
    entries: list[Entry] = []
    maps, thresholds = _learnt(judging.predictor)
    for target, answer in judging.answers.items():
        if target not in judging.truths:
            continue
        truth = judging.truths[target]
        if target in maps:
            entries.append(_method(target, maps[target], judging.ask))
        if isinstance(answer, TextPrediction):
            entries.append(_of_text(target, judging.ask))
        if isinstance(answer, ClassPrediction):
            entries += _of_classes(target, answer, truth, judging.ask)
            if target in thresholds:
                entries += _costs(target, answer, truth, thresholds[target], judging.ask)
    entries += _flags(judging, entries)
    return entries + coverages(judging)


def _of_text(target: str, ask: Ask) -> Entry:
    why = "a text has no probability that could be off, nor a set or an interval around it: each is one of too many"
    return not_applicable(f"calibration/{target}/miscalibrated_flag/{ask.role}", "miscalibrated_flag", why, ask, target)


def nodes_of(predictor: Predictor) -> Iterator[Predictor]:
    """The predictor, and what lies inside as long as there is one member."""
    yield predictor
    while len(predictor.members()) == 1:
        predictor = predictor.members()[0]
        yield predictor


def _learnt(predictor: Predictor) -> tuple[Mapping[str, Recalibration], Mapping[str, Threshold]]:
    maps: dict[str, Recalibration] = {}
    thresholds: dict[str, Threshold] = {}
    for node in nodes_of(predictor):
        if isinstance(node, CalibratedPredictor):
            maps |= node.maps
        if isinstance(node, ThresholdPredictor):
            thresholds |= node.thresholds
    return maps, thresholds


def _method(target: str, found: Recalibration, ask: Ask) -> Entry:
    """What calibration rows taught, as a reading."""
    reason = found.reason + ("; the same rows chose when to stop" if found.crossed else "")
    parameters = {"parameters": [float(f"{p:.6g}") for p in found.parameters], "calibration_rows": found.n}
    return Entry(
        id=f"calibration/{target}/method/{ask.role}", axis="calibration", metric="method", target=target,
        value=found.method, reason=reason, method=Method("recalibration", "1", parameters), data=ask.data,
        produced_at=now(),
    )  # fmt: skip


def _of_classes(target: str, answer: ClassPrediction, truth: Truth, ask: Ask) -> list[Entry]:
    rows = len(known_rows(truth))
    if rows < FEWEST:
        reason = f"{counted(rows, 'labelled row')} cannot show whether probabilities are right: it takes {FEWEST}"
        return [_nothing(target, "ece", reason, ask)]
    if not np.isfinite(answer.probability_NC).all():
        return [_nothing(target, "ece", "some probabilities are not finite", ask)]
    entries = estimated("calibration", target, CALIBRATION, answer, truth, ask)
    return entries + _curve(target, answer, truth, ask)


def _nothing(target: str, name: str, reason: str, ask: Ask) -> Entry:
    return not_applicable(f"calibration/{target}/{name}/{ask.role}", name, reason, ask, target)


def _curve(target: str, answer: ClassPrediction, truth: Truth, ask: Ask) -> list[Entry]:
    """For each bin of probabilities what was said and what happened, with an interval."""
    found, level, entries = curve(answer, truth), ask.evaluate.interval.level, []
    for place, rows in enumerate(found.rows_B):
        ends = clopper_pearson(found.hits_B[place], rows, level) if found.plain else None
        interval = None if ends is None else Interval(*ends, level, "clopper-pearson")
        for name, value, around in (
            ("said", found.said_B[place], None),
            ("happened", found.happened_B[place], interval),
        ):
            entries.append(
                Entry(
                    id=f"calibration/{target}/{name}/{ask.role}/{place + 1}", axis="calibration", metric=name,
                    target=target, slice=f"bin {place + 1} of {len(found.rows_B)}", value=float(value),
                    interval=around, n=int(rows), method=Method("reliability curve", "1", {"bins": "equal mass"}),
                    data=ask.data, reproduce=ask.reproduce, produced_at=now(),
                )
            )  # fmt: skip
    return entries


@dataclass(frozen=True, slots=True)
class _Tested:
    target: str
    p: float
    entry: Entry
    """The ``ece`` that the flag rests on."""


def _flags(judging: Judging, entries: list[Entry]) -> list[Entry]:
    """For every target with an ``ece``: whether its probabilities are wrong, tested for all targets together."""
    measured = {e.target: e for e in entries if e.metric == "ece" and e.status == "measured"}
    tested = sorted(
        (_Tested(target, _p_of(judging, target), entry) for target, entry in measured.items() if target),
        key=lambda one: one.p,
    )
    flags, still = [], True
    for place, one in enumerate(tested):
        still = still and one.p <= LEVEL / (len(tested) - place)
        flags.append(_flag(one, still, judging.ask))
    return flags


def _p_of(judging: Judging, target: str) -> float:
    answer, truth = judging.answers[target], judging.truths[target]
    assert isinstance(answer, ClassPrediction)  # only those have an ece
    rows = known_rows(truth)
    if len(rows) > TESTED_ROWS and truth.cluster_N is None:
        order = np.argsort(row_hashes(stream_seed(0, "calibration test"), rows), kind="stable")
        rows = np.sort(rows[order[:TESTED_ROWS]])
    rng = stream(judging.ask.seed, f"calibration test {target}")
    return p_value(answer.take(rows), truth.take(rows), DRAWS, rng)


def _flag(one: _Tested, significant: bool, ask: Ask) -> Entry:
    size = float(one.entry.value or 0.0)
    wrong = significant and size >= MARGIN
    reason = (
        f"the probabilities of {one.target!r} are off by {100 * size:.1f} points on average (by chance alone: p = "
        f"{one.p:.3g}): do not read them as chances; train with evaluate.calibration and rows like these"
        if wrong
        else None
    )
    method = Method("bootstrap test of calibration", "1", {"p": one.p, "level": LEVEL, "margin": MARGIN}, ask.seed)
    return Entry(
        id=f"calibration/{one.target}/miscalibrated_flag/{ask.role}", axis="calibration", metric="miscalibrated_flag",
        target=one.target, value=int(wrong), unit="flag", reason=reason, n=one.entry.n, method=method, data=ask.data,
        reproduce=ask.reproduce, depends_on=(one.entry.id,), produced_at=now(),
    )  # fmt: skip


def _costs(target: str, answer: ClassPrediction, truth: Truth, found: Threshold, ask: Ask) -> list[Entry]:
    """The threshold in use, and what a row costs with it and with one half."""
    crossed = "; the same rows chose when to stop" if found.crossed else ""
    costs = {"false_positive": found.false_positive, "false_negative": found.false_negative}
    reading = Entry(
        id=f"calibration/{target}/threshold/{ask.role}", axis="calibration", metric="threshold", target=target,
        value=found.value, reason=found.reason + crossed, data=ask.data, produced_at=now(),
        method=Method("minimize_cost", "1", {**costs, "calibration_rows": found.n}),
    )  # fmt: skip
    asked = [_cost_metric("cost", found.value, found), _cost_metric("cost_at_half", 0.5, found)]
    return [reading, *estimated("calibration", target, asked, answer, truth, ask)]


def _cost_metric(name: str, threshold: float, found: Threshold) -> Metric:
    def form(prediction: ClassPrediction, truth: Truth) -> Statistic:
        cost = cost_N(
            prediction.probability_NC[:, 1], truth.value == 1, threshold, found.false_positive, found.false_negative
        )
        return mean_of(cost, truth.weight_N)

    return Metric(name, False, {ClassPrediction: form}, "mean cost of a row's mistake", "cost")
