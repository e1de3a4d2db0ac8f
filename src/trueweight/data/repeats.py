"""How long a run of tokens must be for texts not to hold it twice."""

from collections.abc import Sequence
from itertools import pairwise

from trueweight.data.ragged import Ragged

__all__ = ["unrepeated"]

LONGEST = 16
"""Tokens of the longest run that is looked for."""

SHARE = 0.01
"""Of texts that may hold a run twice all the same."""

ROWS = 1024
"""Texts that are looked at."""


def unrepeated(texts: Ragged, most: int) -> int:
    """The least number of tokens, from 2 on, of which at most one text in a hundred holds a run twice; 0 where even
    long runs often come again, as in tables and verses.

    Args:
        texts: Tokens of each.
        most: Tokens of each that are looked at.
    """
    start = texts.start_N1[: ROWS + 1].tolist()
    token = texts.value_MC[: start[-1], 0].tolist()
    each = [token[a : min(b, a + most)] for a, b in pairwise(start)]
    repeating = each
    for size in range(2, LONGEST + 1):
        repeating = [tokens for tokens in repeating if _repeats(tokens, size)]  # what holds no run holds no longer one
        if len(repeating) <= SHARE * len(each):
            return size
    return 0


def _repeats(tokens: Sequence[int], size: int) -> bool:
    runs = [tuple(tokens[place : place + size]) for place in range(len(tokens) - size + 1)]
    return len(set(runs)) < len(runs)
