"""Parts of the rows: scores as computed by hand, faults that were planted, and silence where there are none."""

from typing import Any

import numpy as np
import pytest

from trueweight.errors import DataError, SpecError
from trueweight.metrics.registry import metric
from trueweight.spec.load import parse_spec

FLAG = "slices/{}/worst_slice_flag/test"


def flipped(columns: Any, rows: np.ndarray, share: float = 0.5) -> Any:
    hit = rows & (np.random.default_rng(5).random(len(rows)) < share)
    return columns | {"won": np.where(hit ^ (columns["won"] == "yes"), "yes", "no")}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("target", ["won", "cost", "kind"])
def test_nothing_is_flagged_where_no_part_is_worse(people: Any, judge: Any, look: Any, target: str, seed: int) -> None:
    assert look(judge(people(seed), target), "slices")[FLAG.format(target)].value == 0


@pytest.mark.parametrize("seed", range(2))
def test_a_kind_about_which_the_model_knows_nothing_is_named(people: Any, judge: Any, look: Any, seed: int) -> None:
    data = people(seed)
    found = look(judge(flipped(data, data["kind"] == "blue")), "slices")
    flag = found[FLAG.format("won")]
    assert flag.value == 1
    assert "where kind = blue" in str(flag.reason)
    first = found[flag.depends_on[0]]
    assert first.slice == "kind = blue"
    assert first.value < 0.7


@pytest.mark.parametrize("seed", range(2))
def test_two_conditions_together_are_found(people: Any, judge: Any, look: Any, seed: int) -> None:
    data = people(seed)
    both = (data["kind"] == "red") & (data["region"] == "north")
    flag = look(judge(flipped(data, both)), "slices")[FLAG.format("won")]
    assert flag.value == 1
    assert any("kind = red" in source and "region = north" in source for source in flag.depends_on)


@pytest.mark.parametrize("seed", range(2))
def test_a_band_in_which_a_feature_is_wrong_is_found(people: Any, judge: Any, look: Any, seed: int) -> None:
    later = people(seed + 50, 800)
    later["x"] = np.where(later["z"] > 0.7, -later["x"], later["x"])
    flag = look(judge(people(seed), later=later), "slices")[FLAG.format("won")]
    assert flag.value == 1
    assert "z ≥" in str(flag.reason)


@pytest.mark.parametrize("seed", range(2))
def test_a_kind_with_noisy_numbers_is_found(people: Any, judge: Any, look: Any, seed: int) -> None:
    data = people(seed)
    noise = np.random.default_rng(seed + 77).normal(size=1500) * 15 * (data["kind"] == "blue")
    flag = look(judge(data | {"cost": data["cost"] + noise}, "cost"), "slices")[FLAG.format("cost")]
    assert flag.value == 1
    assert "kind = blue" in str(flag.reason)


def test_the_part_that_is_most_surely_worse_comes_first(people: Any, judge: Any, look: Any) -> None:
    """Of parts for which nothing was planted: by the difference, in its own standard errors."""
    judging = judge(people(), "cost", evaluate={"metrics": {"cost": ["mae"]}})
    found = look(judging, "slices")
    parts = [str(e.slice) for e in found.values() if e.metric == "mae"]
    error = np.abs(judging.answers["cost"].value_N - judging.truths["cost"].value)
    surely = []
    for inside in (_rows_of(words, judging) for words in parts):
        spread = sum(error[side].var(ddof=1) / side.sum() for side in (inside, ~inside))
        surely.append((error[inside].mean() - error[~inside].mean()) / np.sqrt(spread))
    assert len(parts) > 5
    assert min(surely) > 0
    # Welch's errors here, those of the package pool a little otherwise.
    assert all(before > after - 0.1 for before, after in zip(surely, surely[1:], strict=False)), surely


