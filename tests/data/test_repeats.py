"""How long runs are that texts do not repeat."""

import numpy as np
import pytest

from trueweight.data.ragged import Ragged, starts_of
from trueweight.data.repeats import unrepeated


def ragged(texts: list[list[int]]) -> Ragged:
    token = np.array([token for text in texts for token in text], np.int32)[:, None]
    return Ragged(token, starts_of(np.array([len(text) for text in texts], np.int64)))


def by_hand(texts: list[list[int]], most: int) -> int:
    """From the definition, with every pair of places."""
    for size in range(2, 17):
        holding = 0
        for text in texts:
            cut = text[:most]
            places = range(len(cut) - size + 1)
            holding += any(cut[a : a + size] == cut[b : b + size] for a in places for b in places if a < b)
        if holding <= 0.01 * len(texts):
            return size
    return 0


@pytest.mark.parametrize("letters", [2, 3, 6])
@pytest.mark.parametrize("most", [12, 40])
def test_it_is_what_all_pairs_of_places_say(letters: int, most: int):
    rng = np.random.default_rng(letters)
    texts = [rng.integers(2, 2 + letters, size).tolist() for size in rng.integers(0, 30, 60)]
    assert unrepeated(ragged(texts), most) == by_hand(texts, most)


def test_one_text_in_a_hundred_decides_nothing_and_verses_are_let_be():
    circle, straight = [2, 3] * 10, list(range(2, 22))
    assert unrepeated(ragged([straight] * 99 + [circle]), 64) == 2
    assert unrepeated(ragged([straight] * 98 + [circle] * 2), 64) == 0  # of 18 tokens even runs of 16 come again
    assert unrepeated(ragged([straight * 2] * 10), 64) == 0
    assert unrepeated(ragged([straight * 2] * 10), 20) == 2
    assert unrepeated(ragged([[]]), 64) == 2
