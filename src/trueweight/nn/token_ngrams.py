"""A small n-gram model over token numbers, for decoders that weigh how a language goes on. Without torch."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import log

__all__ = ["END", "Ngrams", "counted_ngrams"]

BEGIN, END = -1, -2
"""Before and behind every text; no token has these numbers."""

Grams = list[list[int]]
"""Each the tokens of an n-gram, then how often it occurs."""


def counted_ngrams(rows: Sequence[Sequence[int]], order: int, least: int) -> Grams:
    """Every run of 1 to ``order`` tokens that at least ``least`` rows hold: rarer ones would tell of single rows.

    Args:
        rows: Token numbers of each text, 0 or greater.
        order: Longest run.
        least: Rows.
    """
    count, holding = Counter[tuple[int, ...]](), Counter[tuple[int, ...]]()
    for tokens in rows:
        padded = (*[BEGIN] * (order - 1), *tokens, END)
        runs = [
            tuple(padded[stop - size : stop]) for stop in range(order, len(padded) + 1) for size in range(1, order + 1)
        ]
        count.update(runs)
        holding.update(set(runs))
    return [[*run, times] for run, times in sorted(count.items()) if holding[run] >= least]


class Ngrams:
    """Probability of a token behind others, from counts.

        P(w | c) = (count(c w) + kinds(c) * P(w | c')) / (count(c) + kinds(c))

    with c' the context without its first token, and 1 / (tokens + 1) behind the shortest (the end counts as one).
    Source: Witten and Bell 1991, "The zero-frequency problem", method C, interpolated as in Chen and Goodman 1999,
    section 2.4. What was left out because few rows hold it is as if it had never been seen.

    Args:
        grams: From :func:`counted_ngrams`.
        vocabulary: How many tokens there are.
    """

    def __init__(self, grams: Sequence[Sequence[int]], vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.count: Mapping[tuple[int, ...], int] = {tuple(gram[:-1]): gram[-1] for gram in grams}
        self.order = max((len(run) for run in self.count), default=1)
        self._known: dict[tuple[int, ...], float] = {}

    @cached_property
    def _behind(self) -> Mapping[tuple[int, ...], tuple[int, int]]:
        """How often each context is followed by something that was kept, and by how many different tokens."""
        times, kinds = Counter[tuple[int, ...]](), Counter[tuple[int, ...]]()
        for run, count in self.count.items():
            times[run[:-1]] += count
            kinds[run[:-1]] += 1
        return {context: (times[context], kinds[context]) for context in times}

    def probability(self, context: tuple[int, ...], token: int) -> float:
        """Of ``token`` (or :data:`END`) behind ``context``, of which the last ``order - 1`` tokens are looked at."""
        context = context[len(context) - self.order + 1 :] if len(context) >= self.order else context
        run = (*context, token)
        if (known := self._known.get(run)) is not None:
            return known
        shorter = self.probability(context[1:], token) if context else 1 / (self.vocabulary + 1)
        times, kinds = self._behind.get(context, (0, 0))
        found = (self.count.get(run, 0) + kinds * shorter) / (times + kinds) if kinds else shorter
        self._known[run] = found
        return found

    def logp(self, said: Sequence[int], token: int) -> float:
        """Natural logarithm of the probability that ``token`` follows a text that begins with ``said``."""
        context = (*[BEGIN] * (self.order - 1), *said)[-(self.order - 1) :] if self.order > 1 else ()
        return log(self.probability(tuple(context), token))