def test_scores_of_a_part_and_of_the_rest_by_hand(people: Any, judge: Any, look: Any) -> None:
    evaluate = {"metrics": {"cost": ["rmse"]}}
    judging = judge(people(), "cost", evaluate=evaluate)
    found = look(judging, "slices")
    value = next(e for e in found.values() if e.metric == "rmse")
    error = np.square(judging.answers["cost"].value_N - judging.truths["cost"].value)
    inside = _rows_of(str(value.slice), judging)
    assert value.value == pytest.approx(np.sqrt(error[inside].mean()))
    assert value.n == inside.sum()
    gap = found[value.id.replace("/rmse/", "/rmse_difference/")]
    assert gap.value == pytest.approx(np.sqrt(error[inside].mean()) - np.sqrt(error[~inside].mean()))
    assert value.interval.low < value.value < value.interval.high


def _rows_of(words: str, judging: Any) -> np.ndarray:
    """The rows that a slice names, read from its words."""
    data = {name: np.array(judging.table.column(name).to_pylist()) for name in judging.table.names}
    rows = np.ones(len(judging.table), bool)
    for part in words.split(" & "):
        told = part.partition(" (")[0].split(" ")
        if "=" in told:
            rows &= data[told[0]] == told[2]
        elif "<" in told and "≤" in told:
            rows &= (data[told[2]] >= float(told[0])) & (data[told[2]] < float(told[4]))
        elif "<" in told:
            rows &= data[told[0]] < float(told[2])
        else:
            rows &= data[told[0]] >= float(told[2])
    return rows


def test_declared_parts_have_every_metric(people: Any, judge: Any, look: Any) -> None:
    asked = ["region", ["region", "kind"], {"column": "x", "bins": [-1, 1]}]
    judging = judge(people(), evaluate={"slices": asked, "metrics": {"won": ["roc_auc", "accuracy"]}})
    found = look(judging, "slices")
    told = {e.slice for e in found.values() if e.id.startswith("slices/declared/")}
    assert {"region = north", "region = south", "region = north & kind = red", "x < -1", "-1 ≤ x < 1", "x ≥ 1"} <= told
    rows = np.flatnonzero(np.array(judging.table.column("region").to_pylist()) == "north")
    area = found["slices/declared/won/roc_auc/test/region = north"]
    expected = metric("roc_auc").compute(judging.answers["won"].take(rows), judging.truths["won"].take(rows))
    assert area.value == pytest.approx(expected)
    assert area.n == len(rows)


def test_declared_parts_of_a_number_part_the_rows_whatever_it_is_called(people: Any, judge: Any, look: Any) -> None:
    data = people()
    data["tenths"] = np.random.default_rng(1).integers(0, 4, 1500)  # so few values that no band is a tenth of the rows
    data["floor"] = np.where(np.arange(1500) % 3 == 0, "tenth", "ninth")
    judging = judge(data, evaluate={"slices": ["tenths", "floor"], "metrics": {"won": ["accuracy"]}})
    found = look(judging, "slices")
    parts = [e for e in found.values() if e.id.startswith("slices/declared/won/accuracy/")]
    for column in ("tenths", "floor"):
        mine = [e for e in parts if column in str(e.slice)]
        assert len(mine) > 1
        assert sum(e.n for e in mine) == len(judging.table)


def test_parts_of_few_rows_are_not_named(people: Any, judge: Any, look: Any) -> None:
    data = people()
    data["kind"] = np.where(np.arange(1500) % 250 == 0, "Zyxwille", data["kind"])
    found = look(judge(data, evaluate={"slices": ["kind", ["kind", "region"]]}), "slices")
    assert not any("Zyxwille" in str(entry) for entry in found.values())
    sizes = [e.n for e in found.values() if e.slice and e.slice.startswith("kind")]
    assert min(sizes) >= 10


