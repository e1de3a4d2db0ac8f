"""What a delimited text file looks like: its header, its delimiter, where its rows begin, which lines are broken."""

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from trueweight.errors import DataError

__all__ = ["DELIMITERS", "Layout", "first_lines", "layout_of"]

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
"""What is tried, and what people call it."""

# Ties go to what seldom stands in every row by accident; commas do, in decimals and in texts.
_RARITY = ("\t", ";", "|", ",")

_RECORDS = 300
_SEARCHED = 20  # records looked for in a file, which costs a pass over it each
_EDGES = (b"", b"\n", b"\r")


@dataclass(frozen=True, slots=True)
class Layout:
    """How to cut a text file into cells."""

    names: tuple[str, ...]
    """As they stand in the header, quotes undone, decoded by ``encoding``."""
    delimiter: str
    start: int
    """Byte at which the rows begin, after the header's line break."""
    encoding: str
    """Of the header: utf-8, unless only Latin-1 can read it."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Fit:
    columns: int
    share: float
    """Of the sampled rows, with as many cells as the header."""
    usual: int
    """What most sampled rows have."""

    @property
    def score(self) -> float:
        return self.share**2 * math.log2(self.columns)


def layout_of(name: str, head: bytes, delimiter: str | None, likely: str | None = None) -> Layout:
    """Find header and delimiter in the first bytes of a file.

    Args:
        name: Of the file, for messages.
        head: First bytes, cut anywhere.
        delimiter: What the user says it is; checked against what would fit. None finds it.
        likely: What the file's name suggests; taken whenever it splits the header.

    Raises:
        DataError: There is no header, or another delimiter than the user's would fit.
    """
    offset = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    text = head[offset:].decode("latin-1")  # one character a byte, so that positions are byte positions
    if hint := re.match(r'"?sep=([,;|\t])"?\r?\n', text):  # what Excel writes and reads
        delimiter = delimiter or hint[1]
        offset += hint.end()
        text = text[hint.end() :]
    if not text.strip():
        raise DataError("the file is empty", where=name, hint="it should begin with a line of column names")
    chosen = _checked(name, text, delimiter) if delimiter else _found(text, likely)
    cells, used = _header(text, chosen)
    names, encoding = _decoded(cells)
    notes: list[str] = []
    if all(re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?\s*", cell) for cell in names):
        notes.append("every column name is a number: is the line of column names missing?")
    elif _looks_like_a_row(text, chosen):
        notes.append("every column name also occurs as a cell below it: is the line of column names missing?")
    return Layout(tuple(names), chosen, offset + used, encoding, tuple(notes))


def _header(text: str, delimiter: str) -> tuple[list[str], int]:
    """Cells of the first record that is not blank, and how many characters it ends after."""
    used = 0

    def counted() -> Iterator[str]:
        nonlocal used
        for line in io.StringIO(text, newline=""):
            used += len(line)
            yield line

    try:
        for record in csv.reader(counted(), delimiter=delimiter):
            if record:
                return record, used
    except csv.Error:
        hint = "is the line of column names missing, or a quote in it never closed?"
        raise DataError(f"a column name is longer than {csv.field_size_limit():,} characters", hint=hint) from None
    raise AssertionError("the caller knows that some line is not blank")


def _looks_like_a_row(text: str, delimiter: str) -> bool:
    header, *rows = _sample(text, delimiter) or [[]]
    return bool(header) and all(
        cell in {row[place] for row in rows if place < len(row)} for place, cell in enumerate(header)
    )


def _decoded(cells: Sequence[str]) -> tuple[list[str], str]:
    raw = [cell.encode("latin-1") for cell in cells]
    try:
        return [cell.decode("utf-8") for cell in raw], "utf-8"
    except UnicodeDecodeError:
        return list(cells), "latin-1"


def _sample(text: str, delimiter: str) -> list[list[str]]:
    """The first records that are not blank."""
    records: list[list[str]] = []
    # A cell beyond the csv module's limit ends the sample: what came before it is enough.
    with suppress(csv.Error):
        records.extend(filter(None, islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), _RECORDS)))
    return records


def _fit(text: str, delimiter: str) -> _Fit:
    records = [len(record) for record in _sample(text, delimiter)]
    # The last record may be cut by the end of the sample.
    rows = records[1:-1] if len(records) > 2 else records[1:]
    columns = records[0] if records else 1
    share = sum(count == columns for count in rows) / len(rows) if rows else 1.0
    return _Fit(columns, share, max(set(rows), key=rows.count) if rows else columns)


def _found(text: str, likely: str | None) -> str:
    fits = {delimiter: _fit(text, delimiter) for delimiter in _RARITY}
    if likely and fits[likely].columns > 1:
        return likely
    best = max(fits, key=lambda delimiter: fits[delimiter].score)
    if fits[best].columns > 1 and fits[best].share > 0:
        return best
    splitting = [delimiter for delimiter, fit in fits.items() if fit.columns > 1 and fit.usual > 1]
    if splitting:  # header and rows disagree about their number: the reader will say so
        return max(splitting, key=lambda delimiter: fits[delimiter].usual)
    # One column. Any delimiter will do that does not occur in its texts; a comma if none does.
    return max(reversed(_RARITY), key=lambda delimiter: (fits[delimiter].columns == 1, fits[delimiter].share))


def _checked(name: str, text: str, delimiter: str) -> str:
    given = _fit(text, delimiter)
    fits = {other: _fit(text, other) for other in DELIMITERS if other != delimiter}
    better = max(fits, key=lambda other: fits[other].score)
    fit = fits[better]
    if (given.columns == 1 or given.share < 0.5) and fit.columns > 1 and fit.share >= 0.9:
        split = "does not split the header" if given.columns == 1 else "fits fewer than half of the rows"
        word = DELIMITERS[better]
        hint = f"a {word} gives {fit.columns} columns in every row: set data.delimiter to {better!r}, or leave it out"
        raise DataError(f"delimiter {delimiter!r} {split}", where=name, hint=hint)
    return delimiter


def first_lines(content: bytes, texts: Sequence[str], limit: int) -> list[int]:
    """Line numbers (from 1) at which the first of these broken records begin, ascending, at most ``limit``."""
    places = {place for text in texts[:_SEARCHED] if (place := _place(content, text.encode())) is not None}
    return [content.count(b"\n", 0, place) + 1 for place in sorted(places)[:limit]]


def _place(content: bytes, record: bytes) -> int | None:
    """Where a record begins that fills whole lines."""
    place = content.find(record)
    while place >= 0:
        before, after = content[max(place - 1, 0) : place], content[place + len(record) : place + len(record) + 1]
        if before in _EDGES and after in _EDGES:
            return place
        place = content.find(record, place + 1)
    return None
