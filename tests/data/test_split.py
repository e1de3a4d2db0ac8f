"""Splits: nobody is in two parts, shares are kept, groups stay together, time flows one way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueweight.data.split import (
    Shares,
    Split,
    Units,
    count_twins,
    cut_by_label,
    cut_by_share,
    cut_by_time,
    merge_groups,
)
from trueweight.errors import DataError

SHARES = Shares(validation=0.2, test=0.2)


def parts(split: Split) -> list[np.ndarray]:
    calibration = [] if split.cross_fitted else [split.calibration]
    return [split.train, split.validation, split.test, split.dropped, *calibration]


@pytest.mark.parametrize("count", [10, 99, 1000, 4001])
def test_every_case_is_in_one_part_and_shares_are_kept(count: int) -> None:
    rows = np.arange(count) * 3  # case numbers need not be positions
    split = cut_by_share(Units(rows), SHARES, seed=0, method="random")
    assert np.array_equal(np.sort(np.concatenate(parts(split))), rows)
    assert abs(len(split.test) - 0.2 * count) <= 1
    selecting = len(split.validation) + (0 if split.cross_fitted else len(split.calibration))
    assert abs(selecting - 0.2 * count) <= 1


def test_calibration_takes_about_half_of_validation_or_all_of_it_when_there_is_little() -> None:
    big = cut_by_share(Units(np.arange(5000)), SHARES, 0, "random")
    assert not big.cross_fitted and 400 < len(big.calibration) < 600
    small = cut_by_share(Units(np.arange(100)), SHARES, 0, "random")
    assert small.cross_fitted and np.array_equal(small.calibration, small.validation) and small.notes


@pytest.mark.parametrize("count", [100, 5000])
def test_where_nothing_is_calibrated_all_validation_rows_select(count: int) -> None:
    units = Units(np.arange(count))
    halved, whole = cut_by_share(units, SHARES, 0, "random"), cut_by_share(units, Shares(0.2, 0.2, False), 0, "random")
    assert len(whole.calibration) == 0 and not whole.cross_fitted and not whole.notes
    assert np.array_equal(whole.validation, np.union1d(halved.validation, halved.calibration))
    assert np.array_equal(whole.train, halved.train) and np.array_equal(whole.test, halved.test)


def test_a_case_does_not_move_when_others_are_given_in_another_order_or_seed() -> None:
    rows = np.arange(2000)
    again = cut_by_share(Units(rows), SHARES, 7, "random")
    assert np.array_equal(cut_by_share(Units(rows), SHARES, 7, "random").test, again.test)
    assert not np.array_equal(cut_by_share(Units(rows), SHARES, 8, "random").test, again.test)


def test_strata_keep_their_shares_even_when_small() -> None:
    stratum = np.repeat(np.arange(40), 25)
    split = cut_by_share(Units(np.arange(1000), None, stratum), SHARES, 0, "stratified")
    counts = np.bincount(stratum[split.test], minlength=40)
    assert counts.min() >= 4 and counts.max() <= 6 and counts.sum() == 200


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(20, 60))
def test_groups_are_never_torn_apart(seed: int, groups: int) -> None:
    group = np.random.default_rng(seed).integers(0, groups, 500)
    split = cut_by_share(Units(np.arange(500), group), SHARES, seed, "group")
    seen = [set(group[part]) for part in (split.train, split.test, np.union1d(split.validation, split.calibration))]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


def test_too_few_rows_are_refused_with_their_number() -> None:
    with pytest.raises(DataError, match="only 2 rows"):
        cut_by_share(Units(np.arange(2)), SHARES, 0, "random")


def test_time_trains_on_the_past_with_a_gap() -> None:
    micros = np.random.default_rng(0).permutation(1000) * 10
    split = cut_by_time(Units(np.arange(1000)), micros, SHARES, {}, gap=100, seed=0)
    validation = np.union1d(split.validation, split.calibration)
    assert micros[split.train].max() + 100 < micros[validation].min() + 10
    assert micros[validation].max() + 100 < micros[split.test].min() + 10
    assert len(split.dropped) == 20 and abs(len(split.test) - 200) <= 1


def test_time_with_given_boundaries() -> None:
    micros = np.arange(100)
    split = cut_by_time(Units(np.arange(100)), micros, SHARES, {"validation": 50, "test": 80}, gap=0, seed=0)
    assert split.train.max() == 49 and split.test.min() == 80 and set(split.validation) == set(range(50, 80))


def test_a_column_may_choose_and_its_words_are_checked() -> None:
    labels: list[str | None] = ["train"] * 60 + ["val"] * 20 + ["test"] * 20
    split = cut_by_label(Units(np.arange(100)), labels, SHARES, 0, "column")
    assert split.counts()["test"] == 20 and split.cross_fitted
    with pytest.raises(DataError, match="'trian'"):
        cut_by_label(Units(np.arange(100)), ["trian"] * 100, SHARES, 0, "column")


def test_a_missing_validation_part_comes_out_of_training() -> None:
    labels: list[str | None] = ["train"] * 800 + ["test"] * 200
    split = cut_by_label(Units(np.arange(1000)), labels, SHARES, 0, "files")
    assert len(split.train) == 640 and len(split.test) == 200


def test_merged_groups_are_the_connected_components() -> None:
    left = np.array([0, 0, 1, 1, 2, 3])
    right = np.array([9, 8, 8, 7, 6, 6])
    merged = merge_groups(left, right)
    assert len(set(merged[:4])) == 1 and merged[4] == merged[5] and merged[0] != merged[4]


def test_twins_are_test_cases_that_training_has_seen() -> None:
    split = Split(np.array([0, 1]), np.array([2]), np.array([2]), np.array([3, 4]), "random", True)
    prints = np.array([5, 6, 7, 6, 9], dtype=np.uint64)
    assert count_twins(prints, split).tolist() == [3]
