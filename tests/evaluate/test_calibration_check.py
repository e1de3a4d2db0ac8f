"""The check of calibration: silent on clean rows, and up where probabilities or coverage were broken on purpose."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from trueweight import api
from trueweight.data.frames import from_frame
from trueweight.evaluate.calibration import calibration, nodes_of
from trueweight.evaluate.judging import judging_of
from trueweight.evaluate.quality import Ask
from trueweight.evidence.record import Data, Entry
from trueweight.metrics.recalibrate import Recalibration
from trueweight.model.predictors.calibrated import CalibratedPredictor
from trueweight.model.predictors.conformal import ConformalPredictor
from trueweight.model.predictors.threshold import ThresholdPredictor
from trueweight.model.protocols import Predictor
from trueweight.spec.load import parse_spec
from trueweight.spec.run import RunSpec
from trueweight.train.build import fit
from trueweight.train.prepare import prepare

COSTS = {"minimize_cost": {"false_positive": 1, "false_negative": 6}}
TARGETS = {"won": {"type": "binary", "threshold": COSTS}, "kind": "category", "cost": "number", "tags": "set"}


def rows(count: int, seed: int, noise: float = 1.0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, count))
    won = noise * rng.logistic(size=count) < 1.5 * x - z - 0.5
    kind = np.array(["a", "b", "c"])[np.argmax(np.stack([x, z, -x]) + noise * rng.gumbel(size=(3, count)), axis=0)]
    tags = [[t for t, on in zip("pq", pair, strict=True) if on] for pair in rng.random((count, 2)) < 0.5]
    cost = 2 * x + noise * rng.normal(size=count)
    return {"x": x, "z": z, "won": np.where(won, "yes", "no"), "kind": kind, "cost": cost, "tags": tags}


@cache
def trained(method: str = "split") -> tuple[RunSpec, Predictor]:
    data = rows(2400, 0)
    raw = {"name": "t", "targets": TARGETS, "features": {"x": "number", "z": "number"}, "other_features": "ignore",
           "model": {"preset": "fast"}, "evaluate": {"conformal": {"method": method}}}  # fmt: skip
    ready = prepare(from_frame(data), parse_spec(raw))
    return ready.spec, fit(ready, None, None).predictor


def judged(predictor: Predictor, spec: RunSpec, data: Mapping[str, Any], cluster: Any = None) -> dict[str, Entry]:
    ask = Ask(spec.evaluate.model_copy(update={"interval": spec.evaluate.interval.model_copy(
        update={"n_resamples": 100})}), 0, Data("sha256:0", "test"))  # fmt: skip
    found = calibration(judging_of(predictor, from_frame(dict(data)), ask, cluster))
    assert {entry.axis for entry in found} == {"calibration"}
    assert len({entry.id for entry in found}) == len(found)
    return {entry.id.removeprefix("calibration/"): entry for entry in found}


def flags(found: Mapping[str, Entry]) -> dict[str, Any]:
    return {name.removesuffix("/test"): entry.value for name, entry in found.items() if "flag" in name}


def spoilt(predictor: Predictor, temperature: float) -> Predictor:
    """The same model, its probabilities of ``won`` sharpened or flattened after they were calibrated."""
    broken = {"won": Recalibration("temperature", (temperature,), 99, "planted")}
    assert isinstance(predictor, ConformalPredictor)
    return replace(predictor, inner=CalibratedPredictor(predictor.signature, predictor.inner, broken))


@pytest.mark.parametrize("method", ["split", "conditional"])
def test_clean_rows_raise_no_flag(method: str) -> None:
    spec, predictor = trained(method)
    for seed in range(1, 4):
        found = judged(predictor, spec, rows(1500, seed))
        assert flags(found) == {
            "won/miscalibrated_flag": 0, "kind/miscalibrated_flag": 0, "won/shift_flag": 0, "kind/shift_flag": 0,
            "cost/shift_flag": 0,
        }  # fmt: skip
    for target in ("won", "kind", "cost"):
        assert found[f"{target}/coverage/test"].value == pytest.approx(0.9, abs=0.05)
    if method == "split":
        one = found["kind/coverage/test"]
        low, high = (found[f"kind/coverage_band_{end}/test"].value for end in ("low", "high"))
        assert low < one.value < high  # type: ignore[operator]


@pytest.mark.parametrize("temperature", [0.4, 0.25, 4.0])
def test_a_miscalibrated_model_is_found_and_only_where_it_is(temperature: float) -> None:
    spec, predictor = trained()
    found = judged(spoilt(predictor, temperature), spec, rows(1000, 5))
    assert found["won/miscalibrated_flag/test"].value == 1
    assert found["kind/miscalibrated_flag/test"].value == 0
    reason = found["won/miscalibrated_flag/test"].reason or ""
    assert "'won' are off by" in reason and "points on average" in reason
    assert found["won/ece/test"].value > 0.05  # type: ignore[operator]


def test_rows_of_another_kind_are_a_shift() -> None:
    spec, predictor = trained()
    found = judged(predictor, spec, rows(1000, 6, noise=3.0))
    assert [flags(found)[f"{target}/shift_flag"] for target in ("won", "kind", "cost")] == [1, 1, 1]
    assert "'kind' hold" in (found["kind/shift_flag/test"].reason or "")
    assert "90% was promised" in (found["kind/shift_flag/test"].reason or "")


def test_the_shortfall_of_one_class_is_found_where_each_was_promised() -> None:
    spec, predictor = trained("conditional")
    data = rows(1500, 7)
    turned = np.where(data["kind"] == "c", -data["x"] * 0.2, data["x"])
    found = judged(predictor, spec, data | {"x": turned, "z": np.where(data["kind"] == "c", 0.5, data["z"])})
    assert "of class 'c'" in (found["kind/shift_flag/test"].reason or "")


def test_ten_copies_of_each_row_prove_no_more_than_one() -> None:
    spec, predictor = trained()
    data = rows(60, 8)
    ten = {name: [value for value in values for _ in range(10)] for name, values in data.items()}
    found = judged(predictor, spec, ten, np.repeat(np.arange(60), 10))
    assert set(flags(found).values()) == {0}
    band = found["won/coverage_band_low/test"].method
    assert band is not None and 50 <= band.parameters["rows"] <= 66


def test_the_learnt_threshold_costs_less_and_is_what_answers() -> None:
    spec, predictor = trained()
    (node,) = (node for node in nodes_of(predictor) if isinstance(node, ThresholdPredictor))
    found = judged(predictor, spec, rows(1500, 9))
    assert found["won/threshold/test"].value == node.thresholds["won"].value
    assert found["won/cost/test"].value < found["won/cost_at_half/test"].value  # type: ignore[operator]
    interval = found["won/cost/test"].interval
    assert interval is not None and interval.low < found["won/cost/test"].value < interval.high  # type: ignore[operator]
    asked = rows(1500, 9)
    said = predictor.predict(from_frame(asked))["won"].columns("won")["won"]
    by_hand = np.mean([(6 if y == "yes" else 1) * (y != a) for y, a in zip(asked["won"], said, strict=True)])
    assert found["won/cost/test"].value == pytest.approx(by_hand)
    answer = predictor.predict(from_frame(rows(500, 10)))["won"].columns("won")
    assert np.array_equal(answer["won"] == "yes", answer["won.p[yes]"] >= node.thresholds["won"].value)


def test_the_costs_that_the_spec_names_decide_what_is_answered() -> None:
    said = []
    for wrong_yes, wrong_no in ((1, 9), (9, 1)):
        wish = {"type": "binary", "threshold": {"minimize_cost": {
            "false_positive": wrong_yes, "false_negative": wrong_no}}}  # fmt: skip
        raw = {"targets": {"won": wish}, "features": {"x": "number", "z": "number"}, "other_features": "ignore",
               "model": {"preset": "fast"}}  # fmt: skip
        predictor = fit(prepare(from_frame(rows(900, 0)), parse_spec(raw)), None, None).predictor
        said.append(np.mean(predictor.predict(from_frame(rows(900, 1)))["won"].columns("won")["won"] == "yes"))
    assert said[0] > 2 * said[1] > 0


def test_the_curve_and_the_parts_are_told() -> None:
    spec, predictor = trained()
    found = judged(predictor, spec, rows(800, 11))
    bins = [entry for entry in found.values() if entry.metric == "happened" and entry.target == "won"]
    assert len(bins) == 10 and sum(entry.n or 0 for entry in bins) == 800
    assert all(entry.interval is not None and (entry.n or 0) >= 10 for entry in bins)
    assert {"won/brier_reliability/test", "won/brier_within/test", "won/said/test/1"} <= set(found)
    assert found["won/method/test"].value in ("none", "temperature", "beta")
    assert found["cost/coverage/test/lowest third of answers"].status == "measured"


def test_few_rows_say_so() -> None:
    spec, predictor = trained()
    found = judged(predictor, spec, rows(30, 12))
    assert found["won/ece/test"].status == "not_applicable"
    assert "30 labelled rows cannot show" in (found["won/ece/test"].reason or "")
    assert "won/miscalibrated_flag/test" not in found


def test_where_calibration_rows_also_selected_no_shift_is_claimed() -> None:
    data = rows(300, 13)
    bundle = api.train({name: data[name] for name in ("x", "z", "kind")}, target="kind", settings=["model.preset=fast"])
    entry = bundle.evidence.find("calibration/kind/shift_flag/test")
    assert entry.status == "not_applicable" and "also selected the model" in (entry.reason or "")
