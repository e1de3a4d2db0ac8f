"""Copies in plain values: counted against loops over all pairs, found when planted, not seen where rows just repeat."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from tests.evaluate.test_honesty import BY_COLUMN, Columns, judged, people, raised, split_of

from trueweight.evaluate.duplicates import duplicates
from trueweight.evaluate.near_values import agreeing


def test_pairs_that_agree_are_counted_as_a_loop_over_them_counts() -> None:
    rng = np.random.default_rng(0)
    one_NK, other_TK = rng.integers(0, 3, (40, 5)), rng.integers(0, 3, (70, 5))
    judged_K, training_K = (
        [(values[:, k].astype(np.uint64) + np.uint64(1)) * np.uint64(10**k) for k in range(5)]
        for values in (one_NK, other_TK)
    )
    wholes = [np.stack(keys).sum(0, dtype=np.uint64) for keys in (judged_K, training_K)]
    left_out = [0, 2, 3]
    found = agreeing(judged_K, training_K, left_out, wholes[0], wholes[1])
    apart_NTK = one_NK[:, None, :] != other_TK[None, :, :]
    only_NT = ~apart_NTK[:, :, [1, 4]].any(2)  # columns that are not left out agree
    for less, counted_N in enumerate(found):
        expected_N = (only_NT & (apart_NTK[:, :, left_out].sum(2) == less)).sum(1)
        np.testing.assert_array_equal(counted_N, expected_N)


def spoilt(columns: Columns, way: str, seed: int) -> Columns:
    """A tenth of the test rows become training rows, but for a digit, or rounded."""
    part, rng = split_of(columns), np.random.default_rng([seed, 5])
    test = np.flatnonzero(part == "test")[:18]
    source = rng.choice(np.flatnonzero(part == "train"), len(test))
    columns = {name: value.copy() for name, value in columns.items()}
    for value in columns.values():
        value[test] = value[source]
    for name in ("x", "z", "w"):
        columns[name][test] = np.round(columns[name][test], 2) if way == "rounded" else columns[name][test]
    if way == "a digit":
        columns["z"][test] *= 1.1
    return columns | {"part": part}


def wide(seed: int) -> Columns:
    """More numbers, so that rows are told apart."""
    rng = np.random.default_rng([seed, 11])
    return people(seed) | {f"n{i}": rng.normal(size=900) for i in range(3)}


@pytest.mark.parametrize(("way", "words"), [("a digit", "in all columns but one"), ("rounded", "roughly")])
def test_rows_that_were_copied_with_small_changes_are_found(way: str, words: str) -> None:
    entries = duplicates(judged(spoilt(wide(0), way, 0), **BY_COLUMN))
    assert words in raised(entries)["near_duplicates_flag"]
    # Rounding carries some across the edge between two steps.
    assert 14 / 180 <= float(entries[0].value or 0) <= 18 / 180
    assert raised(duplicates(judged(wide(0) | {"part": split_of(wide(0))}, **BY_COLUMN))) == {}


def test_one_day_seen_from_many_places_is_no_copy() -> None:
    rng, rows = np.random.default_rng(0), 900
    day = np.arange(rows) // 6
    weather = rng.normal(size=(4, 150))[:, day]
    columns: dict[str, Any] = {f"weather{i}": value for i, value in enumerate(weather)}
    columns |= {"place": np.array(list("abcdef"))[np.arange(rows) % 6]}
    columns |= {"cost": 10 * weather[0] + np.arange(rows) % 6 + rng.normal(size=rows)}
    entries = duplicates(judged(columns, "cost", split={"method": "random"}))
    assert raised(entries) == {}


def test_a_plan_of_all_combinations_is_no_copy() -> None:
    plan = np.array(list(product(range(3), repeat=6)))
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {f"factor{i}": np.array(list("abc"))[value] for i, value in enumerate(plan.T)}
    columns |= {"won": np.where(plan.sum(1) + rng.normal(size=len(plan)) > 6, "yes", "no")}
    assert raised(duplicates(judged(columns, split={"method": "random"}))) == {}
