"""Cells that hold more than a model reads, or nothing: counted and said when they are asked about."""

from collections.abc import Iterator

import numpy as np

from trueweight.data.cells import Cells, TextCells
from trueweight.data.gist import gist_of
from trueweight.data.signature import ColumnFacts
from trueweight.metrics.words import counted

__all__ = ["empty_words", "long_words"]

_MUCH_LONGER = 2.0
"""Times the usual end from which on sounds are told of where no text is written: one in a hundred is cut by design."""


def empty_words(rows: int) -> Iterator[str]:
    """How many rows of a model that writes hold nothing at all: it writes all the same."""
    if rows:
        count = counted(rows, "row")
        yield (
            f"there is nothing to read in {count} (empty, or a marker such as NA): what is written there rests on"
            " nothing"
        )


def long_words(facts: ColumnFacts, cells: Cells, *, writes: bool) -> Iterator[str]:
    """How many rows are read in part only.

    Where a text is written, each of them counts, for what was not read is missing in the answer. Classes are told by
    the beginning as well, and only sounds that are much longer than the usual are worth a word.

    Args:
        facts: Of a feature.
        cells: Of it.
        writes: Whether the model writes a text.
    """
    if facts.type == "audio":
        yield from _long_sounds(facts, cells, writes=writes)
    elif writes and facts.type == "text" and isinstance(cells, TextCells) and facts.learnt.get("merges") is not None:
        yield from _long_texts(facts, cells)


def _long_sounds(facts: ColumnFacts, cells: Cells, *, writes: bool) -> Iterator[str]:
    seconds_N, most = gist_of("audio", cells), float(facts.learnt["max_seconds"])
    least = most if writes else _MUCH_LONGER * most
    if seconds_N is None or not (longer := int((np.nan_to_num(seconds_N) > least).sum())):
        return
    told = f"{facts.name}: {counted(longer, 'row')} longer than {least:g} seconds, of which only"
    if writes:
        yield f"{told} the beginning was read: cut such sounds into pieces where it is quiet, and ask for each"
    else:
        yield f"{told} the first {most:g} seconds were heard"


def _long_texts(facts: ColumnFacts, cells: TextCells) -> Iterator[str]:
    from trueweight.data.bpe import framed_of, vocabulary_from

    most = int(facts.learnt["max_tokens"])
    # A token has a byte at least: shorter texts need not be read twice.
    texts = [text for text in cells.text_N.to_pylist() if len(text.encode()) > most]
    lengths = framed_of(texts, vocabulary_from(facts.learnt["merges"]), None).lengths if texts else np.zeros(0)
    if longer := int((lengths > most).sum()):
        told = (
            f"{facts.name}: {counted(longer, 'row')} longer than {most:,} tokens, of which only the beginning was read:"
        )
        yield f"{told} ask in shorter pieces, or train with a larger features.{facts.name}.max_tokens"
