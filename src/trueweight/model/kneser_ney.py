"""An n-gram model of bytes, for language models to be held against: counted in seconds, hard to beat on little text.

Source: Chen and Goodman 1999, "An empirical study of smoothing techniques for language modeling", section 3 (modified
Kneser-Ney, interpolated), over bytes.

Shape suffixes:
    M  places of all texts    G  distinct n-grams    H  distinct contexts
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["ORDER", "KneserNey"]

ORDER = 5
_BEGIN, _END, _SYMBOLS = 256, 257, 258


@dataclass(frozen=True, slots=True)
class _Order:
    """Counts of all n-grams of one length; those of shorter ones say before how many different bytes they come."""

    gram_G: np.ndarray
    """uint64, ascending: ``context * 258 + byte``."""
    count_G: np.ndarray
    context_H: np.ndarray
    """uint64, ascending."""
    total_H: np.ndarray
    spared_H: np.ndarray
    """What discounts take from a context's n-grams, which the shorter context gets."""
    discounts: np.ndarray
    """Of counts 0, 1, 2 and more."""

    @classmethod
    def of(cls, gram_G: np.ndarray, count_G: np.ndarray) -> "_Order":
        discounts = _discounts(count_G)
        context_G = gram_G // np.uint64(_SYMBOLS)
        context_H, first = np.unique(context_G, return_index=True)
        total_H = np.add.reduceat(count_G, first)
        spared_H = np.add.reduceat(discounts[np.minimum(count_G, 3)], first)
        return cls(gram_G, count_G, context_H, total_H, spared_H, discounts)

    def share(self, gram_M: np.ndarray, shorter_M: np.ndarray) -> np.ndarray:
        """Probability of the last byte of each n-gram, given that of the shorter context."""
        count_M = _looked_up(self.gram_G, self.count_G, gram_M)
        context_M = gram_M // np.uint64(_SYMBOLS)
        total_M = _looked_up(self.context_H, self.total_H, context_M)
        spared_M = _looked_up(self.context_H, self.spared_H, context_M)
        kept_M = count_M - self.discounts[np.minimum(count_M, 3).astype(np.int64)]
        mixed_M = (kept_M + spared_M * shorter_M) / np.maximum(total_M, 1)
        return np.where(total_M > 0, mixed_M, shorter_M)


def _discounts(count_G: np.ndarray) -> np.ndarray:
    """Chen and Goodman's equation 17; where a count of counts is missing, nothing is taken."""
    of = [int((count_G == count).sum()) for count in range(5)]
    if not of[1] or not of[2]:
        return np.array([0.0, 0.5, 0.5, 0.5])
    base = of[1] / (of[1] + 2 * of[2])
    found = [count - (count + 1) * base * of[count + 1] / of[count] if of[count] else 0.5 for count in (1, 2, 3)]
    return np.array([0.0, *(float(np.clip(d, 0.05, count)) for count, d in enumerate(found, 1))])


def _looked_up(key_G: np.ndarray, value_G: np.ndarray, asked_M: np.ndarray) -> np.ndarray:
    place_M = np.minimum(np.searchsorted(key_G, asked_M), len(key_G) - 1)
    return np.where(key_G[place_M] == asked_M, value_G[place_M], 0)


@dataclass(frozen=True, slots=True)
class KneserNey:
    """The model, from its shortest n-grams to its longest."""

    orders: tuple[_Order, ...]

    @classmethod
    def fit(cls, texts: Sequence[str | bytes], order: int = ORDER) -> "KneserNey":
        """Count.

        Args:
            texts: To learn from, at least one.
            order: Bytes of the longest n-gram, at most 7.
        """
        symbol, _ = _symbols(texts, order)
        gram_G, count_G = np.unique(_grams(symbol, order), return_counts=True)
        ends_G = gram_G % np.uint64(_SYMBOLS) != _BEGIN
        return cls.of_counts(gram_G[ends_G], count_G[ends_G], order)

    @classmethod
    def of_counts(cls, gram_G: np.ndarray, count_G: np.ndarray, order: int) -> "KneserNey":
        """From the longest n-grams, (G,) uint64 ascending, and how often each was seen: shorter ones follow."""
        found = [_Order.of(gram_G, count_G)]
        for length in range(order - 1, 0, -1):
            shorter_G = gram_G % np.uint64(_SYMBOLS**length)
            gram_G, count_G = np.unique(shorter_G, return_counts=True)
            found.append(_Order.of(gram_G, count_G))
        return cls(tuple(reversed(found)))

    @property
    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """The longest n-grams, (G,) uint64, and how often each was seen: all that :meth:`of_counts` needs."""
        return self.orders[-1].gram_G, self.orders[-1].count_G

    def logp(self, texts: Sequence[str | bytes], ended_N: np.ndarray | None = None) -> np.ndarray:
        """Log probability of each text and its end, (N,) float64.

        Args:
            texts: To score.
            ended_N: bool, whether the end of each belongs to it; None for all.
        """
        if not len(texts):
            return np.zeros(0)
        order = len(self.orders)
        symbol, row = _symbols(texts, order)
        whole = _grams(symbol, order)
        said = symbol[order - 1 :] != _BEGIN
        if ended_N is not None:
            said &= (symbol[order - 1 :] != _END) | ended_N[row[order - 1 :]]
        whole, row = whole[said], row[order - 1 :][said]
        return np.bincount(row, np.log(self._share(whole)), minlength=len(texts))

    def written(self, begin: bytes, most: int) -> bytes:
        """What follows ``begin`` if the likeliest byte is taken each time, at most ``most`` bytes."""
        order, found = len(self.orders), bytearray()
        context = [*[_BEGIN] * (order - 1), *begin][len(begin) :]
        bytes_S = np.array([*range(_BEGIN), _END], np.uint64)
        while len(found) < most:
            number = 0
            for symbol in context:
                number = number * _SYMBOLS + symbol
            best = int(bytes_S[int(self._share(np.uint64(number * _SYMBOLS) + bytes_S).argmax())])
            if best == _END:
                break
            found.append(best)
            context = [*context[1:], best]
        return bytes(found)

    def _share(self, gram_M: np.ndarray) -> np.ndarray:
        """Probability of the last symbol of each n-gram of the greatest length."""
        share_M = np.full(len(gram_M), 1 / (_SYMBOLS - 1))  # BEGIN is never written
        for length, one in enumerate(self.orders, 1):
            share_M = one.share(gram_M % np.uint64(_SYMBOLS**length), share_M)
        return share_M


def _symbols(texts: Sequence[str | bytes], order: int) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of all texts, each with beginnings before it and an end behind it; and the text of each."""
    parts, rows = [], []
    for row, text in enumerate(texts):
        content = np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8).astype(np.uint64)
        begin = np.full(order - 1, _BEGIN, np.uint64)
        parts.append(np.concatenate([begin, content, np.array([_END], np.uint64)]))
        rows.append(np.full(len(parts[-1]), row))
    return np.concatenate(parts), np.concatenate(rows)


def _grams(symbol: np.ndarray, length: int) -> np.ndarray:
    """Every ``length`` symbols in a row as one number."""
    found = np.zeros(len(symbol) - length + 1, np.uint64)
    for place in range(length):
        found = found * np.uint64(_SYMBOLS) + symbol[place : place + len(found)]
    return found
