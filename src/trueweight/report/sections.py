"""The rest of the page: a section for each kind of fact, drawn from axes and ids alone, so that new checks appear by
themselves."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from trueweight.evidence.record import Entry
from trueweight.report.answers import Asked, greater_is_better, rival_name
from trueweight.report.assembled import assembled
from trueweight.report.axis_status import AxisStatus, axis_statuses
from trueweight.report.groups import SHOWN, grouped, is_share_like, row_of
from trueweight.report.html import Child, Html, el, join
from trueweight.report.numbers import ends, in_bytes, number, short, value_of
from trueweight.report.plots import Head, Row, line_plot, rows_plot
from trueweight.report.subject import AXES

__all__ = ["axis_sections", "fact_rows", "section"]

_DIAGONAL = ("roc", "reliability", "true_by_answer")


def section(id: str, title: str, about: str, *children: Child) -> Html:
    """A part of the page with a place to lead to."""
    return el(
        "section", el("h2", title), el("p", about, class_="about") if about else None, *children, id=id, class_="part"
    )


def axis_sections(asked: Asked) -> Iterator[Html]:
    """Every expected axis, the others that have facts, each once; what was not looked at comes last, in one section."""
    words, statuses = asked.words, {s.axis: s for s in axis_statuses(asked.subject)}
    present = dict.fromkeys(e.axis for e in asked.subject.evidence)
    looked = [axis for axis in AXES if axis in present]
    for axis in (*looked, *(axis for axis in present if axis not in _DRAWN_ELSEWHERE)):
        drawn = {"quality": _scores, "comparison": _comparisons, "slices": _parts}.get(axis)
        body = drawn(asked) if drawn else _axis(asked, axis)
        yield section(axis, words.axis(axis), words.about(axis), _state(asked, statuses.get(axis)), *body)
        if axis == "comparison":
            yield from _lines_and_confusion(asked)
    if "fit" in present:
        yield section("fit", words.axis("fit"), words.about("fit"), *_axis(asked, "fit"))
    missing = [
        el("div", el("dt", words.axis(axis)), el("dd", words.about(axis)), id=axis)
        for axis in AXES
        if axis not in present
    ]
    if missing:
        yield section("unlooked", words("unlooked"), words("missing.axis"), el("dl", *missing, class_="unlooked"))


_DRAWN_ELSEWHERE = ("baseline", "verdict", "ledger", "data", "confusion", "curve", "fit", *AXES)


def _comparisons(asked: Asked) -> Iterator[Child]:
    """Differences to each simple model: of shares on one scale, each of the others on its own."""
    subject, words = asked.subject, asked.words
    known = [e for e in subject.evidence.select(axis="comparison") if value_of(e) is not None]
    several = len(subject.targets()) > 1
    for target, rival in dict.fromkeys((e.target, e.id.split("/")[-1]) for e in known):
        mine = [e for e in known if e.target == target and e.id.split("/")[-1] == rival]
        title = rival_name(words, rival) + (f" · {target}" if several else "")
        rows = {e.metric: row_of(asked, e, _with_direction(asked, e.metric)) for e in mine}
        alike = [e for e in mine if greater_is_better(e.metric)]
        head = Head(words("th.metric"), title, words("th.difference"))
        yield rows_plot([rows[e.metric] for e in alike], head, zero=True) if alike else None
        for place, entry in enumerate(e for e in mine if e not in alike):
            alone = head if place == 0 and not alike else Head("", "", "")
            yield rows_plot([rows[entry.metric]], alone, zero=True)
    yield from _axis_body(
        asked, [e for e in subject.of_axis("comparison") if e.axis == "comparison" and value_of(e) is None]
    )


def _parts(asked: Asked) -> Iterator[Child]:
    """Parts of the rows: each drawn once, whatever is left as elsewhere."""
    from trueweight.report.parts import part_plots

    entries = asked.subject.of_axis("slices")
    plots, drawn = part_plots(asked, entries)
    rest = list(_axis_body(asked, [e for e in entries if id(e) not in drawn], opened=not plots))
    yield rest[0]  # flags
    yield from plots
    yield from rest[1:]


def _with_direction(asked: Asked, metric: str) -> Html:
    """A metric, and which way is better where that is not up."""
    note = None if greater_is_better(metric) else el("span", asked.words("lower"), class_="note")
    return join(asked.words.metric(metric), " ", note)


def _lines_and_confusion(asked: Asked) -> Iterator[Html]:
    from trueweight.report.confusion import confusion_tables

    words = asked.words
    if figures := _figures(asked, asked.subject.of_axis("curve")):
        yield section("curve", words.axis("curve"), words.about("curve"), figures)
    if tables := confusion_tables(asked):
        yield section("confusion", words.axis("confusion"), words.about("confusion"), *tables)


def _state(asked: Asked, status: AxisStatus | None) -> Child:
    """What was not looked at, and why."""
    if status is None or status.word == "measured":
        return None
    words = asked.words
    why = [short(reason, 300) for reason in status.reasons[:3]] or [words("missing.axis")]
    return el(
        "p", el("b", words(f"status.{status.word}"), class_=f"word {status.word}"), " ", "; ".join(why), class_="state"
    )


def _scores(asked: Asked) -> Iterator[Child]:
    """The model's scores with the simple models as marks and numbers: shares on one scale, others each on its own."""
    subject, words = asked.subject, asked.words
    rivals = tuple(rival_name(words, name) for name in subject.rivals())
    for facts in subject.targets():
        found = [e for e in subject.scores(facts.name) if value_of(e) is not None]
        shares = [_scorerow_of(asked, e) for e in found if is_share_like(e)]
        title = facts.name if len(subject.targets()) > 1 else ""
        head = Head(words("th.metric"), title, words("th.value"), rivals)
        yield rows_plot(shares, head, share=True) if shares else None
        for place, entry in enumerate(e for e in found if not is_share_like(e)):
            alone = head if place == 0 and not shares else Head("", "", "", tuple("" for _ in rivals))
            yield rows_plot([_scorerow_of(asked, entry)], alone)
    every = subject.of_axis("quality")
    own = {id(e) for facts in subject.targets() for e in subject.scores(facts.name)}
    yield from _axis_body(asked, [e for e in every if id(e) not in own])


