"""Sets and intervals cover what they promise: exact bands, and many draws of both sides."""

import numpy as np
import pytest

from trueweight.metrics.beta import betabinomial_cdf
from trueweight.metrics.conformal import conformal_ends, conformal_radius, conformal_sets, coverage_band, coverage_tail


def draws(rng: np.random.Generator, rows: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    z = rng.normal(size=(rows, classes)) * 1.5 + np.linspace(1, -1, classes)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return p, (p.cumsum(1) > rng.random((rows, 1))).argmax(1)


@pytest.mark.parametrize(("rows", "a", "b"), [(7, 3.0, 2.0), (40, 19.0, 2.0), (1, 1.0, 1.0)])
def test_the_beta_binomial_is_a_mixture_of_binomials(rows: int, a: float, b: float) -> None:
    from math import comb, gamma

    x = (np.arange(200_000) + 0.5) / 200_000
    density = gamma(a + b) / gamma(a) / gamma(b) * x ** (a - 1) * (1 - x) ** (b - 1)
    chances = [np.mean(comb(rows, k) * x**k * (1 - x) ** (rows - k) * density) for k in range(rows + 1)]
    np.testing.assert_allclose(betabinomial_cdf(rows, a, b), np.cumsum(chances), atol=1e-8)


def test_the_band_holds_what_many_draws_cover() -> None:
    rng, outside, shares = np.random.default_rng(0), 0, []
    low, high = coverage_band(60, 0.9, 200)
    for _ in range(2000):
        scores, new = rng.random(60), rng.random(200)
        covered = int((new <= conformal_radius(scores, 0.9).radius).sum())  # type: ignore[operator]
        outside += not low <= covered / 200 <= high
        shares.append(coverage_tail(60, 0.9, 200, covered))
    assert outside <= 32  # 20 expected of 1 %
    assert np.mean(np.array(shares) <= 0.05) <= 0.065


def test_sets_of_classes_cover_inside_the_band() -> None:
    rng, outside, sizes = np.random.default_rng(1), 0, []
    low, high = coverage_band(300, 0.85, 500)
    for _ in range(200):
        p, y = draws(rng, 800)
        found = conformal_sets(p[:300], y[:300], 0.85)
        chosen = found.set_NC(p[300:])
        covered = chosen[np.arange(500), y[300:]].mean()
        outside += not low <= covered <= high
        sizes.append(chosen.sum(1).mean())
    assert outside <= 7  # 2 expected
    assert 1 < np.mean(sizes) < 4


def test_a_bound_for_each_class_covers_each_class() -> None:
    rng, whole, each = np.random.default_rng(2), [], []
    for _ in range(60):
        p, y = draws(rng, 1600)
        for by_class, kept in ((False, whole), (True, each)):
            chosen = conformal_sets(p[:600], y[:600], 0.8, by_class=by_class).set_NC(p[600:])
            inside = chosen[np.arange(1000), y[600:]]
            kept.append([inside[y[600:] == c].mean() for c in range(4)])
    assert np.abs(np.mean(each, axis=0) - 0.8).max() < 0.02
    assert np.mean(whole, axis=0).min() < 0.7  # the rarest class pays for the others


def test_classes_with_too_few_rows_share_a_bound_or_are_in_every_set() -> None:
    p, y = draws(np.random.default_rng(3), 300)
    few = np.flatnonzero((y < 2) | (np.cumsum(y >= 2) <= 8))
    found = conformal_sets(p[few], y[few], 0.9, by_class=True)
    assert found.groups == (0, 1, 2, 2) and found.sizes[2] == 8
    assert found.least[2] == 0.0
    assert found.set_NC(p)[:, 2:].all()


def test_a_class_never_seen_makes_sets_larger() -> None:
    p, y = draws(np.random.default_rng(4), 200)
    known, some = conformal_sets(p, y, 0.9), conformal_sets(p, np.where(np.arange(200) < 15, -1, y), 0.9)
    assert some.least[0] < known.least[0]
    assert conformal_sets(p, np.where(np.arange(200) < 50, -1, y), 0.9).least[0] == 0.0  # nothing can cover those


def test_equal_answers_are_all_in_or_all_out() -> None:
    p = np.tile([0.7, 0.3], (50, 1))
    found = conformal_sets(p, (np.arange(50) % 10 < 3).astype(np.int64), 0.9)
    assert found.set_NC(p).all()


def test_a_radius_for_each_range_follows_the_noise() -> None:
    rng, covered = np.random.default_rng(5), {"one": [], "each": []}
    for _ in range(60):
        value = rng.uniform(0, 10, 1400)
        error = np.abs(rng.normal(size=1400) * (0.2 + value))
        one = conformal_radius(error[:400], 0.9)
        each = conformal_radius(error[:400], 0.9, value_N=value[:400])
        assert len(each.radii) == 5 and sum(each.sizes) == 400
        top = np.flatnonzero(value[400:] > 8) + 400
        covered["one"].append((error[top] <= one.radius_N(value[top])).mean())
        covered["each"].append((error[top] <= each.radius_N(value[top])).mean())
    assert np.mean(covered["one"]) < 0.8
    assert np.mean(covered["each"]) == pytest.approx(0.91, abs=0.015)  # k / (n + 1) of 80 rows is 73 / 81


def test_few_rows_or_equal_answers_have_one_radius() -> None:
    error = np.arange(60.0)
    assert conformal_radius(error, 0.9, value_N=error).edges == ()
    assert conformal_radius(np.arange(400.0), 0.9, value_N=np.zeros(400)).radii in ((), (360.0,))


@pytest.mark.parametrize("known", [1.0, 0.3, 2.5])
def test_quantiles_that_are_right_too_near_or_too_far_cover_inside_the_band(known: float) -> None:
    """Whatever was learnt, right or wrong by a factor, the share covered is that of the law."""
    rng, outside = np.random.default_rng(6), 0
    low, high = coverage_band(200, 0.9, 400)
    for _ in range(300):
        noise = 0.2 + 3 * rng.random(600)
        y, end = rng.normal(size=600) * noise, known * 1.645 * noise
        found = conformal_ends(-end[:200], end[:200], y[:200], 0.9)
        assert found.of_quantiles and found.radius is not None
        assert (found.radius > 0) is (known < 1) or known == 1
        inside = np.abs(y[200:]) <= end[200:] + found.radius
        outside += not low <= inside.mean() <= high
    assert outside <= 9  # 3 expected of 1 %


def test_quantiles_give_narrower_intervals_than_one_radius_where_the_noise_varies() -> None:
    rng, widths, hard = np.random.default_rng(7), {"one": [], "ends": []}, {"one": [], "ends": []}
    for _ in range(40):
        noise = 0.1 + 3 * rng.random(1400) ** 3
        y, end = rng.normal(size=1400) * noise, 1.645 * noise
        one, ends = conformal_radius(np.abs(y[:400]), 0.9), conformal_ends(-end[:400], end[:400], y[:400], 0.9)
        reach = {"one": np.full(1000, one.radius), "ends": end[400:] + ends.radius}
        for name, reach_N in reach.items():
            widths[name].append(2 * reach_N.mean())
            noisy = noise[400:] > 2
            hard[name].append((np.abs(y[400:]) <= reach_N)[noisy].mean())
    assert np.mean(widths["ends"]) < 0.8 * np.mean(widths["one"])
    assert np.mean(hard["one"]) < 0.7 and np.mean(hard["ends"]) > 0.87


def test_too_few_rows_promise_nothing_of_quantiles_either() -> None:
    found = conformal_ends(np.zeros(8), np.ones(8), np.ones(8), 0.9)
    assert found.radius is None and "8 calibration rows cannot promise 90%" in found.reason
