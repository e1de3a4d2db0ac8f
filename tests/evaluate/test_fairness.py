"""Groups of people: rates by hand, and flags where a group is treated differently and not by chance alone."""

from typing import Any

import numpy as np
import pytest

from trueweight.errors import SpecError
from trueweight.spec.load import parse_spec
from trueweight.train.prepare import prepare

FLAG = "fairness/{}/fairness_flag/test"


def cells(judging: Any, name: str) -> np.ndarray:
    return np.array(judging.table.column(name).to_pylist())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("target", ["won", "cost", "kind"])
def test_nothing_is_flagged_where_groups_are_alike(people: Any, judge: Any, look: Any, target: str, seed: int) -> None:
    assert look(judge(people(seed), target), "fairness")[FLAG.format(target)].value == 0


@pytest.mark.parametrize("seed", range(2))
def test_a_group_that_is_taken_for_another_is_flagged(people: Any, judge: Any, look: Any, seed: int) -> None:
    data = people(seed)
    data["x"] = np.where(data["gender"] == "f", data["x"] - 1.2, data["x"])
    flag = look(judge(data), "fairness")[FLAG.format("won")]
    assert flag.value == 1
    assert "gender = " in str(flag.reason)
    assert flag.depends_on


@pytest.mark.parametrize("seed", range(2))
def test_a_group_whose_numbers_are_off_is_flagged(people: Any, judge: Any, look: Any, seed: int) -> None:
    data = people(seed)
    flag = look(judge(data | {"cost": data["cost"] + 4 * (data["gender"] == "f")}, "cost"), "fairness")
    assert flag[FLAG.format("cost")].value == 1
    assert "mean of answer minus truth" in str(flag[FLAG.format("cost")].reason)


def test_rates_by_hand(people: Any, judge: Any, look: Any) -> None:
    judging = judge(people())
    found = look(judging, "fairness")
    yes, true = judging.answers["won"].answer_N() == 1, judging.truths["won"].value == 1
    chance, gender = judging.answers["won"].probability_NC[:, 1], cells(judging, "gender")
    rates = {}
    for group in "fm":
        own = gender == group
        rates[group] = (yes[own].mean(), yes[own & true].mean(), yes[own & ~true].mean())
        names = ("selection_rate", "true_positive_rate", "false_positive_rate")
        for name, rate in zip(names, rates[group], strict=True):
            assert found[f"fairness/won/{name}/test/gender = {group}"].value == pytest.approx(rate)
        gap = found[f"fairness/won/calibration_gap/test/gender = {group}"]
        assert gap.value == pytest.approx((chance[own] - true[own]).mean())
        assert gap.n == own.sum()
    selected, hit, false = (sorted(pair) for pair in zip(*rates.values(), strict=True))
    value = {name: found[f"fairness/won/{name}/test/gender"].value for name in (
        "demographic_parity_difference", "demographic_parity_ratio", "equalized_odds_difference",
    )}  # fmt: skip
    assert value["demographic_parity_difference"] == pytest.approx(selected[1] - selected[0])
    assert value["demographic_parity_ratio"] == pytest.approx(selected[0] / selected[1])
    assert value["equalized_odds_difference"] == pytest.approx(max(hit[1] - hit[0], false[1] - false[0]))


def test_whole_weights_count_as_copies(people: Any, judge: Any, look: Any) -> None:
    data = people() | {"w": np.random.default_rng(1).integers(1, 4, 1500).astype(float)}
    judging = judge(data, data={"sample_weight": "w"})
    found = look(judging, "fairness")
    times, yes = cells(judging, "w").astype(int), judging.answers["won"].answer_N() == 1
    copied = np.repeat(yes[cells(judging, "gender") == "f"], times[cells(judging, "gender") == "f"])
    assert found["fairness/won/selection_rate/test/gender = f"].value == pytest.approx(copied.mean())


def test_small_groups_are_counted_and_not_named(people: Any, judge: Any, look: Any) -> None:
    data = people()
    data["gender"] = np.where(np.arange(1500) % 40 == 0, "Zyxwille", data["gender"])
    found = look(judge(data), "fairness")
    assert found["fairness/suppressed/gender/test"].value == 1
    assert not any("Zyxwille" in str(entry) for entry in found.values())
    found = look(judge(data, evaluate={"sensitive": {"columns": ["gender"], "min_group": 400}}), "fairness")
    assert found["fairness/suppressed/gender/test"].value == 3
    assert found["fairness/groups/gender"].status == "not_applicable"
    assert found[FLAG.format("won")].status == "not_applicable"


def test_a_number_is_parted_into_quarters(people: Any, judge: Any, look: Any) -> None:
    data = people() | {"age": np.random.default_rng(1).normal(40, 10, 1500)}
    found = look(judge(data, evaluate={"sensitive": {"columns": ["age"]}}), "fairness")
    groups = [entry for entry in found.values() if entry.metric == "selection_rate"]
    assert len(groups) == 4
    assert sum(entry.n for entry in groups) == 300


def test_sensitive_columns_are_not_learnt_from_unless_typed(people: Any, judge: Any, look: Any) -> None:
    judging = judge(people())
    facts = judging.predictor.signature.columns["gender"]
    assert (facts.role, facts.why) == ("ignored", "sensitive: measured, not learnt from")
    found = look(judge(people(), features={"gender": "binary", "cost": "ignore"}), "fairness")
    assert "learns from it" in str(found["fairness/feature/gender"].value)
    again = prepare(judging.training.ready.table, judging.training.ready.spec)  # as verify does
    assert again.signature.columns["gender"].role == "ignored"


def test_without_the_column_or_a_wish_it_says_so(people: Any, judge: Any, look: Any) -> None:
    later = {name: c for name, c in people(3).items() if name != "gender"}
    found = look(judge(people(), later=later), "fairness")
    assert "no column 'gender'" in str(found["fairness/groups/gender"].reason)
    found = look(judge(people(), evaluate={"sensitive": None}), "fairness")
    assert list(found) == ["fairness/check"]


def test_a_target_cannot_be_sensitive() -> None:
    spec = {"targets": {"won": "binary"}, "evaluate": {"sensitive": {"columns": ["won"]}}}
    with pytest.raises(SpecError, match="is a target"):
        parse_spec(spec)