def _scorerow_of(asked: Asked, entry: Entry) -> Row:
    subject = asked.subject
    rivals = [(name, subject.rival_score(name, entry)) for name in subject.rivals()]
    marks = tuple((value, name) for name, found in rivals if found and (value := value_of(found)) is not None)
    others = tuple(asked.facts.button(found) if found else join() for _, found in rivals)
    return replace(row_of(asked, entry, _with_direction(asked, entry.metric)), marks=marks, others=others)


def _axis(asked: Asked, axis: str) -> list[Child]:
    return list(_axis_body(asked, asked.subject.of_axis(axis)))


def _axis_body(asked: Asked, entries: Sequence[Entry], *, opened: bool = True) -> Iterator[Child]:
    """Flags in words, lines, groups of like numbers as plots, and whatever is left as a table.

    Args:
        asked: What is reported on.
        entries: Of one axis.
        opened: What is left is seen at once where it is little.
    """
    # What could not be told for one and the same reason is said once.
    flags = list({(e.value, e.reason or e.id): e for e in entries if e.metric.endswith("flag")}.values())
    yield el("ul", *[_flag(asked, e) for e in flags], class_="flags") if flags else None
    joined, points = assembled(entries)
    lines = [*joined, *(e for e in entries if e.curve is not None)]
    yield _figures(asked, lines)
    left = [e for e in entries if e.curve is None and not e.metric.endswith("flag")]
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in left:
        if _drawable(entry) and entry.id not in points:
            groups.setdefault((entry.target or "", entry.metric.partition("[")[0]), []).append(entry)
    drawn = {key: found for key, found in groups.items() if len(found) > 1}
    several = len(asked.subject.targets()) > 1
    for (target, metric), found in drawn.items():
        title = asked.words.metric(metric) + (f" · {target}" if several and target else "")
        if found[0].axis != "quality":
            yield grouped(asked, found, title)
            continue
        worst_first = sorted(found, key=lambda e: value_of(e) or 0.0)
        plot = grouped(asked, worst_first, title)
        # What is found of each class says most; the others are near.
        yield plot if metric == "recall" else el("details", el("summary", title), plot)
    gone = {id(e) for found in drawn.values() for e in found}
    rest = [e for e in left if id(e) not in gone]
    measured = any(e.status not in ("not_run", "not_applicable") for e in entries)
    if rest and measured:  # else the section has said why already
        table = fact_rows(asked, rest)
        opened = opened and len(rest) <= SHOWN
        title = asked.words("rest") if drawn or lines else asked.words.counted(len(rest), "fact")
        yield el("details", el("summary", f"{title} ({len(rest)})" if drawn or lines else title), table, open=opened)


