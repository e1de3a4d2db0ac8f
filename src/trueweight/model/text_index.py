"""Which of some texts is most like another: TF-IDF of words and pieces of words, and the angle between them.

Source: Salton and Buckley 1988, "Term-weighting approaches in automatic text retrieval"; sublinear counts and smooth
inverse document frequency as in Manning, Raghavan and Schuetze 2008, "Introduction to Information Retrieval", 6.4.

Shape suffixes:
    N  texts that are kept    G  n-grams of all of them, or of some that are asked about    K  distinct n-grams
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from trueweight.data.parse_ngrams import ngram_counts

__all__ = ["TextIndex"]

PIECES = (3, 4)
"""Shortest and longest piece of a word, in characters."""


@dataclass(frozen=True, slots=True, eq=False)
class TextIndex:
    """For each n-gram the texts that hold it."""

    count: int
    """N."""
    bucket_K: np.ndarray
    """int64, ascending."""
    start_K1: np.ndarray
    """int64: where the texts of each begin in ``row_G``."""
    row_G: np.ndarray
    weight_G: np.ndarray
    """Of each in its text, whose weights have a length of 1."""
    idf_K: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> "TextIndex":
        """Of texts that are to be found."""
        row_G, bucket_G, count_G = _ngrams(texts)
        order = np.argsort(bucket_G, kind="stable")
        row_G, count_G = row_G[order], count_G[order]
        bucket_K, first = np.unique(bucket_G[order], return_index=True)
        start_K1 = np.append(first, len(row_G)).astype(np.int64)
        idf_K = np.log((1 + len(texts)) / (1 + np.diff(start_K1))) + 1
        weight_G = (1 + np.log(count_G)) * np.repeat(idf_K, np.diff(start_K1))
        length_N = np.sqrt(np.bincount(row_G, weight_G**2, minlength=max(1, len(texts))))
        return cls(len(texts), bucket_K, start_K1, row_G, weight_G / np.maximum(length_N[row_G], 1e-300), idf_K)

    def nearest(self, texts: Sequence[str]) -> np.ndarray:
        """For each text the number of the one most like it, the first of equals; -1 where none shares anything."""
        row_G, bucket_G, count_G = _ngrams(texts)
        end = np.searchsorted(row_G, np.arange(len(texts) + 1))
        found = np.full(len(texts), -1)
        for number in range(len(texts) if self.count else 0):
            mine = slice(end[number], end[number + 1])
            score_N = self._alike(bucket_G[mine], count_G[mine])
            # Sums of the same weights in another order differ in their last digits, and equals are to stay equal.
            best = int(np.round(score_N, 9).argmax())
            found[number] = best if score_N[best] > 0 else -1
        return found

    def _alike(self, bucket_G: np.ndarray, count_G: np.ndarray) -> np.ndarray:
        """What the angle to each text grows with, (N,); the asked text's own length is the same for all."""
        place_G = np.minimum(np.searchsorted(self.bucket_K, bucket_G), max(0, len(self.bucket_K) - 1))
        known_G = self.bucket_K[place_G] == bucket_G if len(self.bucket_K) else np.zeros(len(bucket_G), bool)
        place_G, count_G = place_G[known_G], count_G[known_G]
        weight_G = (1 + np.log(count_G)) * self.idf_K[place_G]
        spans = [slice(self.start_K1[place], self.start_K1[place + 1]) for place in place_G.tolist()]
        rows = np.concatenate([np.zeros(0, np.int64), *(self.row_G[span] for span in spans)])
        shares = np.concatenate([[], *(self.weight_G[span] * w for span, w in zip(spans, weight_G, strict=True))])
        return np.bincount(rows, shares, minlength=self.count)


def _ngrams(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Text, n-gram and count, by text."""
    known = pa.array([text.lower() for text in texts], pa.large_string())
    found = ngram_counts(known, word_grams=2, pieces=PIECES)
    parts = [(some.text_G, some.bucket_G, some.count_G) for some in found]
    empty = np.zeros(0, np.int64)
    row, bucket, count = (np.concatenate([empty, *(part[place] for part in parts)]) for place in range(3))
    return row, bucket, count
