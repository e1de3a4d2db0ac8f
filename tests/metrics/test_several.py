"""Tests of one comparison against SciPy, and of many against their definition."""

import numpy as np
import pytest
from scipy import stats

from trueweight.metrics.several import above_by_chance, fisher, holm, mean_gap, normal_tail, permuted_tail


def test_holm_by_hand() -> None:
    # Smallest first times 4, 3, 2, 1, never smaller than the one before, at most 1.
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert len(holm([])) == 0


@pytest.mark.parametrize("table", [(3, 20, 11, 30), (0, 5, 5, 5), (7, 40, 7, 40), (1, 2, 900, 2000), (0, 3, 0, 9)])
def test_fisher_is_that_of_scipy(table: tuple[int, int, int, int]) -> None:
    a, n, b, m = table
    assert fisher(a, n, b, m) == pytest.approx(stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue, rel=1e-6)


def test_normal_tail_is_that_of_scipy() -> None:
    assert [normal_tail(z) for z in (-1.0, 0.0, 3.0)] == pytest.approx(stats.norm.sf([-1, 0, 3]))
    assert normal_tail(float("nan")) == 1.0


def test_gap_and_error_of_plain_rows_by_hand() -> None:
    rng = np.random.default_rng(0)
    value, inside = rng.normal(size=60), np.arange(60) < 20
    gap, error = mean_gap(value, inside, None, None)
    one, other = value[inside], value[~inside]
    assert gap == pytest.approx(one.mean() - other.mean())
    assert error == pytest.approx(np.sqrt((one.var() / 20 + other.var() / 40) * 60 / 59))


def test_rows_that_are_copied_within_clusters_say_no_more() -> None:
    rng = np.random.default_rng(1)
    value, inside = rng.normal(size=200), np.arange(200) < 60
    _, alone = mean_gap(value, inside, None, None)
    _, copied = mean_gap(np.repeat(value, 5), np.repeat(inside, 5), None, np.repeat(np.arange(200), 5))
    assert copied == pytest.approx(alone)


def test_whole_weights_are_copies() -> None:
    rng = np.random.default_rng(2)
    value, inside, times = rng.normal(size=50), np.arange(50) % 3 == 0, rng.integers(1, 4, 50)
    weighted, _ = mean_gap(value, inside, times.astype(float), None)
    copied, _ = mean_gap(np.repeat(value, times), np.repeat(inside, times), None, None)
    assert weighted == pytest.approx(copied)


def test_an_empty_side_has_no_gap() -> None:
    assert np.isnan(mean_gap(np.ones(3), np.ones(3, bool), None, None)[0])


def test_a_mean_above_zero_is_a_t_test_for_many_rows() -> None:
    value = np.random.default_rng(3).normal(size=400) + 0.1
    expected = stats.ttest_1samp(value, 0, alternative="greater").pvalue
    assert above_by_chance(value, None, None) == pytest.approx(expected, rel=0.05)  # normal, not t, with 399 degrees


def test_dealing_out_anew_is_a_permutation_test() -> None:
    rng = np.random.default_rng(4)
    value = rng.exponential(size=50)
    inside = np.arange(50) < 12
    value[inside] += 0.5
    gap = value[inside].mean() - value[~inside].mean()
    (p,) = permuted_tail(value, [12], [gap], None, 0)
    found = stats.permutation_test(
        (value[inside], value[~inside]),
        lambda a, b: a.mean() - b.mean(),
        alternative="greater",
        n_resamples=4000,
        rng=0,
    )
    # Two Monte Carlo estimates from 2,000 and 4,000 draws.
    assert p == pytest.approx(found.pvalue, abs=4 * np.sqrt(p * (1 - p) * (1 / 2000 + 1 / 4000)))


def test_many_rows_are_drawn_rather_than_permuted() -> None:
    value = np.random.default_rng(5).normal(size=30_000)
    assert 0.3 < permuted_tail(value, [100], [0.0], None, 0)[0] < 0.7
    assert permuted_tail(value, [20_000], [0.0], None, 0) == [0.0]  # a normal approximation does as well
