"""The check "explanation": importance against a law, the proof of its order, and the flag."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from trueweight.data.cells import ReadOptions
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.evaluate.explanation import explanation, ruined
from trueweight.evaluate.importance import chosen_rows, importance_of, shuffle
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.quality import Ask
from trueweight.evidence.record import Data
from trueweight.metrics.prediction import NumberPrediction
from trueweight.metrics.registry import METRICS
from trueweight.metrics.truth import Truth
from trueweight.spec.evaluate import EvaluateSpec

WEIGHTS = {"a": 3.0, "b": 1.0, "c": 0.5, "d": 0.0, "e": 0.0}


@dataclass(frozen=True)
class Line:
    """Answers the weighted sum of its columns."""

    weights: dict[str, float]

    @property
    def signature(self) -> Signature:
        facts = {n: ColumnFacts(n, "number", "feature", "", {"type": "number"}, 0, 0) for n in self.weights}
        return Signature(facts, ReadOptions())

    def predict(self, table: Table, **_: Any) -> dict[str, NumberPrediction]:
        columns = {n: table.column(n).to_numpy() for n in self.weights}
        return {"y": NumberPrediction(sum(w * columns[n] for n, w in self.weights.items()))}


def rows(count: int = 600, noise: float = 0.0, seed: int = 0) -> tuple[Table, Truth]:
    rng = np.random.default_rng(seed)
    columns = {name: rng.normal(size=count) for name in WEIGHTS}
    y = sum(w * columns[n] for n, w in WEIGHTS.items()) + noise * rng.normal(size=count)
    return Table.of(columns), Truth(np.asarray(y), np.ones(count, bool))


def judging(predictor: Any, table: Table, truth: Truth) -> Judging:
    ask = Ask(EvaluateSpec(), 0, Data("sha256:0", "test"))
    return Judging(predictor, table, predictor.predict(table), {"y": truth}, ask)


def test_the_drop_is_what_theory_says() -> None:
    """Of a model that is right, the rmse after shuffling a column of weight w and spread 1 is w times the root of 2."""
    table, truth = rows(2000)
    found = importance_of(shuffle(Line(WEIGHTS), table, 0), "y", truth, METRICS["rmse"])
    assert list(found.columns)[:3] == ["a", "b", "c"] and found.score == 0.0 and found.n == 800
    for name, weight in WEIGHTS.items():
        drop = found.columns[name]
        assert drop.value == pytest.approx(weight * np.sqrt(2), rel=0.06)
        assert drop.interval is not None and drop.interval.low <= drop.value <= drop.interval.high
    assert found.together.value == pytest.approx(np.sqrt(2 * sum(w * w for w in WEIGHTS.values())), rel=0.06)


def test_what_a_small_sample_says_of_the_interval_holds_for_others() -> None:
    """At least 10 of 12, where 19 of 20 intervals of 150 rows should hold what many rows say."""
    inside = 0
    for seed in range(12):
        table, truth = rows(150, noise=2.0, seed=seed)
        drop = importance_of(shuffle(Line(WEIGHTS), table, seed), "y", truth, METRICS["rmse"]).columns["a"]
        whole = np.sqrt(4 + 18) - 2  # noise and shuffled column are independent
        inside += drop.interval is not None and drop.interval.low <= whole <= drop.interval.high
    assert inside >= 10


def test_a_true_order_ruins_faster_and_a_reversed_one_slower() -> None:
    table, truth = rows(400)
    order, some = list(WEIGHTS), np.arange(400)
    good = ruined(Line(WEIGHTS), table, some, "y", truth, METRICS["rmse"], order, 0)
    bad = ruined(Line(WEIGHTS), table, some, "y", truth, METRICS["rmse"], order[::-1], 0)
    assert good.holds and good.value > 0 and bad.refuted and bad.value < 0


def test_the_check_says_what_it_found_and_raises_no_flag_for_a_good_model() -> None:
    table, truth = rows(noise=1.0)
    found = {e.id: e for e in explanation(judging(Line(WEIGHTS), table, truth))}
    assert found["explanation/y/importance[a]/test"].interval is not None
    proof, flag = (
        found[f"explanation/y/{name}/test"] for name in ("deletion against random order", "explanation_flag")
    )
    assert proof.status == "measured" and (flag.value, flag.unit, flag.reason) == (0, "flag", None)
    assert set(flag.depends_on) <= set(found)
    assert found == {
        e.id: replace(e, produced_at=found[e.id].produced_at) for e in explanation(judging(Line(WEIGHTS), table, truth))
    }  # the same again: no clock, no global stream


def test_a_model_that_learnt_nothing_is_flagged() -> None:
    table, truth = rows()
    flags = 0
    for seed in range(5):
        noise = dict(zip(WEIGHTS, np.random.default_rng(seed).normal(size=5) * [0.01, 1, 1, 1, 1], strict=True))
        other = replace(truth, value=np.random.default_rng(seed + 50).permutation(truth.value))
        flags += {e.metric: e.value for e in explanation(judging(Line(noise), table, other))}["explanation_flag"]
    assert flags >= 4


def test_what_cannot_be_done_says_so() -> None:
    table, truth = rows()
    one = {e.metric: e for e in explanation(judging(Line({"a": 1.0}), table, truth))}
    assert one["importance"].status == "not_applicable" and "one column" in str(one["importance"].reason)
    few = {e.metric: e for e in explanation(judging(Line(WEIGHTS), *_first(table, truth, 20)))}
    assert few["importance"].status == "not_run" and "20 rows" in str(few["importance"].reason)


def _first(table: Table, truth: Truth, count: int) -> tuple[Table, Truth]:
    return table.head(count), truth.take(np.arange(count))


def test_work_is_bounded_by_counts() -> None:
    table = Table.of({"a": np.zeros(50_000)})
    assert len(chosen_rows(table, Line({"a": 1.0}).signature, 8, 0)) == 1500
    assert len(chosen_rows(table, Line({"a": 1.0}).signature, 240, 0)) == 50
