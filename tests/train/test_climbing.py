"""Members that climb: what they gain, whether they are begun, and that a replay does not decide again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trueweight.data.signature import ColumnFacts
from trueweight.data.table import Table
from trueweight.errors import SpecError
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction
from trueweight.metrics.truth import Truth
from trueweight.spec.load import parse_spec
from trueweight.train.build import Fitted, fit
from trueweight.train.climbing import Gain, gain_of, last_climb, too_little_time
from trueweight.train.plan import Climb, MemberPlan, Plan
from trueweight.train.prepare import prepare


def column(kind: str, **learnt: Any) -> ColumnFacts:
    return ColumnFacts("y", kind, "target", "", {"type": kind}, 4, 0, learnt=learnt)


def truth(value: Any, present: Any = True, weight: Any = None) -> Truth:
    value = np.asarray(value)
    return Truth(value, np.broadcast_to(present, value.shape).copy(), weight)


def of_class(one_N: list[float]) -> ClassPrediction:
    chance = np.array(one_N)
    return ClassPrediction(np.stack([1 - chance, chance], axis=1), ("no", "yes"))


# What a climb gains


def test_gain_is_the_mean_difference_of_log_losses_with_its_error():
    before, after = of_class([0.5, 0.5, 0.5, 0.5]), of_class([0.8, 0.6, 0.4, 0.5])
    gain = gain_of([column("binary")], {"y": 1.0}, {"y": before}, {"y": after}, {"y": truth([1, 1, 1, 1])})
    less = np.log([0.8, 0.6, 0.4, 0.5]) - np.log(0.5)
    assert gain.mean == pytest.approx(less.mean())
    assert gain.noise == pytest.approx(less.std() / 2)


def test_gain_counts_rows_with_a_label_by_their_weight():
    before, after = of_class([0.5, 0.5, 0.5]), of_class([0.8, 0.1, 0.7])
    known = truth([1, 1, 1], [True, False, True], np.array([1.0, 1.0, 3.0]))
    gain = gain_of([column("binary")], {"y": 2.0}, {"y": before}, {"y": after}, {"y": known})
    assert gain.mean == pytest.approx(2 * (np.log(1.6) + 3 * np.log(1.4)) / 4)


def test_gain_of_numbers_is_in_their_variance():
    before, after = (NumberPrediction(np.array(value)) for value in ([0.0, 0.0], [1.0, 2.0]))
    gain = gain_of([column("number", std=2.0)], {"y": 1.0}, {"y": before}, {"y": after}, {"y": truth([2.0, 2.0])})
    assert gain.mean == pytest.approx(((4 - 1) + (4 - 0)) / 2 / 4)


def test_a_gain_within_its_noise_is_none():
    assert Gain(0.02, 0.01).real
    assert not Gain(0.01, 0.01).real
    assert not Gain(-0.02, 0.01).real


# Whether the next one is begun


def planned(**more: Any) -> MemberPlan:
    raw = {"name": "m", "steps": 5, "batch_size": 8, "epochs": 0.5, "validate_every": 1, "checkpoint_every": 1}
    return MemberPlan.from_json(raw | {"limited_by": "time", "seconds": 3.0} | more)


def test_a_pass_over_the_rows_must_fit():
    assert too_little_time(planned()) == "0.5 passes over the training rows fit into 3 s, and 1 is the least"
    assert too_little_time(planned(epochs=1.0)) is None
    assert too_little_time(planned(limited_by="steps")) is None


def test_no_climb_after_one_that_gained_nothing():
    kept, lost, refused = Climb("a", True, True, ""), Climb("b", True, False, ""), Climb("c", False, False, "")
    assert last_climb([]) is None
    assert last_climb([lost, kept]) is None
    assert last_climb([kept, lost]) == "b was no gain"
    assert last_climb([kept, refused]) == "c was not begun"


def test_a_plan_keeps_climbs():
    plan = Plan((planned(),), (Climb("a", True, False, "none"),)).with_climb(Climb("b", False, False, "no time"))
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.replayed().climbs == plan.climbs
    assert plan.with_member(planned(name="n")).climbs == plan.climbs
    assert "climbs" not in Plan().to_json()


@pytest.mark.parametrize("climbs", [{}, [1], [{"name": "a"}], [{"name": "a", "begun": 1, "gained": True, "why": ""}]])
def test_a_plan_with_broken_climbs_is_refused(climbs: Any):
    with pytest.raises(SpecError, match="climb"):
        Plan.from_json({"schema": 1, "members": [], "climbs": climbs})


# Whole fits


def member(name: str, **options: Any) -> dict[str, Any]:
    net = {"type": "mlp", "hidden_sizes": [16], "members": 1, "dropout": 0.0}
    return {"name": name, "encoder": net, "fusion": "concat", "fitter": "gradient", "climbs": True, **options}


LINEAR = {"name": "linear", "encoder": "linear", "fusion": "concat", "fitter": "solve"}


@pytest.fixture(scope="module")
def curved() -> Table:
    """What no line tells: which sign the product of two numbers has."""
    x = np.random.default_rng(0).normal(size=(600, 2))
    return Table(pa.table({"a": x[:, 0], "b": x[:, 1], "y": np.where(x.prod(1) > 0, "yes", "no")}))


@pytest.fixture(scope="module")
def noise() -> Table:
    """What nothing tells."""
    rng = np.random.default_rng(0)
    return Table(pa.table({"a": rng.normal(size=600), "y": rng.choice(["yes", "no"], 600)}))


def fitted(table: Table, members: list[Any], folder: Path | None = None, replay: Plan | None = None, **budget: Any):
    spec = {"targets": {"y": "binary"}, "model": {"members": members}, "train": {"budget": budget or {"epochs": 20}}}
    return fit(prepare(table, parse_spec(spec)), folder, replay)


def answers(fitted: Fitted, table: Table) -> np.ndarray:
    return fitted.predictor.predict(table)["y"].scores()


def test_after_a_climb_that_helps_the_next_one_is_tried(curved: Table):
    found = fitted(curved, [LINEAR, member("net"), member("more")])
    first, second = found.climbs
    assert (first.name, first.begun, first.gained) == ("net", True, True)
    assert second.name == "more"
    assert second.begun
    assert found.members[1].weights["y"] > 0.5


def test_after_a_climb_that_does_not_help_the_next_one_is_not_begun(noise: Table):
    found = fitted(noise, [LINEAR, member("net"), member("more")])
    assert [(climb.name, climb.begun, climb.gained) for climb in found.climbs] == [
        ("net", True, False), ("more", False, False),
    ]  # fmt: skip
    assert "no more than noise" in found.climbs[0].why
    assert found.climbs[1].why == "net was no gain"
    assert [report.name for report in found.members] == ["linear", "net"]
    assert found.plan.member("more") is None


def test_without_time_for_a_pass_nothing_is_begun(curved: Table):
    slow = member("net", encoder={"type": "mlp", "hidden_sizes": [2048, 2048], "members": 8})
    found = fitted(curved, [LINEAR, slow], time=0.02)
    (climb,) = found.climbs
    assert not climb.begun
    assert "passes over the training rows fit into" in climb.why
    assert [report.name for report in found.members] == ["linear"]


def test_a_replay_does_what_was_decided(curved: Table, noise: Table, tmp_path: Path):
    """Even where its own rows would say otherwise."""
    members = [LINEAR, member("net"), member("more")]
    first = fitted(noise, members, tmp_path)
    stored = Plan.read(tmp_path / "plan.json")
    assert stored.climbs == first.climbs
    again = fitted(noise, members, None, stored.replayed())
    np.testing.assert_array_equal(answers(first, noise), answers(again, noise))
    elsewhere = fitted(curved, members, None, stored.replayed())
    assert elsewhere.climbs == stored.climbs
