"""Do sets and intervals hold as many true values as calibration rows promised? If not, the rows are of another kind."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trueweight.evaluate.judging import Judging
from trueweight.evaluate.quality import Ask, estimated, not_applicable, now
from trueweight.evidence.record import Entry, Method
from trueweight.metrics.classes import coverage as of_sets
from trueweight.metrics.conformal import ClassSets, Radius, coverage_band, coverage_tail, fewest_rows
from trueweight.metrics.metric import Metric, known_rows
from trueweight.metrics.numbers import coverage as of_intervals
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction
from trueweight.metrics.registry import metric
from trueweight.metrics.statistic import Statistic, share_of
from trueweight.metrics.truth import Truth
from trueweight.model.predictors.conformal import ConformalPredictor
from trueweight.model.protocols import Predictor

__all__ = ["coverages"]

BAND = 0.99
"""Level of the band in which the share covered lies where rows are drawn like the calibration rows."""

FEWEST = 10
"""Rows of a class that its coverage is told of: with fewer, it would be somebody's."""

FEWEST_GROUPS = 8
"""Groups of rows from which on it can be told how much they agree among themselves."""

MOST_CLASSES = 20


def coverages(judging: Judging) -> list[Entry]:
    """For every target with sets or intervals: coverage overall and by part, the exact band around it, and a flag.

    The flag is up where the share covered is below the band's low end, which happens to one of 200 models on rows drawn
    like its calibration rows (of all targets and parts together). It asks about coverage only from below: ties can make
    it larger.
    """
    node = _node(judging.predictor)
    targets = [] if node is None else [t for t in judging.answers if t in judging.truths and _covers(node, t)]
    entries: list[Entry] = []
    for target in targets:
        assert node is not None
        found: Radius | ClassSets = node.radii[target] if target in node.radii else node.sets[target]
        entries += _of_target(target, found, judging, len(targets))
    return entries


def _node(predictor: Predictor) -> ConformalPredictor | None:
    while not isinstance(predictor, ConformalPredictor):
        if len(predictor.members()) != 1:
            return None
        predictor = predictor.members()[0]
    return predictor


def _covers(node: ConformalPredictor, target: str) -> bool:
    return target in node.radii or target in node.sets


def _of_target(target: str, found: Radius | ClassSets, judging: Judging, targets: int) -> list[Entry]:
    answer, truth, ask = judging.answers[target], judging.truths[target], judging.ask
    rows = known_rows(truth)
    if found.reason:
        return [_nothing(target, "coverage", found.reason, ask)]
    if not len(rows) or not np.isfinite(answer.scores()).all():
        return [_nothing(target, "coverage", "there is no labelled row with a finite answer", ask)]
    answer, truth = answer.take(rows), truth.take(rows)
    asked = [metric("coverage")]
    if isinstance(answer, ClassPrediction):
        asked += [metric("set_size"), _EMPTY]
    entries = estimated("calibration", target, asked, answer, truth, ask)
    for name, words, part in _parts(answer, truth):
        one = Metric(f"coverage[{name}]" if name else "coverage", True, metric("coverage").forms, "")
        entries += estimated("calibration", target, [one], answer.take(part), truth.take(part), ask, words or None)
    promises = list(_promises(found, answer, truth))
    return [*entries, *_bands(target, promises, ask), _flag(target, found, promises, targets, entries[0], ask)]


def _no_class(prediction: ClassPrediction, truth: Truth) -> Statistic:
    chosen = np.zeros((len(truth), 0), bool) if prediction.set_NC is None else prediction.set_NC
    return share_of(np.asarray(~chosen.any(1)), None, truth.weight_N)


_EMPTY = Metric("empty_sets", False, {ClassPrediction: _no_class}, "share of rows without a likely class")


def _nothing(target: str, name: str, reason: str, ask: Ask) -> Entry:
    return not_applicable(f"calibration/{target}/{name}/{ask.role}", name, reason, ask, target)


def _parts(answer: Prediction, truth: Truth) -> Iterator[tuple[str, str, np.ndarray]]:
    """Rows of each class, or of each third of predicted numbers: (class, slice, rows)."""
    if isinstance(answer, ClassPrediction):
        for index, label in enumerate(answer.classes[:MOST_CLASSES]):
            rows = np.flatnonzero(truth.value == index)
            if len(rows) >= FEWEST:
                yield label, "", rows
    if isinstance(answer, NumberPrediction) and len(truth) >= 3 * FEWEST:
        edges = np.unique(np.quantile(answer.value_N, [1 / 3, 2 / 3]))
        third_N = np.searchsorted(edges, answer.value_N, side="right")
        for place, words in enumerate(("lowest", "middle", "highest")):
            rows = np.flatnonzero(third_N == place)
            if len(rows) >= FEWEST:
                yield "", f"{words} third of answers", rows


@dataclass(frozen=True, slots=True)
class _Promise:
    """What some calibration rows promised of some judged rows."""

    words: str
    """Which rows: "" for all."""
    n: int
    """Calibration rows; effective ones where rows are grouped or weighted."""
    coverage: float
    rows: int
    """Judged rows; effective ones as above."""
    covered: int
    share: float
    """Covered, weighted."""

    @property
    def tail(self) -> float:
        """How often so few would be covered by chance."""
        return coverage_tail(self.n, self.coverage, self.rows, self.covered)


