"""Boosted trees: the library's answers, our own stopping, and the same trees again."""

import sys
from typing import Any

import lightgbm
import numpy as np
import pytest
import torch

from trueweight.data.frames import from_frame
from trueweight.errors import SpecError
from trueweight.nn.forest import Forest
from trueweight.spec.load import parse_spec
from trueweight.train.boosting import tree_of
from trueweight.train.build import fit
from trueweight.train.plan import Plan
from trueweight.train.prepare import Prepared, prepare

QUIET = {"verbosity": -1, "min_data_in_leaf": 3, "num_leaves": 12, "deterministic": True, "force_row_wise": True}


def wild_rows(count: int, rng: np.random.Generator) -> np.ndarray:
    """Gaps, infinities, codes and numbers at the edge of float32."""
    x = rng.normal(size=(count, 5)).astype(np.float32)
    x[:, 1] = np.round(x[:, 1], 1)
    x[:, 3], x[:, 4] = rng.integers(0, 30, count), rng.integers(0, 3, count)
    x[rng.random(count) < 0.2, 0] = np.nan
    x[rng.random(count) < 0.02, 2] = np.inf
    x[rng.random(count) < 0.02, 2] = -np.inf
    return x


@pytest.mark.parametrize(("objective", "scores"), [("regression", 1), ("binary", 1), ("multiclass", 3)])
@pytest.mark.parametrize("seed", range(3))
def test_copied_trees_score_as_the_library_does(objective: str, scores: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, noise = wild_rows(600, rng), rng.normal(size=600) / 3
    value = np.nan_to_num(x[:, 0]) * (x[:, 4] == 1) + np.isin(x[:, 3], [2, 5, 11, 29]) + noise
    y = {"regression": value, "binary": value > 0.3, "multiclass": np.digitize(value, [0.0, 0.6])}[objective]
    options = {"objective": objective, "num_class": scores, **QUIET}
    data = lightgbm.Dataset(x, y.astype(float), categorical_feature=[3, 4], params=options)
    booster = lightgbm.Booster(options, data)
    for _ in range(60):
        booster.update()
    forest = Forest(5, scores)
    forest.grow([tree_of(tree["tree_structure"]) for tree in booster.dump_model()["tree_info"]])
    other = wild_rows(500, np.random.default_rng(seed + 100))
    other[:20, :3] = np.nan  # gaps where training had none
    other[20:40, 3] = 77  # a code that training never saw
    expected = booster.predict(other, raw_score=True).reshape(500, -1)
    np.testing.assert_allclose(forest(torch.from_numpy(other)).numpy(), expected, rtol=1e-6, atol=1e-6)


def rows(count: int = 240, seed: int = 0) -> dict[str, Any]:
    """What no line can tell: the product of two numbers decides."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, count))
    value = 3 * x * z + rng.normal(size=count) * 0.3
    gaps = [None if hidden else v for hidden, v in zip(rng.random(count) < 0.1, x.tolist(), strict=True)]
    return {
        "x": gaps, "z": z, "kind": rng.choice(["a", "b", "c"], count), "cost": value,
        "won": np.where(value > 0, "yes", "no"), "class": np.array(["low", "mid", "high"])[np.digitize(value, [-1, 1])],
        "tags": ["|".join("rpq"[j] for j in range(3) if v > j - 1 or not j) for v in value],
        "where": [[v, v * v] for v in value],
    }  # fmt: skip


TARGETS: dict[str, Any] = {
    "cost": {"type": "number", "quantiles": [0.1, 0.9]}, "won": {"type": "binary", "class_weight": "balanced"},
    "class": "category", "tags": {"type": "set", "separator": "|"}, "where": "vector",
}  # fmt: skip
TREES = {"name": "trees", "encoder": "columns", "fusion": "concat", "fitter": {"type": "boosting", "min_leaf_rows": 5}}


def ready_of(targets: Any, *, fitter: Any = None, count: int = 240, **more: Any) -> Prepared:
    member = TREES | ({"fitter": TREES["fitter"] | fitter} if fitter else {})
    named = {"features": {"x": "number", "z": "number", "kind": "category"}, "other_features": "ignore"}
    return prepare(
        from_frame(rows(count)), parse_spec({"targets": targets, "model": {"members": [member]}, **named} | more)
    )


def test_every_target_is_learnt_far_better_than_by_a_line() -> None:
    ready = ready_of(TARGETS, count=600, fitter={"rounds": 150})
    test = ready.table.take(ready.split.test)
    answers = fit(ready, None, None).predictor.predict(test)
    value = np.array(test.data["cost"].to_pylist())
    away = np.abs(answers["cost"].scores()[:, 0] - value)  # of rows with a gap nothing is known, and some are far away
    assert np.median(away) < 0.5 * np.median(np.abs(value - np.median(value)))
    low_N, high_N = answers["cost"].low_N, answers["cost"].high_N
    assert 0.6 < np.mean((value >= low_N) & (value <= high_N)) <= 1.0
    assert np.mean((answers["won"].scores()[:, 1] > 0.5) == (value > 0)) > 0.85
    classes = answers["class"].classes
    truth = [classes.index(label) for label in test.data["class"].to_pylist()]
    assert np.mean(answers["class"].scores().argmax(1) == truth) > 0.75
    assert answers["tags"].labels == ("p", "q", "r")
    assert np.mean((answers["tags"].scores()[:, 0] > 0.5) == (value > 0)) > 0.85
    away = np.abs(answers["where"].scores()[:, 0] - value)
    assert np.median(away) < 0.5 * np.median(np.abs(value - np.median(value)))


def test_rounds_end_when_validation_rows_stop_gaining_and_the_best_is_kept() -> None:
    fitted = fit(ready_of({"won": "binary"}, fitter={"patience": 5}), None, None)
    (member,) = fitted.members
    scores = [look.score for look in member.history]
    forest = fitted.leaves["trees"].network.head("won").forest
    assert member.steps < 1000
    assert forest.rounds == int(np.argmin(scores)) + 1 == member.steps - 5


def test_the_same_trees_again_and_on_any_number_of_threads() -> None:
    ready = ready_of({"cost": "number"}, fitter={"rounds": 30, "column_share": 0.7})
    first = fit(ready, None, None).leaves["trees"].network.state_dict()
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = fit(ready, None, None).leaves["trees"].network.state_dict()
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_time_ends_the_rounds_and_the_plan_repeats_it() -> None:
    ready = ready_of({"cost": "number"}, train={"budget": {"time": 0.05}})
    fitted = fit(ready, None, None)
    (member,) = fitted.members
    assert member.steps < 1000
    assert "so no more trees grew" in member.events[0]
    again = fit(ready, None, fitted.plan.replayed())
    one, other = (f.leaves["trees"].network.state_dict() for f in (fitted, again))
    assert again.members[0].steps == member.steps
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert isinstance(fitted.plan, Plan)


def test_weights_of_rows_count() -> None:
    data = rows() | {"weight": [1.0] * 120 + [0.001] * 120}
    spec = {"targets": {"cost": "number"}, "model": {"members": [TREES]}, "features": {"x": "number", "z": "number"},
            "other_features": "ignore"}  # fmt: skip
    plain = fit(prepare(from_frame(data), parse_spec(spec)), None, None).predictor.predict(from_frame(data))
    weighed_spec = parse_spec(spec | {"data": {"sample_weight": "weight"}})
    weighed = fit(prepare(from_frame(data), weighed_spec), None, None).predictor.predict(from_frame(data))
    assert not np.allclose(plain["cost"].scores(), weighed["cost"].scores())


def test_only_trees_read_raw_columns() -> None:
    with pytest.raises(SpecError, match="'columns' hands columns on as they are, which only trees can read"):
        fit(ready_of({"cost": "number"}, model={"members": [TREES | {"fitter": "solve"}]}), None, None)


def test_a_missing_library_is_one_message_before_anything_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(SpecError, match="LightGBM, which is not installed") as told:
        fit(ready_of({"cost": "number"}), None, None)
    assert "pip install 'trueweight[boosting]'" in str(told.value.hint)


def test_too_many_classes_are_refused() -> None:
    data = rows() | {"many": [f"c{i % 80}" for i in range(240)]}
    spec = {"targets": {"many": {"type": "category"}}, "model": {"members": [TREES]}, "other_features": "ignore",
            "features": {"x": "number"}}  # fmt: skip
    with pytest.raises(SpecError, match="80 trees a round, 64 are the most"):
        fit(prepare(from_frame(data), parse_spec(spec)), None, None)
