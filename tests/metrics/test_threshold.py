"""Thresholds that mistakes' costs decide."""

import numpy as np
import pytest

from trueweight.metrics.threshold import cost_N, learn_threshold


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1, 3, rows)
    return p, rng.random(rows) < p


@pytest.mark.parametrize(("fp", "fn"), [(80, 2500), (1, 1), (9, 1)])
def test_right_probabilities_have_the_threshold_of_theory(fp: float, fn: float) -> None:
    found = [learn_threshold(*drawn(400, seed), None, fp, fn) for seed in range(40)]
    assert np.mean([one.value == pytest.approx(fp / (fp + fn)) for one in found]) >= 0.9
    assert np.mean([one.cost for one in found]) == pytest.approx(
        np.mean([np.minimum(fp * (1 - p), fn * p).mean() for p, _ in (drawn(400, seed) for seed in range(40))]), rel=0.1
    )


def test_wrong_probabilities_get_the_threshold_that_costs_least() -> None:
    p, yes = drawn(2000, 0)
    told = p**3  # far too small: theory would miss most
    found = learn_threshold(told, yes, None, 1, 4)
    costs = [cost_N(told, yes, t, 1, 4).mean() for t in np.linspace(0.001, 0.999, 999)]
    assert found.cost == pytest.approx(min(costs), rel=0.02) and found.cost < 0.9 * cost_N(told, yes, 0.2, 1, 4).mean()
    assert found.value == pytest.approx(0.2**3, abs=0.01)
    assert "cheaper than the ratio of the costs (0.2) on held-out" in found.reason


def test_weights_count_as_rows_do() -> None:
    p, yes = drawn(300, 1)
    twice = np.repeat(np.arange(300), np.arange(300) % 3)
    a = learn_threshold(p**4, yes, (np.arange(300) % 3).astype(float), 1, 5)
    b = learn_threshold((p**4)[twice], yes[twice], None, 1, 5)
    assert a.cost == pytest.approx(b.cost) and a.value == pytest.approx(b.value, abs=1e-3)


def test_few_rows_trust_theory() -> None:
    p, yes = drawn(99, 2)
    assert learn_threshold(p**4, yes, None, 1, 3).value == 0.25
    nothing = learn_threshold(p[:0], yes[:0], None, 1, 3)
    assert (nothing.value, nothing.cost, nothing.n) == (0.25, None, 0)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bent", [3.0, 0.3])
def test_no_threshold_at_all_costs_less_on_the_rows_that_chose_it(bent: float, weighted: bool) -> None:
    """Against every threshold there is: each probability that occurs, ties among them, and answering no to all."""
    chosen = 0
    for seed in range(12):
        p, yes = drawn(400, seed)
        told, rng = np.round(p**bent, 2), np.random.default_rng(seed)
        weight = rng.integers(1, 5, 400).astype(float) if weighted else None
        found = learn_threshold(told, yes, weight, 1, 4)
        every = [np.average(cost_N(told, yes, t, 1, 4), weights=weight) for t in (*np.unique(told), 2.0)]
        assert found.cost == pytest.approx(np.average(cost_N(told, yes, found.value, 1, 4), weights=weight))
        if "cheaper than" in found.reason:
            chosen += 1
            assert found.cost == pytest.approx(min(every))
        else:
            assert found.value == pytest.approx(0.2)  # the ratio of the costs
    assert chosen >= 6
