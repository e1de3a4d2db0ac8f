"""Wrong labels and numbers are estimated about right, and clean ones are left in peace."""

import numpy as np
import pytest

from trueweight.metrics.label_floor import DRAWS, label_floor
from trueweight.metrics.number_floor import number_floor


def answers(seed: int, classes: int, wrong: float, rows: int = 800) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, labels drawn from them and then changed, and which were."""
    rng = np.random.default_rng(seed)
    log_NC = 3.5 * rng.normal(size=(rows, classes))
    p_NC = np.exp(log_NC) / np.exp(log_NC).sum(1, keepdims=True)
    label_N = (rng.random(rows)[:, None] > p_NC.cumsum(1)[:, :-1]).sum(1)
    changed_N = rng.random(rows) < wrong
    moved_N = (label_N + rng.integers(1, classes, rows)) % classes
    return p_NC, np.where(changed_N, moved_N, label_N), changed_N


@pytest.mark.parametrize("classes", [2, 4])
def test_the_share_is_found_and_the_rows_are_named(classes: int) -> None:
    p_NC, label_N, changed_N = answers(1, classes, 0.12)
    found = label_floor(p_NC, label_N, np.random.default_rng(0))
    assert found.p == 1 / (1 + DRAWS)
    assert found.low <= changed_N.mean() <= found.high
    assert found.share == pytest.approx(0.12, abs=0.04)
    first = np.argsort(-found.wrong_N)[:40]
    assert changed_N[first].mean() > 0.7


@pytest.mark.parametrize("classes", [2, 4])
def test_answers_that_are_too_sure_are_no_wrong_labels(classes: int) -> None:
    """A temperature is fitted before anything is asked."""
    p_NC, label_N, _ = answers(2, classes, 0.0)
    for power in (0.5, 1.0, 2.0):
        bent_NC = p_NC**power / (p_NC**power).sum(1, keepdims=True)
        found = label_floor(bent_NC, label_N, np.random.default_rng(0))
        assert found.p > 0.05
        assert found.low == 0


def test_clean_labels_have_p_values_that_are_not_small() -> None:
    p = [label_floor(*answers(seed, 2, 0.0, 200)[:2], np.random.default_rng(seed)).p for seed in range(20)]
    assert np.mean(np.array(p) <= 0.1) <= 0.25  # of 20 at a chance of 0.1 more than 5 come about once in 100 times
    assert np.median(p) > 0.2


def numbers(seed: int, wrong: float, errors: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    answer_N = 10 + 3 * rng.normal(size=800)
    error_N = rng.normal(size=800) if errors == "normal" else rng.standard_t(5, 800)
    value_N, changed_N = answer_N + 0.7 * error_N, rng.random(800) < wrong
    return answer_N, np.where(changed_N, rng.permutation(value_N), value_N), changed_N


@pytest.mark.parametrize("errors", ["normal", "long tails"])
def test_numbers_of_other_rows_are_found(errors: str) -> None:
    answer_N, value_N, changed_N = numbers(3, 0.1, errors)
    found = number_floor(answer_N, value_N, np.random.default_rng(0))
    assert found is not None
    assert found.p <= 0.02
    assert found.low <= changed_N.mean()
    assert found.share == pytest.approx(0.1, abs=0.06)
    assert changed_N[np.argsort(-found.wrong_N)[:30]].mean() > 0.8


@pytest.mark.parametrize("errors", ["normal", "long tails"])
def test_long_tails_are_no_wrong_numbers(errors: str) -> None:
    for seed in range(3):
        found = number_floor(*numbers(seed, 0.0, errors)[:2], np.random.default_rng(0))
        assert found is not None
        assert found.p > 0.05


def test_answers_that_are_exactly_right_are_not_asked() -> None:
    value_N = np.arange(100.0)
    assert number_floor(value_N, value_N, np.random.default_rng(0)) is None
