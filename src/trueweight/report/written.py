"""Texts that a model wrote, beside what it read and what is true."""

from collections.abc import Sequence
from dataclasses import dataclass

from trueweight.report.html import Html, el
from trueweight.report.numbers import short
from trueweight.report.words import Words

__all__ = ["WrittenRow", "written_parts"]

LONGEST = 600
"""Letters of a text that are shown."""


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """One answer."""

    target: str
    row: int
    read: tuple[tuple[str, str], ...]
    """Column and cell; of a language model the beginning that it was given."""
    truth: str | None
    """None where nobody knows it."""
    answer: str


def written_parts(rows: Sequence[WrittenRow], words: Words) -> list[Html]:
    """A table for each target."""
    found = []
    for target in dict.fromkeys(one.target for one in rows):
        mine = [one for one in rows if one.target == target]
        keys = ("th.row", "th.read", "th.truth", "th.answer")
        head = el("tr", *[el("th", words(key), scope="col") for key in keys])
        table = el("table", el("thead", head), el("tbody", *[_line(one, words) for one in mine]), class_="facts")
        found.append(el("div", el("h3", words("examples.written", target=short(target, 60))),
                        el("div", table, class_="scroll"), class_="example"))  # fmt: skip
    return found


def _line(one: WrittenRow, words: Words) -> Html:
    alone = len(one.read) == 1
    read = [el("p", short(cell if alone else f"{column}{words('colon')}{cell}", LONGEST)) for column, cell in one.read]
    truth = words("examples.unknown") if one.truth is None else short(one.truth, LONGEST)
    return el("tr", el("th", str(one.row), scope="row"), el("td", *read), el("td", truth),
              el("td", short(one.answer, LONGEST)))  # fmt: skip
