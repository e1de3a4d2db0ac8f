"""The first screen: what it does, the first number, six answers, what to mind, what is missing."""

from trueweight.data.signature import ColumnFacts
from trueweight.evidence.record import Entry
from trueweight.report.answers import Answer, Asked, answers, rival_name, telling
from trueweight.report.axis_status import AxisStatus, axis_statuses, counts
from trueweight.report.findings import findings, unwritten
from trueweight.report.html import Child, Html, el, join
from trueweight.report.numbers import is_share, number, short, spoken, value_of
from trueweight.report.plots import span_of, whisker

__all__ = ["first_screen"]

MOST_TARGETS = 3
MOST_FINDINGS = 4
MOST_SIGNS = 340
"""Of a finding: most are told whole."""

_SIGNS = {"good": "✓", "mind": "!", "bad": "✕", "open": "?"}


def first_screen(asked: Asked) -> Html:
    """Everything that can be read without scrolling on a desk, and in a minute on a phone."""
    return join(_head(asked), _six(asked), _strip(asked))


def _head(asked: Asked) -> Html:
    subject, words = asked.subject, asked.words
    targets = [
        join(el("b", short(f.name, 60)), f" ({words.type(f.type)}{_classes(f)})")
        for f in subject.targets()[:MOST_TARGETS]
    ]
    by = short(subject.elsewhere.by, 60) if subject.elsewhere else ""
    lead = words(
        subject.key("lead"), targets="\0", columns=words.counted(len(subject.signature.features()), "column"),
        rows=words.counted(subject.signature.rows, "row"), by=by,
    )  # fmt: skip
    before, _, after = lead.partition("\0")
    use = subject.spec.card.intended_use.strip()
    about = join(
        el("p", f"{words('kicker')} · {subject.created[:10]} · Trueweight {subject.trueweight}", class_="kicker"),
        el("h1", subject.name),
        el("p", before, _listed(targets, words("and"), words("comma")), after, class_="lead"),
        el("p", words("intended", use=short(use, 200)), class_="lead") if use else None,
    )
    scores = [_first_number(asked, f) for f in subject.targets()[:MOST_TARGETS]]
    return el("header", el("div", about, class_="about"), el("div", *scores, class_="scores"))


def _classes(facts: ColumnFacts) -> str:
    classes = facts.learnt.get("classes")
    if not classes:
        return ""
    shown = ", ".join(short(str(name), 24) for name in classes[:3])
    return f": {shown}" + (f", … {len(classes)}" if len(classes) > 3 else "")


def _listed(items: list[Html], last: str, between: str) -> Child:
    if len(items) < 2:
        return items
    return [[item, between] for item in items[:-2]] + [items[-2], last, items[-1]]


def _first_number(asked: Asked, facts: ColumnFacts) -> Html:
    words, entry = asked.words, telling(asked.subject, facts.name)
    if entry is None:
        return el("div", el("p", words("none"), class_="big"), el("p", words("none.more")), class_="score")
    value, low, high = spoken(entry)
    role = words(asked.subject.key(f"role.{asked.subject.role}")) if asked.subject.role in _ROLES else ""
    key = "right" if entry.metric == "accuracy" else "off" if entry.metric == "mae" else "score"
    said = words(key, value="\0", role=role, metric=words.metric(entry.metric))
    before, _, after = said.partition("\0")
    level = f"{100 * entry.interval.level:g} %" if entry.interval else ""
    sure = words("between", low=low, high=high, level=level) if low else words("no_interval")
    many = len(asked.subject.targets()) > 1
    return el(
        "div", el("p", facts.name, class_="of") if many else None,
        el("p", before, asked.facts.button(entry, value), after, class_="big"), el("p", sure, class_="sure"),
        _beside(asked, entry), class_="score",
    )  # fmt: skip


_ROLES = ("test", "validation", "other")


