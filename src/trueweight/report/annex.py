"""A map from the parts of Annex IV of Regulation (EU) 2024/1689 to what the evidence holds and a person must write.

A map and no judgement: it says what is here and what is not, never that it suffices.
"""

from dataclasses import dataclass

from trueweight.report.answers import Asked
from trueweight.report.findings import unwritten
from trueweight.report.html import Child, Html, el, join
from trueweight.report.sections import section

__all__ = ["PARTS", "annex_markdown", "annex_section"]


TOLD_OTHERWISE = ("1", "2a", "2d", "2h", "4", "6")
"""Parts of which a model that was trained elsewhere has something else."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part, and the sections of the page that hold something for it."""

    key: str
    places: tuple[str, ...] = ()


PARTS = (
    Part("1", ("made", "columns")), Part("2a", ("fit", "cost")), Part("2d", ("columns", "honesty")), Part("2e"),
    Part("2g", ("quality", "comparison", "slices", "fairness", "robustness")), Part("2h", ("made",)),
    Part("3", ("quality", "slices", "drift", "later")), Part("4", ("quality", "comparison")), Part("5", ("answers",)),
    Part("6", ("later",)), Part("7"), Part("8"), Part("9", ("later",)),
)  # fmt: skip


def annex_section(asked: Asked) -> Html:
    """The map as a table."""
    words = asked.words
    head = el("tr", *[el("th", words(f"th.{key}"), scope="col") for key in ("part", "found", "write")])
    lines = [
        el("tr", el("th", words(f"annex.{part.key}"), scope="row"),
           el("td", words(_found(asked, part)), _places(asked, part)),
           el("td", words(f"annex.{part.key}.write"), _own(asked) if part.key == "1" else None))
        for part in PARTS
    ]  # fmt: skip
    table = el("table", el("thead", head), el("tbody", *lines), class_="annex")
    return section("annex", words("annex"), words("annex.about"), el("div", table, class_="scroll"))


def _found(asked: Asked, part: Part) -> str:
    found = f"annex.{part.key}.found"
    return asked.subject.key(found) if part.key in TOLD_OTHERWISE else found


def _places(asked: Asked, part: Part) -> Child:
    words = asked.words
    names = {"made": words("made"), "columns": words("columns"), "later": words("later"), "answers": words("answers")}
    links = [
        el("a", names.get(place) or words.axis(place), href=f"#{place}")
        for place in part.places
        if place != "fit" or asked.subject.of_axis("fit")
    ]
    return el("span", *[join(link, " ") for link in links], class_="note") if links else None


def _own(asked: Asked) -> Child:
    missing = unwritten(asked.subject)
    return el("span", *[join(el("code", f"card.{name}"), " ") for name in missing], class_="note") if missing else None


def annex_markdown(asked: Asked) -> str:
    """The map as a list of what to write, for whoever writes it."""
    words = asked.words
    lines = [f"# {words('annex')}: {asked.subject.name}", "", words("annex.about"), ""]
    for part in PARTS:
        lines += [f"## {words(f'annex.{part.key}')}", ""]
        lines += [f"- {words('th.found')}: {words(_found(asked, part))}"]
        lines += [f"- [ ] {words('annex.write')}: {words(f'annex.{part.key}.write')}", ""]
        if part.key == "1":
            lines[-1:] = [*(f"- [ ] {words(f'owner.{name}')} (`card.{name}`)" for name in unwritten(asked.subject)), ""]
    return "\n".join(lines)
