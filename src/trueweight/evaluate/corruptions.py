"""How answers bear input that is worse than the training rows: suites for each type of column.

Every suite changes copies of judged rows cell by cell, at three strengths in named units, and the predictor answers
them like any other rows; scores of the changed rows are set beside those of the same rows unchanged. A flag is raised
only where a *mild* change costs a model more than a third of what it is better than not looking at all, or turns
answers that it was sure of; both by tests that allow for the number of suites.

Shape suffixes:
    N  rows
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa

from trueweight.data.table import Table
from trueweight.errors import fault_of
from trueweight.evaluate.changed_rows import Changed, changed_copies, some_rows
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.quality import Ask, now
from trueweight.evidence.record import Entry, Interval, Method
from trueweight.metrics.beta import clopper_pearson
from trueweight.metrics.interval import estimates, percentiles
from trueweight.metrics.metric import Metric
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction, VectorPrediction
from trueweight.metrics.registry import metric
from trueweight.metrics.resample import Units, fewest_units, resampled
from trueweight.metrics.truth import Truth
from trueweight.model.predictors.constant import ConstantPredictor
from trueweight.seeds import stream_seed

__all__ = ["corruptions"]

_LOG = logging.getLogger("trueweight.evaluate")

DRAWS = 200
"""Of the bootstrap, for each suite and strength."""

LOST = 1 / 3
"""Share of what a model is better than a constant answer that a mild change may cost it."""

TURNED = 0.2
"""Share of the answers that it was sure of that a mild change may turn."""

SURE = 0.75
"""Probability from which a model is sure of an answer."""

_LEVEL = 0.05
"""Chance of a flag on a model that stands just at the limits, over all suites of a target."""


def corruptions(judging: Judging) -> list[Entry]:
    """Scores under every suite that the columns allow, what each costs, the worst, and a flag for each target."""
    rows_N = some_rows(judging)
    table = judging.table.take(rows_N)
    clean, copies = changed_copies(judging, table)
    if not copies:
        return [_nothing(judging, "the model reads no column that varies")]
    unchanged, answered, refused = _answers(judging, clean, copies)
    constant = ConstantPredictor(judging.predictor.signature).predict(clean)
    entries: list[Entry] = []
    for target, truth in judging.truths.items():
        names = (judging.ask.evaluate.metrics or {}).get(target, ())
        if not names or target not in unchanged:
            continue
        one = _Target(judging.ask, target, metric(names[0]), truth.take(rows_N), unchanged[target], constant[target])
        entries += [one.refused(copy, fault) for copy, fault in refused]
        entries += one.entries([copy for copy, _ in answered], [answers[target] for _, answers in answered])
    return entries or [_nothing(judging, "no metric is asked for")]


_Answers = Mapping[str, Prediction]
"""By target."""


def _answers(
    judging: Judging, clean: Table, copies: Sequence[Changed]
) -> tuple[_Answers, list[tuple[Changed, _Answers]], list[tuple[Changed, str]]]:
    """Answers to the rows unchanged, to every copy that is answered, and why the others are not.

    All are asked about at once. A model may refuse some damage (missing cells, levels that it does not know): only then
    each copy is asked about alone, so that one that is refused takes no other with it.
    """
    count = len(clean)
    try:
        whole = judging.predictor.predict(_stacked([clean, *(copy.table for copy in copies)]))
    except Exception as error:  # whatever a model throws: it need not be ours
        _LOG.info("the changed rows are not answered together: %r", error)
        return _one_by_one(judging, clean, copies)
    parts = [{name: p.take(np.arange(count) + i * count) for name, p in whole.items()} for i in range(len(copies) + 1)]
    return parts[0], list(zip(copies, parts[1:], strict=True)), []


def _one_by_one(
    judging: Judging, clean: Table, copies: Sequence[Changed]
) -> tuple[_Answers, list[tuple[Changed, _Answers]], list[tuple[Changed, str]]]:
    unchanged = judging.predictor.predict(clean)  # a model that refuses these is not judged at all
    answered: list[tuple[Changed, _Answers]] = []
    refused: list[tuple[Changed, str]] = []
    for copy in copies:
        try:
            answered.append((copy, judging.predictor.predict(copy.table)))
        except Exception as error:  # see _answers()
            _LOG.info("%s: not answered: %r", copy.words, error)
            refused.append((copy, fault_of(error)))
    return unchanged, answered, refused


def _nothing(judging: Judging, why: str) -> Entry:
    return Entry(
        id="robustness/suites", axis="robustness", metric="suites", status="not_applicable", reason=why,
        data=judging.ask.data, produced_at=now(),
    )  # fmt: skip


def _stacked(tables: Sequence[Table]) -> Table:
    return replace(tables[0], data=pa.concat_tables([table.data for table in tables]))


@dataclass(frozen=True, slots=True)
class _Target:
    """One target: how its first metric bears the suites."""

    ask: Ask
    name: str
    metric: Metric
    truth: Truth
    clean: Prediction
    constant: Prediction

    def entries(self, copies: Sequence[Changed], answers: Sequence[Prediction]) -> list[Entry]:
        statistics = [self.metric.statistic(p, self.truth) for p in (self.constant, self.clean, *answers)]
        units = Units.of(self.truth, self._seed)
        values = [float(s.values(np.ones((1, units.rows)))[0]) for s in statistics]
        enough = units.count >= fewest_units(self.ask.evaluate.interval.level)
        if not enough or np.isnan(values[:2]).any():
            why = statistics[1].reason or f"{units.are} too few: only known values count"
            return [self._one("robustness_flag", status="not_run", reason=why, unit="flag")]
        draws = resampled(statistics, units, DRAWS, self._seed)
        found = [self._clean()]
        for place, (copy, answer) in enumerate(zip(copies, answers, strict=True), 2):
            found += [self._score(copy, answer), self._change(copy, values[place] - values[1], draws[place] - draws[1])]
            if copy.severity == 1 and isinstance(answer, ClassPrediction | SetPrediction):
                found.append(self._turned(copy, answer))
        if not copies:
            why = "the model refuses all damaged rows"
            return [*found, self._one("robustness_flag", unit="flag", status="not_run", reason=why)]
        found.append(self._worst(copies, values))
        return [*found, self._flag(copies, answers, values, draws)]

    def refused(self, copy: Changed, fault: str) -> Entry:
        """What stands in the place of a score where the model gives no answer."""
        reason = f"the model refuses rows with {copy.words}: {fault}"
        return self._one(self.metric.name, copy.key, slice=copy.words, status="failed", reason=reason)

    @property
    def _seed(self) -> int:
        return stream_seed(self.ask.seed, "interval") % 2**32

    def _one(self, what: str, key: str = "", **more: Any) -> Entry:
        method = Method("robustness suites", "1", {"rows": len(self.truth), "n_resamples": DRAWS}, self.ask.seed)
        return Entry(
            id="/".join(["robustness", self.name, what, self.ask.role] + ([key] if key else [])), axis="robustness",
            metric=what, target=self.name, data=self.ask.data, method=method, reproduce=self.ask.reproduce,
            produced_at=now(), **more,
        )  # fmt: skip

    def _estimated(self, answer: Prediction) -> dict[str, Any]:
        how = self.ask.evaluate.interval
        (found,) = estimates(
            [self.metric], answer, self.truth, level=how.level, method=how.method, n_resamples=DRAWS, seed=self._seed
        )
        known = np.isfinite(found.value)
        return {
            "value": found.value if known else None, "interval": found.interval() if known else None, "n": found.n,
            "status": "measured" if known else "not_applicable", "unit": self.metric.unit,
            "reason": found.reason or (None if known else "undefined"),
        }  # fmt: skip

    def _clean(self) -> Entry:
        return self._one(self.metric.name, "unchanged", slice="the same rows unchanged", **self._estimated(self.clean))

    def _score(self, copy: Changed, answer: Prediction) -> Entry:
        return self._one(self.metric.name, copy.key, slice=copy.words, **self._estimated(answer))

    def _change(self, copy: Changed, value: float, draws_R: np.ndarray) -> Entry:
        level = self.ask.evaluate.interval.level
        ends, known = percentiles(draws_R, level), bool(np.isfinite(value))
        interval = None if isinstance(ends, str) or not known else Interval(*ends, level, "paired bootstrap")
        reason = (ends if isinstance(ends, str) else None) if known else "undefined"
        source = f"robustness/{self.name}/{self.metric.name}/{self.ask.role}"
        return self._one(
            f"{self.metric.name}_change", copy.key, slice=copy.words, value=value if known else None,
            interval=interval, n=int(self.truth.present_N.sum()), unit=self.metric.unit,
            status="measured" if known else "not_applicable", reason=reason,
            depends_on=(f"{source}/{copy.key}", f"{source}/unchanged"),
        )  # fmt: skip

    def _turned(self, copy: Changed, answer: Prediction) -> Entry:
        turned_N, level = turned(self.clean, answer), self.ask.evaluate.interval.level
        low, high = clopper_pearson(int(turned_N.sum()), len(turned_N), level)
        return self._one(
            "answers_turned", copy.key, slice=copy.words, value=float(turned_N.mean()), unit="share", n=len(turned_N),
            interval=Interval(low, high, level, "clopper-pearson"),
        )  # fmt: skip

    def _worst(self, copies: Sequence[Changed], values: Sequence[float]) -> Entry:
        """The copy that lost most; of equals, the first."""
        sign = 1.0 if self.metric.greater_is_better else -1.0
        lost = [sign * (values[1] - value) for value in values[2:]]
        place = int(np.nanargmax(lost)) if np.isfinite(lost).any() else 0
        copy = copies[place]
        source = f"robustness/{self.name}/{self.metric.name}_change/{self.ask.role}/{copy.key}"
        return self._one("worst", value=copy.words, depends_on=(source,))

    def _flag(
        self, copies: Sequence[Changed], answers: Sequence[Prediction], values: Sequence[float], draws: np.ndarray
    ) -> Entry:
        mild = [i for i, copy in enumerate(copies) if copy.severity == 1 and copy.suite.mild]
        if not mild:
            why = "no suite for these columns is mild enough to be held against a model"
            return self._one("robustness_flag", unit="flag", status="not_applicable", reason=why)
        level = _LEVEL / (2 * len(mild))
        faults = ((i, self._fault(i + 2, answers[i], values, draws, level)) for i in mild)
        found = [(i, fault) for i, fault in faults if fault is not None]
        if not found:
            return self._one("robustness_flag", value=0, unit="flag", depends_on=self._sources(copies, mild))
        place, why = found[0]
        reason = (
            f"{self.name}: {copies[place].words} {why}: train with such changes (augmentation, more varied data), or "
            "make sure that the model never meets them"
        )
        others = len(found) - 1
        reason += f"; {others} more mild change{'s' * (others > 1)} as bad" if others else ""
        sources = self._sources(copies, [i for i, _ in found])
        return self._one("robustness_flag", value=1, unit="flag", reason=reason, depends_on=sources)

    def _sources(self, copies: Sequence[Changed], places: Sequence[int]) -> tuple[str, ...]:
        what = f"robustness/{self.name}/{self.metric.name}_change/{self.ask.role}"
        return tuple(f"{what}/{copies[i].key}" for i in places)

    def _fault(
        self, place: int, answer: Prediction, values: Sequence[float], draws: np.ndarray, level: float
    ) -> str | None:
        """What a mild change does that it must not, at a level of error; None if nothing is shown."""
        sign = 1.0 if self.metric.greater_is_better else -1.0
        gain_R = sign * (draws[1] - draws[0])
        if _surely_above(gain_R, level):
            # Lost more than its share of the gain: loss - LOST * gain > 0.
            lost_R = sign * (draws[1] - draws[place])
            if _surely_above(lost_R - LOST * gain_R, level):
                gain, lost = values[1] - values[0], values[1] - values[place]
                return f"takes {lost / gain:.0%} of what {self.metric.name} is better than a constant answer's"
        if isinstance(answer, ClassPrediction) and isinstance(self.clean, ClassPrediction):
            sure_N = self.clean.probability_NC.max(1) >= SURE
            turned_N = turned(self.clean, answer)[sure_N]
            # Two-sided limits: twice the level.
            if len(turned_N) and clopper_pearson(int(turned_N.sum()), len(turned_N), 1 - 2 * level)[0] > TURNED:
                return f"turns {turned_N.mean():.0%} of the answers that the model was sure of"
        return None


def _surely_above(draws_R: np.ndarray, level: float) -> bool:
    """Whether a statistic is above 0, by its bootstrap standard error: so few draws have no tails of their own."""
    valid = draws_R[np.isfinite(draws_R)]
    if len(valid) < len(draws_R) // 2:
        return False
    return bool(valid.mean() > NormalDist().inv_cdf(1 - level) * valid.std() and valid.mean() > 0)


def turned(before: Prediction, after: Prediction) -> np.ndarray:
    """(N,) bool: rows whose answer is another one. Of numbers: by more than half of the answers' own spread."""
    if isinstance(before, ClassPrediction) and isinstance(after, ClassPrediction):
        return np.asarray(before.answer_N() != after.answer_N())
    if isinstance(before, SetPrediction) and isinstance(after, SetPrediction):
        here, there = (p.probability_NC >= p.threshold for p in (before, after))
        return np.asarray((here != there).any(1))
    assert isinstance(before, NumberPrediction | VectorPrediction)
    moved = np.abs(after.scores() - before.scores())
    return np.asarray((moved > before.scores().std(0) / 2).any(1))