def _beside(asked: Asked, entry: Entry) -> Html | None:
    """The simple models on the same line."""
    subject, words = asked.subject, asked.words
    rivals = [(name, found) for name in subject.rivals() if (found := subject.rival_score(name, entry)) is not None]
    known = [(name, found, value) for name, found in rivals if (value := value_of(found)) is not None]
    if not known or (ours := value_of(entry)) is None:
        return None
    ends = (entry.interval.low, entry.interval.high) if entry.interval else None
    values = [ours, *(ends or ()), *(value for *_, value in known)]
    low, high = span_of(values)
    line = whisker(ours, ends, (low, high), [(value, name) for name, _, value in known])
    said = spoken if is_share(entry) else lambda e: (number(e), "", "")
    items = [
        join(el("i", class_=f"key {name}", aria_hidden="true"), rival_name(words, name), " ",
             asked.facts.button(found, said(found)[0]))
        for name, found, _ in known
    ]  # fmt: skip
    ours_key = join(el("i", class_="key ours", aria_hidden="true"), words("this"))
    told = el("p", *[el("span", item) for item in (ours_key, *items)], class_="legend")
    return join(line, told)


def _six(asked: Asked) -> Html:
    words = asked.words
    tiles = [_tile(asked, place, answer) for place, answer in enumerate(answers(asked), 1)]
    return el("section", el("h2", words("answers"), class_="away"), *tiles, class_="six", id="answers")


def _tile(asked: Asked, place: int, answer: Answer) -> Html:
    sign = el("span", _SIGNS[answer.tone], class_=f"sign {answer.tone}", aria_hidden="true")
    said = el("p", sign, el("span", answer.short), class_="answer")
    head = join(el("h3", asked.words(answer.question), id=f"q{place}"), said)
    why = el("ul", *[el("li", line) for line in answer.lines]) if answer.lines else None
    # Closed on a phone, where it opens by a tap; the style sheet shows what is inside wherever there is room.
    inside = el("details", el("summary", head), why) if why else head
    return el("article", inside, class_=f"tile {answer.tone}", aria_labelledby=f"q{place}")


def _strip(asked: Asked) -> Html:
    return el("section", _mind(asked), _owner(asked), _checks(asked), class_="strip")


def _mind(asked: Asked) -> Html:
    words, found = asked.words, findings(asked.subject, asked.words)
    looked = any(e.metric.endswith("flag") and e.status == "measured" for e in asked.subject.evidence)
    items: list[Child] = [
        el("li", el("a", short(f.text, MOST_SIGNS), href=f"#{_PLACES.get(f.axis, f.axis)}"))
        for f in found[:MOST_FINDINGS]
    ]
    if len(found) > MOST_FINDINGS:
        items.append(el("li", el("a", words("mind.more", count=len(found) - MOST_FINDINGS), href="#honesty")))
    nothing = el("p", words("mind.none" if looked else "mind.unchecked"))
    return el("div", el("h3", words("mind")), el("ul", *items) if items else nothing, class_="mind")


_PLACES = {"data": "columns", "ledger": "quality", "baseline": "comparison", "verdict": "comparison"}
"""Sections of axes that have none of their own name."""


def _owner(asked: Asked) -> Html:
    words, missing = asked.words, unwritten(asked.subject)
    items = [el("li", words(f"owner.{name}"), " ", el("code", f"card.{name}")) for name in missing]
    told = el("ul", *items) if items else el("p", words("owner.none"))
    return el("div", el("h3", words("owner")), told, el("p", el("a", words("annex"), href="#annex")))


def _checks(asked: Asked) -> Html:
    words, statuses = asked.words, axis_statuses(asked.subject)
    all_words = ("measured", "failed", "not_run", "not_applicable")
    by_word = {word: sum(status.word == word for status in statuses) for word in all_words}
    facts = words("checks.counts", **{word: f"{count:,}" for word, count in counts(asked.subject).items()})
    return el(
        "div", el("h3", words("checks")), el("p", words("checks.axes", all=len(statuses), **by_word)),
        el("ul", *[el("li", _chip(asked, status)) for status in statuses], class_="chips"),
        el("p", words("facts"), words("colon"), facts, class_="small"),
    )  # fmt: skip


def _chip(asked: Asked, status: AxisStatus) -> Html:
    mark = el("span", _MARKS[status.word], aria_hidden="true")
    told = el("span", asked.words("colon"), asked.words(f"status.{status.word}"), class_="away")
    name = asked.words.axis(status.axis)
    return el("a", mark, " ", name, told, href=f"#{status.axis}", class_=f"chip {status.word}")


_MARKS = {"measured": "●", "failed": "✕", "not_run": "○", "not_applicable": "–"}
