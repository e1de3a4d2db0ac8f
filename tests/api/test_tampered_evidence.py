"""No number of a bundle's evidence can be wrong by as little as a row, on any axis, without being noticed."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueweight import api
from trueweight.api.recompute import _measure_again
from trueweight.bundle.bundle import Bundle
from trueweight.bundle.verify import Again, compare_evidence
from trueweight.evaluate.checks import CHECKS
from trueweight.evaluate.tipping import tipping
from trueweight.evidence.record import NOT_AGAIN, Entry, Evidence
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction
from trueweight.metrics.truth import Truth

ROWS = 150


def claims() -> dict[str, Any]:
    """A table with a target of every type, a repeat and a leak, so that every axis has something to say."""
    rng = np.random.default_rng(3)
    x, z = rng.normal(size=(2, ROWS)).round(3)
    kind = rng.choice(["red", "green", "blue"], ROWS)
    score = x - 0.5 * z + (kind == "red") + rng.normal(scale=0.4, size=ROWS)
    columns: dict[str, Any] = {"x": x.tolist(), "z": z.tolist(), "kind": kind.tolist()}
    columns["sex"] = rng.choice(["f", "m"], ROWS).tolist()
    columns["x"][7] = None
    columns["won"] = np.where(score > 0.3, "yes", "no").tolist()
    columns["cost"] = (10 + 3 * score).round(3).tolist()
    columns["class"] = [("low", "mid", "high")[int(s > 0) + int(s > 1)] for s in score]
    columns["tags"] = [[t for t, on in zip("ab", (s > 0, s < 0.8), strict=True) if on] for s in score]
    columns["place"] = [[float(s), float(2 * s)] for s in score]
    return {name: [*cells, cells[0]] for name, cells in columns.items()}


SPEC = {
    "name": "claims", "model": {"preset": "fast"},
    "evaluate": {
        "interval": {"n_resamples": 100}, "slices": ["sex"], "sensitive": {"columns": ["sex"], "min_group": 10},
        "robustness": {"attack": {"radius": 0.2, "steps": 5}},
    },
    "targets": {"won": "binary", "cost": "number", "class": "category", "tags": "set", "place": "vector"},
}  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return api.train(claims(), spec=SPEC, out=tmp_path_factory.mktemp("runs") / "one")


@pytest.fixture(scope="module")
def again(bundle: Bundle) -> Again:
    return _measure_again(bundle.loaded, claims(), None)


def measured_again(entry: Entry) -> bool:
    return entry.axis not in NOT_AGAIN and entry.status in ("measured", "estimated", "bounded")


def step(entry: Entry, value: float) -> float:
    """What one row changes at least: of a count one, of a share a row's share, of a mean a row's part of it."""
    if isinstance(entry.value, int) or entry.axis == "confusion":
        return 1.0
    rows = entry.n or ROWS
    return 1 / rows if entry.unit in (None, "share") or value == 0 else abs(value) / rows


def lies(entry: Entry) -> Iterator[tuple[str, Entry]]:
    """The entry with one number changed by the least that counts."""
    if isinstance(entry.value, int | float):
        for sign in (1, -1):
            yield "value", replace(entry, value=entry.value + sign * type(entry.value)(step(entry, entry.value)))
    if isinstance(entry.value, str):
        yield "value", replace(entry, value=f"{entry.value} ")
    if entry.n is not None:
        yield "n", replace(entry, n=entry.n + 1)
    if (found := entry.interval) is not None:
        yield "low", replace(entry, interval=replace(found, low=found.low - step(entry, found.low)))
        yield "high", replace(entry, interval=replace(found, high=found.high + step(entry, found.high)))
        yield "level", replace(entry, interval=replace(found, level=found.level + 0.04))
    for key, number in (entry.method.parameters if entry.method else {}).items():
        # A chance as small as rounding is as good as none; of others a fiftieth is too much, of thresholds less.
        if isinstance(number, int | float) and not isinstance(number, bool) and (key != "p" or number > 1e-6):
            lie = number + 1 if isinstance(number, int) else number * (1.03 if key == "p" else 1.001) + (not number)
            parameters = {**entry.method.parameters, key: lie}  # type: ignore[union-attr]
            yield f"method's {key}", replace(entry, method=replace(entry.method, parameters=parameters))  # type: ignore[type-var]
    yield "status", replace(entry, status="not_run", reason="nobody had the time", value=None)


def test_an_honest_bundle_is_reproduced(bundle: Bundle, again: Again) -> None:
    found = compare_evidence(bundle.evidence, again.evidence, not_again=NOT_AGAIN, tipping=again.tipping, whole=True)
    assert found == []
    assert again.whole
    assert all(t.rows == 0 for t in again.tipping.values())


def test_every_wrong_number_of_every_axis_is_noticed(bundle: Bundle, again: Again) -> None:
    seen, missed = Counter[str](), []
    for place, entry in enumerate(bundle.evidence):
        if not measured_again(entry) or entry.value is None:
            continue
        for what, lie in lies(entry):
            forged = Evidence((*bundle.evidence[:place], lie, *bundle.evidence[place + 1 :]))
            found = compare_evidence(
                forged, again.evidence, not_again=NOT_AGAIN, tipping=again.tipping, whole=again.whole
            )
            seen[entry.axis] += 1
            if [mismatch.id for mismatch in found] != [entry.id]:
                missed.append(f"{entry.id}: {what}")
    assert missed == [], "\n".join(missed)
    scores = {"quality", "confusion", "curve", "baseline", "comparison", "verdict", "data"}
    assert scores | CHECKS.keys() <= seen.keys()
    assert {entry.axis for entry in bundle.evidence} <= seen.keys() | set(NOT_AGAIN) | {"environment"}


def test_every_fact_that_was_left_out_is_noticed(bundle: Bundle, again: Again) -> None:
    for place, entry in enumerate(bundle.evidence):
        if measured_again(entry) and entry.value is not None:
            fewer = Evidence((*bundle.evidence[:place], *bundle.evidence[place + 1 :]))
            found = compare_evidence(fewer, again.evidence, not_again=NOT_AGAIN, whole=again.whole)
            alone = sum(e.axis == entry.axis for e in bundle.evidence) == 1
            assert [mismatch.id for mismatch in found] == ([] if alone else [entry.id])


def test_one_row_in_a_sealed_bundle_is_noticed(bundle: Bundle, reseal: Any, tmp_path: Path) -> None:
    name = "quality/won/accuracy/test"
    honest = bundle.evidence.find(name)

    def one_row_more(entries: list[dict[str, Any]]) -> None:
        next(e for e in entries if e["id"] == name)["value"] = honest.value + 1 / honest.n

    forged = reseal(bundle.path, tmp_path / "forged.bundle", one_row_more)
    found = api.verify(forged, recompute=True, data=claims())
    assert found.unchanged
    assert found.reproduced is False
    assert [line for line in found.lines if name in line]


def test_a_forged_chance_in_a_sealed_bundle_is_noticed(bundle: Bundle, reseal: Any, tmp_path: Path) -> None:
    name = next(e.id for e in bundle.evidence if e.method and e.value is not None and e.method.parameters.get("p"))

    def less_by_chance(entries: list[dict[str, Any]]) -> None:
        parameters = next(e for e in entries if e["id"] == name)["method"]["parameters"]
        parameters["p"] = parameters["p"] * 0.5 + 1e-3

    forged = reseal(bundle.path, tmp_path / "chance.bundle", less_by_chance)
    found = api.verify(forged, recompute=True, data=claims())
    assert found.unchanged
    assert found.reproduced is False
    assert [line for line in found.lines if name in line and "its method's 'p' is" in line]


def test_energy_is_told_and_not_asked_for_again(bundle: Bundle) -> None:
    for name in ("train/joules", "judge/joules", "predict/joules_per_1000"):
        fact = bundle.evidence.find(f"cost/{name}")
        assert fact.status in ("measured", "estimated")
        assert (fact.interval is None) == (fact.status == "measured")
    assert json.dumps(bundle.evidence.to_json())  # finite throughout


def test_only_rows_near_another_answer_may_tip() -> None:
    probability = np.array([0.5, 0.500004, 0.4999, 0.9])
    answers = ClassPrediction(np.stack([1 - probability, probability], 1), ("no", "yes"), binary=True)
    truth = Truth(np.array([0, 1, 1, 1]), np.array([True, True, True, False]), np.array([1.0, 3.0, 1.0, 1.0]))
    found = tipping(answers, truth, 1e-5)
    assert (found.rows, found.weight, found.smallest) == (2, 4.0, 1.0)
    assert tipping(answers, truth, 1e-3).rows == 3
    ends = NumberPrediction(np.zeros(3), np.full(3, -1.0), np.full(3, 1.0), 0.9)
    near = Truth(np.array([1.00001, 0.0, 3.0]), np.ones(3, bool))
    assert tipping(ends, near, 1e-4).rows == 1
    assert tipping(NumberPrediction(np.zeros(3)), near, 1e-4).rows == 0