def _promises(found: Radius | ClassSets, answer: Prediction, truth: Truth) -> Iterator[_Promise]:
    inside_N = _inside(answer, truth)
    if isinstance(found, Radius) and found.edges and isinstance(answer, NumberPrediction):
        part_N = np.searchsorted(found.edges, answer.value_N, side="right")
        words = [f"range {place + 1} of answers" for place in range(len(found.sizes))]
        parts = [(words[p], n, part_N == p) for p, n in enumerate(found.sizes)]
    elif isinstance(found, ClassSets) and len(found.least) > 1:
        group_N = np.where(truth.value >= 0, np.array(found.groups)[truth.value], -1)
        names = answer.classes if isinstance(answer, ClassPrediction) else ()
        parts = [(_named(g, found, names), n, group_N == g) for g, n in enumerate(found.sizes)]
    else:
        parts = [("", found.n, np.ones(len(truth), bool))]
    for name, n, mine_N in parts:
        if mine_N.sum() >= FEWEST and n >= fewest_rows(found.coverage):
            promise = _promise(name, n, found.coverage, inside_N[mine_N], truth.take(np.flatnonzero(mine_N)))
            if promise is not None:
                yield promise


def _named(group: int, found: ClassSets, classes: tuple[str, ...]) -> str:
    mine = [label for label, g in zip(classes, found.groups, strict=True) if g == group]
    return f"class {mine[0]!r}" if len(mine) == 1 else "rare classes"


def _inside(answer: Prediction, truth: Truth) -> np.ndarray:
    """Whether each row's true value is covered, (N,) bool."""
    form = of_sets if isinstance(answer, ClassPrediction) else of_intervals
    row_N = form(answer, truth).row_N  # type: ignore[arg-type]
    return np.zeros(len(truth), bool) if row_N is None else np.asarray(row_N > 0.5)


def _promise(words: str, n: int, coverage: float, inside_N: np.ndarray, truth: Truth) -> _Promise | None:
    """Exact counts; where rows are weighted or in groups, so many independent rows as would vary as much."""
    rows = len(truth)
    if truth.weight_N is None and truth.cluster_N is None:
        return _Promise(words, n, coverage, rows, int(inside_N.sum()), float(inside_N.mean()))
    weight_N = np.ones(rows) if truth.weight_N is None else truth.weight_N
    share = float(np.average(inside_N, weights=weight_N))
    apart_N = weight_N * (inside_N - share)
    if truth.cluster_N is not None:
        group_N = np.unique(truth.cluster_N, return_inverse=True)[1]
        groups = int(group_N.max()) + 1
        if groups < FEWEST_GROUPS:
            return None
        apart_N = np.bincount(group_N, apart_N) * np.sqrt(groups / (groups - 1))
    variance = float(np.square(apart_N).sum() / weight_N.sum() ** 2)
    effective = rows if variance == 0 else min(rows, max(1, round(share * (1 - share) / variance)))
    fewer = max(fewest_rows(coverage), round(n * effective / rows))
    return _Promise(words, fewer, coverage, effective, round(share * effective), share)


def _bands(target: str, promises: list[_Promise], ask: Ask) -> list[Entry]:
    """The ends of the band, as readings: they follow from counts alone."""
    entries = []
    for place, one in enumerate(promises):
        ends = coverage_band(one.n, one.coverage, one.rows, BAND)
        method = Method("beta-binomial band", "1", {"level": BAND, "calibration_rows": one.n, "rows": one.rows})
        for name, value in zip(("coverage_band_low", "coverage_band_high"), ends, strict=True):
            tail = f"/{place + 1}" if len(promises) > 1 else ""
            entries.append(
                Entry(
                    id=f"calibration/{target}/{name}/{ask.role}{tail}", axis="calibration", metric=name, target=target,
                    slice=one.words or None, value=value, method=method, data=ask.data, produced_at=now(),
                )
            )  # fmt: skip
    return entries


def _flag(
    target: str, found: Radius | ClassSets, promises: list[_Promise], targets: int, entry: Entry, ask: Ask
) -> Entry:
    if found.crossed:
        why = "the calibration rows also selected the model, so they promise too much: a gap here would prove no shift"
        return _nothing(target, "shift_flag", why, ask)
    if not promises:
        return _nothing(target, "shift_flag", "too few rows, or groups of rows, to tell a gap from chance", ask)
    worst = min(promises, key=lambda one: one.tail)
    up = worst.tail <= (1 - BAND) / 2 / len(promises) / targets
    low = coverage_band(worst.n, worst.coverage, worst.rows, BAND)[0]
    which = f"of {worst.words} " if worst.words else ""
    what = "sets" if isinstance(found, ClassSets) else "intervals"
    reason = (
        f"the {what} of {target!r} hold {100 * worst.share:.1f} % of the true values {which}where {worst.coverage:.0%} "
        f"was promised and {100 * low:.1f} % would still be chance: these rows are of another kind than those that "
        "calibrated; calibrate on rows like them, or trust probabilities and sets less"
        if up
        else None
    )
    method = Method("beta-binomial test of coverage", "1", {"p": float(f"{worst.tail:.3g}"), "parts": len(promises)})
    return Entry(
        id=f"calibration/{target}/shift_flag/{ask.role}", axis="calibration", metric="shift_flag", target=target,
        value=int(up), unit="flag", reason=reason, n=entry.n, method=method, data=ask.data, reproduce=ask.reproduce,
        depends_on=(entry.id,), produced_at=now(),
    )  # fmt: skip
