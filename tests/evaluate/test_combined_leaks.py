"""Leaks that no column has alone are named, those of honest columns are not; dates in other clothes are dates."""

from typing import Any

import numpy as np
import pytest
from tests.evaluate.test_honesty import ROWS, Columns, costs, days, judged, people, raised

from trueweight.data.reading import cells_of
from trueweight.evaluate.combined_leaks import exact_sum
from trueweight.evaluate.judging import Judging
from trueweight.evaluate.leakage import leaks


def summands(judging: Judging) -> list[str]:
    assert judging.training is not None
    ready = judging.training.ready
    truth = cells_of(ready.table, ready.signature.columns["cost"], ready.signature.options)
    return exact_sum(ready.signature, ready.table, ready.split.train, truth)


@pytest.mark.parametrize(("share", "noise", "found"), [(1.0, 0.0, True), (0.8, 0.0, True), (1.0, 0.05, False)])
def test_columns_whose_weighted_sum_is_the_target_are_named(share: float, noise: float, found: bool) -> None:
    columns, rng = costs(0), np.random.default_rng(3)
    net, fee = rng.normal(size=(2, ROWS)) * 20
    told = rng.random(ROWS) < share
    rest = (np.where(told, columns["cost"], rng.permutation(columns["cost"])) - 2 * net + 0.5 * fee) / 3
    more = {"net": net, "fee": fee, "tax": rest + noise * columns["cost"].std() * rng.normal(size=ROWS)}
    judging = judged(columns | more, "cost")
    flags = raised(leaks(judging))
    assert summands(judging) == (["net", "fee", "tax"] if found else [])
    assert ("leak_flag" in flags) == found
    assert not found or "'net', 'fee', 'tax' is exactly 'cost'" in flags["leak_flag"]


def test_a_target_that_is_mostly_one_value_is_no_sum() -> None:
    columns, rng = costs(0), np.random.default_rng(3)
    columns["cost"] = np.where(rng.random(ROWS) < 0.8, 0.0, columns["cost"])
    assert summands(judged(columns, "cost")) == []


@pytest.mark.parametrize("together", [True, False])
def test_a_gap_that_tells_the_target_beside_another_column_is_named(together: bool) -> None:
    columns, rng = people(0), np.random.default_rng(3)
    branch = rng.choice(["a", "b"], ROWS)
    there = ((columns["won"] == "yes") ^ (branch == "a")) if together else rng.random(ROWS) < 0.5
    columns |= {"fee": np.where(there, rng.normal(size=ROWS), np.nan), "branch": branch}
    flags = raised(leaks(judged(columns)))
    assert ("leak_flag" in flags) == together
    assert not together or "whether 'fee' is there, beside 'branch'" in flags["leak_flag"]


@pytest.mark.parametrize("by_target", [True, False])
def test_numbers_that_were_given_out_in_the_targets_order_are_named_in_any_order(by_target: bool) -> None:
    columns, rng = people(0), np.random.default_rng(4)
    key = (columns["won"] == "yes") + rng.normal(size=ROWS) * 0.5 if by_target else rng.normal(size=ROWS)
    columns["entry"] = 7000 + np.argsort(np.argsort(key))
    flags = raised(leaks(judged(columns, features={"entry": "number"})))
    assert ("leak_flag" in flags) == by_target
    assert not by_target or "numbers were given out in its order" in flags["leak_flag"]


def written(day: np.ndarray, how: str) -> np.ndarray:
    seconds = day.astype("datetime64[s]").astype(np.int64)
    return {"seconds": seconds, "milliseconds": seconds * 1000, "category": day.astype(str)}[how]


@pytest.mark.parametrize("how", ["seconds", "milliseconds", "category"])
@pytest.mark.parametrize("afterwards", [True, False])
def test_a_date_from_the_future_is_named_whatever_it_was_taken_for(how: str, afterwards: bool) -> None:
    columns, rng = people(0), np.random.default_rng(5)
    day = days(rng)
    wait = np.where(columns["won"] == "yes", 5, 40) + rng.integers(0, 20, ROWS)
    more: Columns = {"reported": day.astype(str)}
    more["closed"] = written(day + wait.astype("timedelta64[D]") * (1 if afterwards else -1), how)
    wish: dict[str, Any] = {
        "split": {"method": "time", "time_column": "reported"},
        "features": {"closed": "category" if how == "category" else "number", "reported": "date"},
    }
    flags = raised(leaks(judged(columns | more, **wish)))
    assert ("time_travel_flag" in flags) == afterwards
