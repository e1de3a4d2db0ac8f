"""What hashed n-grams of a text stand for: they are hashed again, word by word and pair by pair."""

import re
from itertools import pairwise

import numpy as np
import pyarrow as pa

from trueweight.data.parse_ngrams import ngram_counts
from trueweight.data.text_codec import TextCodec
from trueweight.explain.record import Part

__all__ = ["ngram_parts"]

_WORD = re.compile(r"[\w'’]+")


def ngram_parts(column: str, codec: TextCodec, text: str, code_T: np.ndarray) -> np.ndarray:
    """For each n-gram the first word it is, or is a piece of, else the pair of words; (T,) objects.

    What is neither, such as signs, is the cell as a whole. The place is that of the word in the text.

    Args:
        column: Of the text.
        codec: Whose numbers ``code_T`` are.
        text: As it is read, lower case where the column reads so.
        code_T: Of the n-grams.
    """
    words = _WORD.findall(text)
    singles = dict(reversed([(word, Part(column, (i,), word)) for i, word in enumerate(words)]))
    pairs = {f"{a} {b}": Part(column, (i, i + 1), f"{a} {b}") for i, (a, b) in enumerate(pairwise(words))}
    known = list({**singles, **pairs}.items())
    by_bucket: dict[int, Part] = {}
    texts = pa.array([label for label, _ in known], pa.large_string())
    for some in ngram_counts(texts, word_grams=codec.word_ngrams, pieces=codec.char_ngrams):
        for row, bucket in zip(some.text_G.tolist(), some.bucket_G.tolist(), strict=True):
            by_bucket.setdefault(bucket, known[row][1])
    found = np.empty(len(code_T), object)
    for place, bucket in enumerate(codec.bucket_K[code_T].tolist()):
        found[place] = by_bucket.get(bucket, Part(column))
    return found
