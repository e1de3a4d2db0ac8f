"""Texts gone wrong: slips of the keyboard, capitals, look-alike characters, words left out.

Shape suffixes:
    N  rows
"""

import re

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, TextCells
from trueweight.data.signature import ColumnFacts
from trueweight.evaluate.corrupt import Family, Suite, missing_suite

__all__ = ["TEXTS", "mistyped", "without_words"]

_ALIKE = str.maketrans("oOlISsBgzZeacn", "0011558922coeu")
"""What scanned letters are read as."""

_WORD = re.compile(r"\S+")


def _load(cells: Cells, facts: ColumnFacts) -> list[str | None]:  # noqa: ARG001
    assert isinstance(cells, TextCells)
    return [None if gone else text for gone, text in zip(cells.missing_N, cells.text_N.to_pylist(), strict=True)]


def _write(texts: list[str | None]) -> pa.Array:
    return pa.array(texts, pa.large_string())


def mistyped(text: str, slips: int, rng: np.random.Generator) -> str:
    """A text with so many slips: two neighbours swapped, one character left out, or one typed twice.

    Args:
        text: At least two characters, else it is given back.
        slips: How many, at different places.
        rng: Where chance comes from.
    """
    if len(text) < 2:
        return text
    places = np.sort(rng.permutation(len(text) - 1)[:slips])
    parts, done = [], 0
    for place, kind in zip(places.tolist(), rng.integers(0, 3, len(places)).tolist(), strict=True):
        if place < done:  # the place before has swapped this character already
            continue
        here, following = text[place], text[place + 1]
        parts += [text[done:place], (following + here, "", here + here)[kind]]
        done = place + (2 if kind == 0 else 1)
    return "".join(parts) + text[done:]


def without_words(text: str, share: float, rng: np.random.Generator) -> str:
    """A text with this share of its words left out."""
    words = _WORD.findall(text)
    kept = rng.random(len(words)) >= share
    return " ".join(word for word, keep in zip(words, kept, strict=True) if keep)


def _typos(texts: list[str | None], strength: float, rng: np.random.Generator) -> pa.Array:
    def slip(text: str | None) -> str | None:
        return None if text is None else mistyped(text, int(rng.binomial(len(text), strength / 100)), rng)

    return _write([slip(text) for text in texts])


def _capitals(texts: list[str | None], strength: float, rng: np.random.Generator) -> pa.Array:
    def raised(text: str | None) -> str | None:
        return None if text is None else _WORD.sub(lambda m: m[0].upper() if rng.random() < share else m[0], text)

    share = strength / 100
    return _write([raised(text) for text in texts])


def _scanned(texts: list[str | None], strength: float, rng: np.random.Generator) -> pa.Array:
    def read(text: str | None) -> str | None:
        if text is None:
            return None
        places = np.flatnonzero(rng.random(len(text)) < strength / 100)
        letters = list(text)
        for place in places.tolist():
            letters[place] = letters[place].translate(_ALIKE)
        return "".join(letters)

    return _write([read(text) for text in texts])


def _fewer(texts: list[str | None], strength: float, rng: np.random.Generator) -> pa.Array:
    return _write([None if text is None else without_words(text, strength / 100, rng) for text in texts])


TEXTS = Family(
    "texts",
    ("text",),
    _load,
    _write,
    (
        Suite("typos", "{} typing slips per 100 characters", (1, 3, 10), _typos),
        Suite("capitals", "{} % of the words in capitals", (10, 50, 100), _capitals),
        Suite("scanned", "{} % of the characters as a scanner misreads them", (2, 10, 30), _scanned),
        Suite("words", "{} % of the words left out", (5, 20, 50), _fewer),
        missing_suite(_write),
    ),
)
