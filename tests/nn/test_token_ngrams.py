import numpy as np
import pytest

from trueweight.nn.token_ngrams import BEGIN, END, Ngrams, counted_ngrams

ROWS = [[1, 2, 3], [1, 2], [1, 2, 3, 3], [4]]


def test_counts_are_those_of_runs_that_enough_rows_hold():
    kept = {tuple(gram[:-1]): gram[-1] for gram in counted_ngrams(ROWS, 2, 2)}
    assert kept == {
        (1,): 3, (2,): 3, (3,): 3, (END,): 4, (BEGIN, 1): 3, (1, 2): 3, (2, 3): 2, (3, END): 2,
    }  # fmt: skip


def test_what_one_row_repeats_is_not_kept():
    grams = counted_ngrams([[7] * 50, [1], [1]], 3, 2)
    assert not any(7 in gram[:-1] for gram in grams)


def test_nothing_kept_is_a_blind_guess():
    assert Ngrams([], 4).logp([1, 2], 3) == pytest.approx(-np.log(5))


@pytest.mark.parametrize("said", [[], [1], [1, 2], [3, 3, 3], [9]], ids=str)
@pytest.mark.parametrize("order", [1, 2, 4])
def test_what_follows_has_probabilities_that_sum_to_one(said: list[int], order: int):
    ngrams = Ngrams(counted_ngrams(ROWS, order, 1), 10)
    total = sum(np.exp(ngrams.logp(said, token)) for token in [*range(10), END])
    assert total == pytest.approx(1.0)


def test_equals_the_formula_by_hand():
    """Behind [1]: 2 was seen 3 times of 3; unigrams: 13 tokens, 5 kinds, of which 2 was seen 3 times."""
    ngrams = Ngrams(counted_ngrams(ROWS, 2, 1), 10)
    alone = (3 + 5 / 11) / (14 + 5)
    assert np.exp(ngrams.logp([1], 2)) == pytest.approx((3 + 1 * alone) / (3 + 1))