def _drawable(entry: Entry) -> bool:
    """A number of a slice, a class or a column, that stood its checks."""
    named = entry.slice is not None or "[" in entry.metric
    return named and value_of(entry) is not None and entry.status in ("measured", "estimated", "bounded")


def _flag(asked: Asked, entry: Entry) -> Html:
    words = asked.words
    state = "found" if entry.value == 1 else "clean" if entry.value == 0 else "unknown"
    sign = el("span", {"found": "!", "clean": "✓", "unknown": "?"}[state], class_=f"sign {state}", aria_hidden="true")
    told = short(entry.reason, 500) if entry.reason else words.flag(entry.metric)
    return el(
        "li", sign, el("span", asked.facts.button(entry, words(f"flag.{state}")), words("colon"), told), class_=state
    )


def _figures(asked: Asked, entries: Sequence[Entry]) -> Child:
    figures = [_figure(asked, e) for e in entries if e.curve is not None and len(e.curve.points) > 1]
    return el("div", *figures, class_="figures") if figures else None


def _figure(asked: Asked, entry: Entry) -> Html:
    words, curve = asked.words, entry.curve
    assert curve is not None
    title = words.metric(entry.metric) + (
        f" · {entry.target}" if len(asked.subject.targets()) > 1 and entry.target else ""
    )
    base = entry.metric.partition("[")[0]
    x, y = (words.label(name) for name in (curve.x, curve.y))
    plot = line_plot(curve, x, y, f"{title}: {y} / {x}", diagonal=base in _DIAGONAL)
    heads = el("tr", el("th", x), el("th", y))
    points = [el("tr", el("td", f"{a:.4g}"), el("td", f"{b:.4g}")) for a, b in curve.points]
    opened = asked.facts.button(entry, words("how"))
    table = el(
        "details",
        el("summary", words("points")),
        el("div", el("table", heads, *points, class_="points"), class_="scroll"),
    )
    about = words.figure("score of" if entry.axis == "fit" else base)
    return el("figure", el("figcaption", el("b", title), " ", about), plot, el("p", opened, class_="small"), table)


def _with_unit(entry: Entry) -> str:
    """Bytes and seconds as people say them; other units stand in the box that opens."""
    value = value_of(entry)
    if value is None or entry.unit not in ("bytes", "s"):
        return number(entry)
    return in_bytes(int(value)) if entry.unit == "bytes" else f"{number(entry)} s"


def fact_rows(asked: Asked, entries: Sequence[Entry]) -> Html:
    """Facts as a table: what, value, interval, rows, status."""
    words = asked.words
    keys = ("metric", "value", "interval", "rows", "status")
    head = el("tr", *[el("th", words(f"th.{key}"), scope="col") for key in keys])
    lines = []
    for e in entries:
        found = ends(e)
        what = [words.metric(e.metric), f" · {e.target}" if e.target and f"/{e.target}/" in e.id else None]
        what.append(el("span", short(e.slice, 90), class_="note") if e.slice else None)
        status = words(f"status.{e.status}") + (words("colon") + short(e.reason, 160) if e.reason else "")
        lines.append(
            el("tr", el("th", *what, scope="row"), el("td", asked.facts.button(e, _with_unit(e))),
               el("td", f"{found[0]} … {found[1]}" if found else ""), el("td", "" if e.n is None else f"{e.n:,}"),
               el("td", status, class_=f"s {e.status}"))
        )  # fmt: skip
    return el("div", el("table", el("thead", head), el("tbody", *lines), class_="facts short"), class_="scroll")
