"""Calibration error and the parts of the Brier score: laws, and generators whose right answer is known."""

import numpy as np
import pytest

from trueweight.metrics.calibration import CALIBRATION, curve, equal_mass_bins, p_value
from trueweight.metrics.interval import estimate
from trueweight.metrics.prediction import ClassPrediction
from trueweight.metrics.truth import Truth

ECE, RELIABILITY, RESOLUTION, UNCERTAINTY, WITHIN = CALIBRATION


def drawn(rows: int, seed: int, sharper: float = 1.0) -> tuple[ClassPrediction, Truth, float]:
    """Answers whose logits are ``sharper`` times the right ones, what happened, and the true root mean squared gap."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 2, rows)
    true, said = (1 / (1 + np.exp(-z)) for z in (logit, sharper * logit))
    happened = (rng.random(rows) < true).astype(np.int64)
    answer = ClassPrediction(np.stack([1 - said, said], axis=1), ("no", "yes"), binary=True)
    return answer, Truth(happened, np.ones(rows, bool)), float(np.sqrt(np.mean(np.square(said - true))))


def squared(value: float) -> float:
    return float(np.sign(value) * value**2)


@pytest.mark.parametrize("rows", [100, 1000])
def test_right_probabilities_have_no_error_on_average(rows: int) -> None:
    found = np.array([squared(ECE.compute(*drawn(rows, seed)[:2])) for seed in range(300)])
    assert abs(found.mean()) < 3 * found.std() / np.sqrt(len(found))
    # Without taking the variance off, bins of 20 rows would show a squared gap of about 0.2 * 0.8 / 20.
    assert abs(found.mean()) < 0.001


@pytest.mark.parametrize("sharper", [1.5, 3.0, 0.4])
def test_a_known_error_is_found(sharper: float) -> None:
    cases = [drawn(2000, seed, sharper) for seed in range(30)]
    found = np.mean([ECE.compute(answer, truth) for answer, truth, _ in cases])
    assert found == pytest.approx(np.mean([gap for *_, gap in cases]), rel=0.06)  # ten bins see a little less


def test_the_interval_holds_the_truth() -> None:
    held = 0
    for seed in range(30):
        answer, truth, gap = drawn(1000, seed, 1.8)
        found = estimate(ECE, answer, truth, n_resamples=200, seed=seed)
        held += found.low is not None and found.low <= gap <= (found.high or 0)
    assert held >= 26


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_parts_add_up_to_the_brier_score(weighted: bool, classes: int) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(classes), 300).round(2)
    answer = ClassPrediction(p, tuple("abcd"[:classes]), binary=classes == 2)
    weight = rng.uniform(0, 3, 300) if weighted else None
    truth = Truth(rng.integers(0, classes, 300), rng.random(300) < 0.9, weight)
    parts = [part.compute(answer, truth) for part in (RELIABILITY, RESOLUTION, UNCERTAINTY, WITHIN)]
    kept = np.flatnonzero(truth.present_N)
    column = np.ones(300, dtype=int) if classes == 2 else p.argmax(1)
    error = np.square(p[np.arange(300), column] - (truth.value == column))[kept]
    whole = np.average(error, weights=None if weight is None else weight[kept])
    assert parts[0] - parts[1] + parts[2] + parts[3] == pytest.approx(whole, abs=1e-12)
    assert parts[0] >= 0 and parts[1] >= 0 and 0 <= parts[2] <= 0.25


def test_probabilities_that_tie_leave_nothing_within_bins() -> None:
    answer, truth, _ = drawn(400, 0)
    p = np.where(answer.probability_NC[:, 1] > 0.5, 0.8, 0.2)
    tied = ClassPrediction(np.stack([1 - p, p], axis=1), ("no", "yes"), binary=True)
    assert WITHIN.compute(tied, truth) == pytest.approx(0, abs=1e-12)
    assert len(curve(tied, truth).rows_B) == 2


@pytest.mark.parametrize("rows", [1, 9, 30, 55, 1000])
@pytest.mark.parametrize("ties", [2, 10_000])
def test_no_bin_is_small(rows: int, ties: int) -> None:
    p = np.round(np.random.default_rng(rows).beta(0.2, 2, rows) * ties) / ties
    bins = equal_mass_bins(p)
    sizes = np.bincount(bins)
    assert sizes.min() >= min(10, rows) and len(sizes) <= 10
    assert np.array_equal(np.sort(p), p[np.lexsort((p, bins))])  # bins follow the order of probabilities
    assert all(len(np.unique(bins[p == value])) == 1 for value in np.unique(p))


def test_the_test_keeps_its_level_and_has_power() -> None:
    right = [p_value(*drawn(300, s)[:2], 99, np.random.default_rng(s)) for s in range(100)]
    wrong = [p_value(*drawn(300, s, 2.5)[:2], 99, np.random.default_rng(s)) for s in range(20)]
    assert np.mean(np.array(right) <= 0.05) <= 0.11  # 5 of 100 expected; 12 or more happen once in 300
    assert np.mean(np.array(wrong) <= 0.05) >= 0.9


def test_rows_of_one_group_are_not_counted_as_many() -> None:
    """Every row ten times: as rows they seem to prove a lot, as groups they do not."""
    alone = grouped = 0
    for seed in range(40):
        answer, truth, _ = drawn(60, seed)
        ten = np.repeat(np.arange(60), 10)
        copied = Truth(truth.value[ten], np.ones(600, bool), None, ten)
        apart = Truth(truth.value[ten], np.ones(600, bool))
        grouped += p_value(answer.take(ten), copied, 99, np.random.default_rng(seed)) <= 0.05
        alone += p_value(answer.take(ten), apart, 99, np.random.default_rng(seed)) <= 0.05
    assert grouped <= 6 < alone
