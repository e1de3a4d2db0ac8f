"""Numbers of explained rows as facts, so that they open like all others: what, method, rows, interval, command."""

from dataclasses import dataclass, field
from typing import Any

from trueweight.evidence.record import Data, Entry, Interval, Method
from trueweight.explain.record import Attribution, Change, Curve, Explanation, Part, Proof
from trueweight.report.facts import Facts
from trueweight.report.html import Html
from trueweight.report.words import Words

__all__ = ["ExampleFacts", "place_name"]

LEVEL = 0.95
ERRORS = 2.0
"""Standard errors on each side that make an interval of this level."""


@dataclass(frozen=True, slots=True)
class ExampleFacts:
    """Hands out buttons for numbers of one explanation."""

    facts: Facts
    words: Words
    one: Explanation
    rows: int
    """Explained ones, the first of the source."""
    digest: str
    """Of the source's rows."""
    seed: int
    used: list[int] = field(default_factory=list)

    def answer(self, item: Attribution) -> Html:
        """The answer of a row."""
        said = f"{item.output} {_plain(item.answer)}".strip()
        return self._button(said, self._entry("answer", item.answer, item.row))

    def usual(self, item: Attribution) -> Html:
        """The answer where every part is replaced."""
        return self._button(_plain(item.baseline), self._entry("usual_answer", item.baseline, item.row))

    def share(self, item: Attribution, place: int) -> Html:
        """By how much one part moves the answer."""
        value, error = item.values[place], item.errors[place] if item.errors is not None else None
        ends = None if error is None else (value - ERRORS * error, value + ERRORS * error)
        name = place_name(item.parts[place], self.words)
        entry = self._entry(f"contribution[{name}]", value, item.row, ends, "standard error")
        return self._button(_signed(value), entry)

    def point(self, curve: Curve, place: int) -> Html:
        """One point of a curve."""
        ends = (curve.low[place], curve.high[place])
        name = f"dependence[{curve.column} = {curve.grid[place]}]"
        entry = self._entry(name, curve.mean[place], None, ends, "bootstrap", len(curve.rows) or None)
        return self._button(_plain(curve.mean[place]), entry)

    def change(self, change: Change) -> Html | None:
        """How far a change goes that turns an answer."""
        if change.distance is None:
            return None
        return self._button(f"{change.distance:.3g}", self._entry("distance", change.distance, change.row))

    def proof(self, proof: Proof) -> Html:
        """What a check of it found."""
        status: Any = {"passed": "measured"}.get(proof.status, proof.status)
        entry = self._entry(
            f"proof_{proof.name.replace(' ', '_')}", proof.value, None, proof.interval, "bootstrap", proof.n,
            status=status, reason=self.words.told(proof.reason) or proof.name,
        )  # fmt: skip
        name = self.words.proof(proof.name)
        return self._button(name if proof.value is None else f"{name} {_plain(proof.value)}", entry)

    def _entry(
        self, metric: str, value: float | None, row: int | None, ends: tuple[float, float] | None = None,
        how: str = "", n: int | None = 1, **more: Any,
    ) -> Entry:  # fmt: skip
        one = self.one
        self.used.append(1)
        part = None if row is None else self.words("examples.row", row=row)
        command = f"trueweight explain BUNDLE SOURCE --rows {self.rows} --method {one.method} --target {one.target}"
        return Entry(
            id="/".join(filter(None, ("explained", one.target, one.method, one.column, str(len(self.used))))),
            axis="explained", metric=metric, target=one.target, slice=part, value=value, n=n,
            interval=None if ends is None else Interval(*ends, LEVEL, how), data=Data(self.digest, "other"),
            method=Method(one.method, "1", dict(one.parameters), self.seed), reproduce=command, **more,
        )  # fmt: skip

    def _button(self, said: str, entry: Entry) -> Html:
        return self.facts.button(entry, said)


def place_name(part: Part, words: Words) -> str:
    """A part in words: a column, a word, a place of a picture, a span of a sound or a series."""
    match part.place:
        case (top, left, bottom, right):
            return words("examples.place", top=top, left=left, bottom=bottom, right=right)
        case (first, end):
            return words("examples.span", first=first, end=end)
        case (_,):
            return part.shown
        case _:
            return part.column


def _plain(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")
