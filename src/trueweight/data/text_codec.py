"""The codec of texts: n-grams with their weights, and token numbers.

Shape suffixes:
    N  rows    K  kept n-grams    G  n-grams of some rows
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from trueweight.data.bpe import Vocabulary, framed_of, vocabulary_from, vocabulary_of, vocabulary_to_json
from trueweight.data.cells import Cells, TextCells
from trueweight.data.column import FieldArrays, Sense
from trueweight.data.parse_ngrams import BUCKETS, PIECES, Counts, from_ngrams
from trueweight.data.ragged import Ragged, starts_of

__all__ = ["TextCodec"]

MANY = 2**18
"""Bytes of texts from which on their n-grams are looked up in a table of all buckets: making it takes a while, and then
looking up takes a seventh of the time of a search."""


@dataclass(frozen=True, slots=True, eq=False)
class TextCodec:
    """``bag`` and ``weight``: n-grams that were kept, by TF-IDF. ``token``: byte-pair numbers. ``flag``: missing."""

    name: str
    word_ngrams: int
    char_ngrams: tuple[int, int] | None
    bucket_K: np.ndarray
    """int64, ascending: hashes of the kept n-grams."""
    rows_K: np.ndarray
    """int64: training rows that hold each."""
    documents: int
    """Training rows with a text that were counted."""
    max_ngrams: int
    weight: float
    """Mean weight of an n-gram on training rows."""
    merges: Vocabulary | None
    """None gives no ``token``."""
    max_tokens: int
    flags: bool
    like: str | None = None
    """The column whose vocabulary this is; their tables of tokens are one."""

    def shapes(self) -> dict[str, int]:
        bag = {"bag": 1, "weight": 1} if len(self.bucket_K) else {}
        return bag | ({} if self.merges is None else {"token": 1}) | ({"flag": 1} if self.flags else {})

    def cardinalities(self) -> list[int]:
        return []

    def knots(self) -> list[list[float]]:
        return []

    def labels(self) -> dict[str, list[str]]:
        words = {"bag": f"words of {self.name}", "weight": f"weights of words of {self.name}"}
        words |= {"token": f"tokens of {self.name}", "flag": f"{self.name} missing"}
        return {key: [words[key]] for key in self.shapes()}

    def senses(self) -> dict[str, Sense]:
        found = {}
        if len(self.bucket_K):
            found["bag"] = Sense(ragged=True, vocabulary=len(self.bucket_K), length=self.max_ngrams)
            found["weight"] = Sense(ragged=True, length=self.max_ngrams, mean=(self.weight,), std=(1.0,))
        if self.merges is not None:
            found["token"] = Sense(ragged=True, vocabulary=len(vocabulary_of(self.merges)), length=self.max_tokens)
        return found

    def encode(self, cells: Cells) -> FieldArrays:
        assert isinstance(cells, TextCells)
        arrays: dict[str, np.ndarray | Ragged] = {}
        if len(self.bucket_K):
            arrays["bag"], arrays["weight"] = self._bags(cells)
        if self.merges is not None:
            whole = framed_of(cells.text_N.to_pylist(), self.merges, self.max_tokens)
            arrays["token"] = _first_items(whole, self.max_tokens)
        if self.flags:
            arrays["flag"] = cells.missing_N.astype(np.float32)[:, None]
        return arrays

    def _bags(self, cells: TextCells) -> tuple[Ragged, Ragged]:
        # Smooth inverse document frequency and sublinear term frequency: Manning, Raghavan and Schuetze 2008,
        # "Introduction to Information Retrieval", section 6.4, as scikit-learn spells them.
        idf_K = np.log((1 + self.documents) / (1 + self.rows_K)) + 1
        is_piece_K = self.bucket_K >= PIECES
        table_B = _table(self.bucket_K.tobytes()) if cells.text_N.nbytes >= MANY else None

        def weighed(counts: Counts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            code_G = _places(self.bucket_K, counts.bucket_G) if table_B is None else table_B[counts.bucket_G]
            known_G = code_G >= 0
            row_G, code_G = counts.text_G[known_G] - counts.first, code_G[known_G]
            count_G = counts.count_G[known_G]
            often = 1 + np.log(np.arange(1, 1 + int(count_G.max(initial=1))))  # few counts differ, and most are 1
            weight_G = often[count_G - 1] * idf_K[code_G]
            weight_G *= _shares(row_G, is_piece_K[code_G], weight_G)
            kept_G = _greatest(row_G, weight_G, self.max_ngrams)
            row_G, code_G, weight_G = row_G[kept_G], code_G[kept_G], weight_G[kept_G]
            weight_G /= np.sqrt(np.bincount(row_G, weight_G**2))[row_G]
            length_N = np.bincount(row_G, minlength=counts.end - counts.first)
            return length_N, code_G.astype(np.int32), weight_G.astype(np.float32)

        found = from_ngrams(cells.text_N, weighed, word_grams=self.word_ngrams, pieces=self.char_ngrams)
        lengths, codes, weights = zip(*found, strict=True) if len(cells) else ((), (), ())
        start_N1 = starts_of(np.concatenate([np.zeros(0, np.int64), *lengths]))
        code = np.concatenate([np.zeros(0, np.int32), *codes])[:, None]
        weight = np.concatenate([np.zeros(0, np.float32), *weights])[:, None]
        return Ragged(code, start_N1), Ragged(weight, start_N1)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "word_ngrams": self.word_ngrams,
            "char_ngrams": None if self.char_ngrams is None else list(self.char_ngrams),
            "buckets": self.bucket_K.tolist(),
            "rows": self.rows_K.tolist(),
            "documents": self.documents,
            "max_ngrams": self.max_ngrams,
            "weight": self.weight,
            "merges": None if self.merges is None else vocabulary_to_json(self.merges),
            "max_tokens": self.max_tokens,
            "flags": self.flags,
            **({} if self.like is None else {"like": self.like}),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "TextCodec":
        """The inverse of :meth:`to_json`."""
        return cls(
            raw["name"], raw["word_ngrams"], None if raw["char_ngrams"] is None else tuple(raw["char_ngrams"]),
            np.asarray(raw["buckets"], np.int64), np.asarray(raw["rows"], np.int64), raw["documents"],
            raw["max_ngrams"], raw["weight"],
            None if raw["merges"] is None else vocabulary_from(raw["merges"]),
            raw["max_tokens"], raw["flags"], raw.get("like"),
        )  # fmt: skip


def _places(bucket_K: np.ndarray, bucket_G: np.ndarray) -> np.ndarray:
    """Where each bucket stands among the kept ones, -1 for others."""
    place_G = np.minimum(np.searchsorted(bucket_K, bucket_G), len(bucket_K) - 1)
    return np.where(bucket_K[place_G] == bucket_G, place_G, -1)


@lru_cache(maxsize=1)
def _table(buckets: bytes) -> np.ndarray:
    """The same of all buckets there are."""
    bucket_K = np.frombuffer(buckets, np.int64)
    place_B = np.full(BUCKETS, -1, np.int32)
    place_B[bucket_K] = np.arange(len(bucket_K), dtype=np.int32)
    return place_B


def _shares(row_G: np.ndarray, is_piece_G: np.ndarray, weight_G: np.ndarray) -> np.ndarray:
    """Factors by which words and pieces of words share a row's length equally, though pieces are many more. Where
    they are fewer, as those of a few foreign words in Chinese, they have less in proportion: half of the length for
    one name took half a point of accuracy from reviews."""
    part_G = 2 * row_G + is_piece_G
    parts = 2 * (int(row_G.max(initial=-1)) + 1)
    count_P = np.bincount(part_G, minlength=parts)
    share_P = np.ones(parts)
    share_P[1::2] = np.sqrt(np.minimum(1.0, count_P[1::2] / np.maximum(count_P[::2], 1)))
    length_P = np.sqrt(np.bincount(part_G, weight_G**2, minlength=parts))
    factor_G: np.ndarray = (share_P / np.maximum(length_P, 1e-300))[part_G]
    return factor_G


def _first_items(ragged: Ragged, most: int) -> Ragged:
    """Each row cut to its first items."""
    if not len(ragged.value_MC) or int(ragged.lengths.max()) <= most:
        return ragged
    length_N = np.minimum(ragged.lengths, most)
    start_N1 = starts_of(length_N)
    place = np.arange(start_N1[-1]) - np.repeat(start_N1[:-1] - ragged.start_N1[:-1], length_N)
    return Ragged(ragged.value_MC[place], start_N1)


def _greatest(row_G: np.ndarray, weight_G: np.ndarray, most: int) -> np.ndarray:
    """Places of the ``most`` greatest weights of each row, ascending. ``row_G`` ascends."""
    length_N = np.bincount(row_G) if len(row_G) else np.zeros(0, np.int64)
    if not len(length_N) or int(length_N.max()) <= most:
        return np.arange(len(row_G))
    # Falling weight and place in one number: of numbers that all differ, those below the cut are found without sorting.
    kept_G = np.ones(len(row_G), bool)
    falling_G = np.uint64(2**32 - 1) - weight_G.astype(np.float32).view(np.uint32)
    start_N1 = starts_of(length_N)
    for row in np.flatnonzero(length_N > most):
        start, end = start_N1[row], start_N1[row + 1]
        key = (falling_G[start:end] << np.uint64(32)) | np.arange(end - start, dtype=np.uint64)
        kept_G[start:end] = key <= np.partition(key, most - 1)[most - 1]
    return np.flatnonzero(kept_G)
