"""How often each class was taken for which, as a table whose cells are tinted by their share of the row."""

from trueweight.evidence.record import Entry
from trueweight.report.answers import Asked
from trueweight.report.html import Html, el
from trueweight.report.numbers import short, value_of

__all__ = ["confusion_tables"]

BETWEEN = " answered as "


def confusion_tables(asked: Asked) -> list[Html]:
    """One for each target with classes that has counts."""
    cells = [e for e in asked.subject.evidence.select(axis="confusion") if value_of(e) is not None]
    targets = dict.fromkeys(e.target for e in cells)
    return [_table(asked, [e for e in cells if e.target == target]) for target in targets]


def _table(asked: Asked, cells: list[Entry]) -> Html:
    by_pair = {_pair(e): e for e in cells}
    actual = list(dict.fromkeys(true for true, _ in by_pair))
    answered = list(dict.fromkeys(answer for _, answer in by_pair))
    head = el("tr", el("td"), *[el("th", el("span", short(name, 24)), scope="col") for name in answered])
    lines = []
    for true in actual:
        row = [by_pair.get((true, answer)) for answer in answered]
        total = sum(value_of(e) or 0.0 for e in row if e) or 1.0
        found = [_cell(asked, e, (value_of(e) or 0.0) / total if e else 0.0) for e in row]
        lines.append(el("tr", el("th", short(true, 24), scope="row"), *found))
    many = " many" if len(answered) > 6 else ""
    table = el("table", el("thead", head), el("tbody", *lines), class_=f"confusion{many}")
    return el("div", table, class_="scroll")


def _pair(entry: Entry) -> tuple[str, str]:
    true, _, answer = entry.metric.partition(BETWEEN)
    return true, answer


def _cell(asked: Asked, entry: Entry | None, share: float) -> Html:
    if entry is None:
        return el("td")
    count = value_of(entry) or 0.0
    said = f"{count:,.0f}"
    strength = round(min(1.0, share) * 55)
    return el("td", asked.facts.button(entry, said) if count else said, style=f"--v:{strength}%")
