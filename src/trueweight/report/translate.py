"""Finds the Chinese of a sentence that a check wrote in English, by its template; names and numbers are taken over."""

import re
from collections.abc import Mapping, Sequence
from functools import cache

from trueweight.report.phrases_zh import PHRASES
from trueweight.report.sentences_zh import SENTENCES

__all__ = ["in_chinese", "templates"]

_GAP = re.compile(r"\{(\w+)\}")

DEEPEST = 5
"""Sentences within sentences: names that look like templates must not keep us for ever."""


@cache
def templates() -> Mapping[str, str]:
    """English to Chinese."""
    return {**PHRASES, **SENTENCES}


@cache
def _patterns() -> Sequence[tuple[re.Pattern[str], str]]:
    """The most particular first: the more of its letters are given, the surer is a match."""
    order = sorted(templates(), key=lambda text: -len(_GAP.sub("", text)))
    return [(re.compile(_pattern(text), re.DOTALL), templates()[text]) for text in order]


def _pattern(template: str) -> str:
    parts = _GAP.split(template)
    return "".join(f"(?P<{part}>.*?)" if place % 2 else re.escape(part) for place, part in enumerate(parts))


def in_chinese(text: str, depth: int = 0) -> str | None:
    """A sentence in Chinese; None where no template fits.

    Args:
        text: As the evidence has it.
        depth: Of a piece within another sentence.
    """
    line = " ".join(text.split())
    if line in templates():
        return templates()[line]
    if depth >= DEEPEST or " " not in line:
        return None
    for pattern, chinese in _patterns():
        if (found := pattern.fullmatch(line)) is not None and found.groupdict():
            pieces = found.groupdict()
            return chinese.format(**{key: in_chinese(piece, depth + 1) or piece for key, piece in pieces.items()})
    if "; " in line:
        pieces_told = [in_chinese(piece, depth + 1) for piece in line.split("; ")]
        if all(pieces_told):
            return "；".join(piece or "" for piece in pieces_told)
    return None
