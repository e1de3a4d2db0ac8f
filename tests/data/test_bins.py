"""Counts between edges: how a number is spread, without telling anybody's."""

import numpy as np
import pytest

from trueweight.data.bins import binned, bins_of


@pytest.mark.parametrize("seed", range(5))
def test_bins_count_every_value_and_hide_each(seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = [rng.normal(size=500), rng.integers(0, 4, 300), rng.exponential(size=41), np.r_[np.zeros(400), 1:30]][
        seed % 4
    ]
    bins = bins_of(value.astype(float), 10)
    assert sum(bins["counts"]) == len(value)
    assert min(bins["counts"]) >= 10
    assert len(bins["edges"]) == len(bins["counts"]) - 1
    assert bins["counts"] == binned(value.astype(float), bins["edges"]).tolist()


def test_about_a_tenth_lies_between_two_edges() -> None:
    bins = bins_of(np.random.default_rng(0).normal(size=10_000), 10)
    assert len(bins["counts"]) == 14
    assert bins["counts"][3:10] == pytest.approx([1000] * 7, abs=2)


@pytest.mark.parametrize("value", [[], [1.0] * 19, [np.nan] * 50])
def test_few_values_tell_nothing(value: list[float]) -> None:
    assert bins_of(np.array(value, float), 10) == {"edges": [], "counts": []}


def test_a_constant_has_one_bin() -> None:
    assert bins_of(np.full(100, 3.0), 10) == {"edges": [], "counts": [100]}


def test_counts_of_parts_add_up() -> None:
    value, edges = np.random.default_rng(1).normal(size=200), [-1.0, 0.0, 1.0]
    assert (binned(value[:70], edges) + binned(value[70:], edges) == binned(value, edges)).all()
