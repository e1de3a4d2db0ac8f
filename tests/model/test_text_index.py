"""The nearest text against a plain search, and against laws."""

from collections import Counter

import numpy as np
import pyarrow as pa

from trueweight.data.parse_ngrams import ngram_counts
from trueweight.model.text_index import PIECES, TextIndex

WORDS = ["red", "blue", "house", "tree", "mouse", "house mouse", "the", "a", "redder", "日本", "jardin"]


def some(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 6))) for _ in range(count)]


def grams(text: str) -> Counter[int]:
    found: Counter[int] = Counter()
    texts = pa.array([text.lower()], pa.large_string())
    for some in ngram_counts(texts, word_grams=2, pieces=PIECES):
        found.update(dict(zip(some.bucket_G.tolist(), some.count_G.tolist(), strict=True)))
    return found


def plain(kept: list[str], asked: str) -> int:
    """The first text of greatest cosine, every pair by itself."""
    documents = Counter(gram for text in kept for gram in grams(text))

    def vector(text: str) -> dict[int, float]:
        found = {
            gram: (1 + np.log(count)) * (np.log((1 + len(kept)) / (1 + documents[gram])) + 1)
            for gram, count in grams(text).items()
            if gram in documents
        }
        length = np.sqrt(sum(weight**2 for weight in found.values())) or 1.0
        return {gram: weight / length for gram, weight in found.items()}

    mine = vector(asked)
    cosine = [sum(mine.get(g, 0.0) * w for g, w in vector(text).items()) for text in kept]
    best = int(np.argmax(np.round(cosine, 7)))
    return best if cosine[best] > 0 else -1


def test_it_equals_a_plain_search() -> None:
    kept, asked = some(60, 0), some(25, 1)
    assert TextIndex.of(kept).nearest(asked).tolist() == [plain(kept, text) for text in asked]


def test_a_text_that_is_kept_is_its_own_nearest() -> None:
    kept = list(dict.fromkeys(some(80, 2)))
    found = TextIndex.of(kept).nearest(kept).tolist()
    assert [kept[place] for place in found] == kept or all(
        grams(kept[place]) == grams(text) for place, text in zip(found, kept, strict=True)
    )


def test_nothing_shared_is_nobody() -> None:
    index = TextIndex.of(["red house", "", "tree"])
    assert index.nearest(["", "qqq", "zzz xyx"]).tolist() == [-1, -1, -1]
    assert TextIndex.of([]).nearest(["red"]).tolist() == [-1]
    assert TextIndex.of([""]).nearest(["red", ""]).tolist() == [-1, -1]
    assert index.nearest([]).tolist() == []