def test_later_rows_without_the_column_say_so(people: Any, judge: Any, look: Any) -> None:
    later = {name: cells for name, cells in people(9).items() if name != "region"}
    found = look(judge(people(), later=later, evaluate={"slices": ["region"]}), "slices")
    assert found["slices/declared/0/test"].status == "not_applicable"
    assert "no column 'region'" in str(found["slices/declared/0/test"].reason)


def test_a_column_that_is_not_there_is_refused(people: Any, judge: Any) -> None:
    with pytest.raises(DataError, match="regoin"):
        judge(people(), evaluate={"slices": ["regoin"]})


@pytest.mark.parametrize(
    "asked, told", [([{"column": "x", "bins": [2, 1]}], "ascend"), ([[]], "at least 1"), ([{"column": "x"}], "bins")]
)
def test_mistakes_are_told(asked: Any, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        parse_spec({"targets": {"won": "binary"}, "evaluate": {"slices": asked}})


def test_the_same_rows_and_seed_say_the_same(people: Any, judge: Any, look: Any) -> None:
    judging = judge(people())
    once, again = (look(judging, "slices") for _ in range(2))
    assert [(e.id, e.value, e.interval) for e in once.values()] == [(e.id, e.value, e.interval) for e in again.values()]


@pytest.mark.parametrize(("target", "beside"), [("cost", "interval_width"), ("kind", "set_size")])
def test_coverage_is_told_of_named_and_of_found_parts(
    people: Any, judge: Any, look: Any, target: str, beside: str
) -> None:
    data = people()
    loud = data["region"] == "north"
    data["cost"] = data["cost"] + np.where(loud, 20, 0) * np.random.default_rng(3).normal(size=len(loud))
    judging = judge(data, target, evaluate={"slices": ["region"]})
    found, answer, truth = look(judging, "slices"), judging.answers[target], judging.truths[target]
    region = np.array(judging.table.column("region").to_pylist())
    for name in ("north", "south"):
        rows = np.flatnonzero(region == name)
        told = found[f"slices/declared/{target}/coverage/test/region = {name}"]
        if target == "cost":
            inside = (answer.low_N <= truth.value) & (truth.value <= answer.high_N)
        else:
            inside = answer.set_NC[np.arange(len(truth)), truth.value]
        assert told.value == pytest.approx(inside[rows].mean()) and told.n == len(rows)
        assert told.interval.low <= told.value <= told.interval.high
        assert f"slices/declared/{target}/{beside}/test/region = {name}" in found
    parts = {e.slice for e in found.values() if e.metric == "coverage" and not e.id.startswith("slices/declared")}
    assert parts == {e.slice for e in found.values() if e.metric.endswith("_difference")} and parts
    one = next(e for e in found.values() if e.id.startswith(f"slices/{target}/coverage/test/"))
    rows = _rows_of(str(one.slice), judging)
    assert one.n == rows.sum() and one.value == pytest.approx(inside[rows].mean())
    if target == "cost":  # the promise is kept on average, and broken where it is loud
        assert found["slices/declared/cost/coverage/test/region = north"].interval.high < 0.9


def test_parts_with_few_labels_are_not_told_of_that_target(people: Any, judge: Any, look: Any) -> None:
    data = people()
    rare = np.where(np.random.default_rng(4).random(1500) < 0.1, "rare", "usual")
    missing = (rare == "rare") & (np.arange(1500) % 5 > 0)
    data |= {"place": rare, "cost": [None if gone else float(v) for gone, v in zip(missing, data["cost"], strict=True)]}
    judging = judge(
        data, evaluate={"slices": ["place"]}, features={"place": "ignore"}, targets={"won": "binary", "cost": "number"}
    )
    inside = np.array(judging.table.column("place").to_pylist()) == "rare"
    assert (judging.truths["cost"].present_N & inside).sum() < 10 <= inside.sum()
    told = {e.id.split("/")[2]: e.n for e in look(judging, "slices").values() if e.slice == "place = rare"}
    assert told == {"won": inside.sum()}
