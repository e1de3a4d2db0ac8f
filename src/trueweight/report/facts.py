"""A number that opens to how it was measured: a button, and a box that the browser itself shows and hides."""

from collections.abc import Callable, Iterator

from trueweight.evidence.record import NOT_AGAIN, Entry, Method
from trueweight.report.html import Child, Html, el, join
from trueweight.report.numbers import ends, number, short
from trueweight.report.words import Words

__all__ = ["Facts"]


class Facts:
    """Hands out buttons and remembers which facts were opened to.

    Args:
        words: Of the report's language.
        command: What measures a fact again.
    """

    def __init__(self, words: Words, command: Callable[[Entry], str]) -> None:
        self._words = words
        self._again = command
        self._used: dict[int, tuple[int, Entry]] = {}

    def button(self, entry: Entry, text: str | None = None) -> Html:
        """The number, as something to press."""
        place, _ = self._used.setdefault(id(entry), (len(self._used) + 1, entry))
        said = number(entry) if text is None else text
        return el(
            "button", said, type="button", class_="num", popovertarget=f"f{place}",
            aria_label=f"{said}: {self._words.metric(entry.metric)}",
        )  # fmt: skip

    def boxes(self) -> Html:
        """What the buttons open."""
        return join([self._box(place, entry) for place, entry in self._used.values()])

    def _box(self, place: int, entry: Entry) -> Html:
        rows = join([el("div", el("dt", self._words(f"f.{key}")), el("dd", told)) for key, told in self._told(entry)])
        title = self._words.metric(entry.metric) + (f" · {entry.target}" if entry.target else "")
        return el(
            "div", el("p", title, class_="h"), el("dl", rows), id=f"f{place}", popover=True, class_="fact",
            role="dialog", aria_label=title,
        )  # fmt: skip

    def _told(self, entry: Entry) -> Iterator[tuple[str, Child]]:
        words = self._words
        yield (
            "value",
            join(number(entry), f" {words.unit(entry.unit)}" if entry.unit and entry.unit != "flag" else None),
        )
        if entry.slice:
            yield "slice", entry.slice
        yield "interval", self._interval(entry)
        yield "rows", f"{entry.n:,}" if entry.n is not None else words("f.none.sampled")
        yield "status", words(f"status.{entry.status}") + (words("colon") + entry.reason if entry.reason else "")
        if entry.method:
            yield "method", self._method(entry.method)
        if entry.data:
            role = self._role(entry.data.role)
            yield "data", join(role, " ", el("code", entry.data.digest[:23]))
        if entry.cost:
            yield "cost", words("seconds", value=f"{sum(entry.cost.values()):.3g}")
        yield "command", self._command(entry)
        if entry.depends_on:
            yield "rests", join([el("code", source) for source in entry.depends_on[:6]])
        yield "id", el("code", entry.id)
        if entry.produced_at:
            yield "at", entry.produced_at

    def _role(self, role: str) -> str:
        known = ("test", "validation", "calibration", "train", "other", "all")
        return self._words(f"role.{role}") if role in known else role

    def _interval(self, entry: Entry) -> str:
        found = ends(entry)
        if found is None or entry.interval is None:
            return self._words("f.none" if entry.n is None else "f.none.sampled")
        level, method = f"{100 * entry.interval.level:g} %", self._words.told(entry.interval.method)
        return self._words("f.interval.is", low=found[0], high=found[1], level=level, method=method)

    def _command(self, entry: Entry) -> Child:
        if entry.axis in NOT_AGAIN:
            return self._words("f.not_again")
        return el("code", self._again(entry))

    def _method(self, found: Method) -> str:
        told = {key: self._words.told(v) if isinstance(v, str) else str(v) for key, v in found.parameters.items()}
        options = [f"{key}={short(value, 60)}" for key, value in told.items()]
        seed = [] if found.seed is None else [f"seed={found.seed}"]
        name = f"{self._words.told(found.name)} {found.version}".strip()
        return name + (f" ({', '.join([*options, *seed])})" if options or seed else "")
