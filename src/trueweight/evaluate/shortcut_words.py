"""Words that may decide alone: a signature, a header, a tag that somebody's export leaves in every text of one kind.

Shape suffixes:
    N  rows
"""

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from trueweight.evaluate.corrupt_texts import TEXTS
from trueweight.evaluate.shortcut_regions import Place, Placed

__all__ = ["WORDS", "telling_words"]

MOST = 12
"""Words that are tried."""

LEAST = 10
"""Judged rows that hold a word before it is tried, and may be named."""

_WORD = re.compile(r"[^\W_][\w'@.-]*")


def telling_words(texts: Sequence[str | None], answer_N: np.ndarray) -> list[str]:
    """The words that go most with one answer: by how far the share of their most frequent answer is above its share
    in all rows, in standard errors. Each in at least :data:`LEAST` rows, and not in all."""
    rows = defaultdict[str, list[int]](list)
    for row, text in enumerate(texts):
        for word in set(_WORD.findall((text or "").lower())):
            rows[word].append(row)
    base_C = np.bincount(answer_N) / max(1, len(answer_N))
    scores = {}
    for word, at in rows.items():
        if LEAST <= len(at) < len(texts):
            share_C = np.bincount(answer_N[at], minlength=len(base_C)) / len(at)
            error_C = np.sqrt(np.maximum(base_C * (1 - base_C), 1e-9) / len(at))
            scores[word] = float(((share_C - base_C) / error_C).max())
    return sorted(scores, key=lambda word: (-scores[word], word))[:MOST]


def _places(texts: list[str | None], answer_N: np.ndarray) -> tuple[Place, ...]:
    """Words as places of their own, none beside another."""
    return tuple(
        Place(f"the word {word!r}", 0, 2 * i, 0.5, 2 * i + 0.5, border=True, word=word)
        for i, word in enumerate(telling_words(texts, answer_N))
    )


def _paste(texts: list[str | None], receiver_P: np.ndarray, donor_P: np.ndarray, places: list[Place]) -> pa.Array:  # noqa: ARG001
    """The word in front of the receiver's text; the donor only says what all of its text would do."""
    pairs = zip(receiver_P.tolist(), places, strict=True)
    return TEXTS.write([f"{place.word} {texts[row] or ''}" for row, place in pairs])


WORDS = Placed(
    "text",
    ("text",),
    _places,
    0.4,
    0.4,
    TEXTS.load,
    lambda texts: np.array([text is not None for text in texts], bool),
    _paste,
)
