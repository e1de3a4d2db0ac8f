"""Power laws through losses: known ones are found again, and their continuation is right."""

import numpy as np
import pytest

from trueweight.evaluate.learning_curve import fitted_laws

SIZES = np.array([100.0, 200.0, 400.0, 800.0])


@pytest.mark.parametrize(("floor", "amount", "exponent"), [(0.3, 5.0, 0.8), (0.0, 2.0, 0.3), (0.5, 0.0, 0.5)])
def test_a_law_is_found_again(floor: float, amount: float, exponent: float) -> None:
    loss_1P = (floor + amount * SIZES**-exponent)[None]
    law = fitted_laws(SIZES, loss_1P)
    for rows in (*SIZES, 1600.0):
        assert law.at(rows)[0] == pytest.approx(floor + amount * rows**-exponent, rel=1e-6)


def test_noisy_losses_are_continued_within_their_spread() -> None:
    rng = np.random.default_rng(0)
    loss_RP = 0.3 + 5 * SIZES**-0.8 + 0.002 * rng.normal(size=(300, 4))
    law = fitted_laws(SIZES, loss_RP)
    low, high = np.quantile(law.at(1600.0), [0.025, 0.975])
    assert low < 0.3 + 5 * 1600**-0.8 < high
    assert high - low < 0.03


def test_rising_losses_give_a_flat_law() -> None:
    law = fitted_laws(SIZES, np.array([[0.3, 0.31, 0.32, 0.33]]))
    assert law.at(800.0)[0] == pytest.approx(law.at(1600.0)[0])
