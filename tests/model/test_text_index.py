"""What is most like a text, against a slow reading of the same formulas and against laws."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from trueweight.data.parse_ngrams import BUCKETS, ngram_counts
from trueweight.model.text_index import PIECES, TextIndex

TEXTS = ["the cat sat", "the dog sat down", "a cat and a dog", "zürich is a city", "北京是一座城市", "the cat sat", ""]


def grams(text: str) -> Counter[int]:
    """N-grams of one text alone."""
    found: Counter[int] = Counter()
    for _, _, key_G, count_G in ngram_counts(pa.array([text.lower()], pa.large_string()), word_grams=2, pieces=PIECES):
        for key, count in zip((key_G % BUCKETS).tolist(), count_G.tolist(), strict=True):
            found[key] += count
    return found


def slowly(texts: list[str], asked: str) -> int:
    """The cosine with every text, term by term."""
    known = [grams(text) for text in texts]
    holding: Counter[int] = Counter(key for one in known for key in one)
    idf = {key: math.log((1 + len(texts)) / (1 + count)) + 1 for key, count in holding.items()}

    def weighed(one: Counter[int]) -> dict[int, float]:
        found = {key: (1 + math.log(count)) * idf[key] for key, count in one.items() if key in idf}
        length = math.sqrt(sum(weight**2 for weight in found.values())) or 1.0
        return {key: weight / length for key, weight in found.items()}

    mine = weighed(grams(asked))
    scores = [sum(mine.get(key, 0.0) * weight for key, weight in weighed(one).items()) for one in known]
    best = max(range(len(texts)), key=lambda n: (round(scores[n], 9), -n))
    return best if scores[best] > 0 else -1


ASKED = ["cat", "dogs and cats", "sat down dog", "Zürich city", "城市", "一座", "xylophone ж", "", "the the the cat"]


@pytest.mark.parametrize("asked", ASKED)
def test_it_equals_its_formulas(asked: str) -> None:
    assert TextIndex.of(TEXTS).nearest([asked]).tolist() == [slowly(TEXTS, asked)]


def test_every_text_finds_itself_the_first_of_equals() -> None:
    assert TextIndex.of(TEXTS).nearest(TEXTS).tolist() == [0, 1, 2, 3, 4, 0, -1]


def test_texts_that_are_asked_together_do_not_see_each_other() -> None:
    index = TextIndex.of(TEXTS)
    assert index.nearest(ASKED).tolist() == [int(index.nearest([one])[0]) for one in ASKED]


@pytest.mark.parametrize("texts", [[], [""], ["", "!"]], ids=str)
def test_nothing_to_find(texts: list[str]) -> None:
    assert TextIndex.of(texts).nearest(["cat", ""]).tolist() == [-1, -1]


def test_many_texts_are_looked_through_as_few_are() -> None:
    rng = np.random.default_rng(0)
    words = [f"w{n}" for n in range(40)]
    texts = [" ".join(rng.choice(words, 6)) for _ in range(60)]
    asked = [" ".join(rng.choice(words, 6)) for _ in range(12)]
    assert TextIndex.of(texts).nearest(asked).tolist() == [slowly(texts, one) for one in asked]
