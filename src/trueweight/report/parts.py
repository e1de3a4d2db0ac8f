"""Parts of the rows: the worst that were found, and those that the spec names, each part on one line, worst first."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from trueweight.evidence.record import Entry
from trueweight.report.answers import Asked, greater_is_better
from trueweight.report.groups import folded_rows, is_share_like, row_of
from trueweight.report.html import Html, el, join
from trueweight.report.numbers import short, value_of
from trueweight.report.plots import Head, Row

__all__ = ["declared", "part_plots"]

MOST = 8
"""Parts that are seen at once."""

_DIFFERENCE = "_difference"


def declared(entry: Entry) -> bool:
    """Whether the spec names the part; the others were found."""
    return entry.id.startswith("slices/declared/")


def part_plots(asked: Asked, entries: Sequence[Entry]) -> tuple[list[Html], set[int]]:
    """Plots, and what was drawn, by identity.

    Args:
        entries: Of the axis "slices".
    """
    known = [e for e in entries if e.slice is not None and value_of(e) is not None]
    plots: list[Html] = []
    for target in dict.fromkeys(e.target for e in known):
        mine = [e for e in known if e.target == target]
        plots += _found(asked, [e for e in mine if not declared(e)])
        plots += _declared(asked, [e for e in mine if declared(e)])
    return plots, {id(e) for e in known}


def _title(asked: Asked, key: str, entry: Entry) -> str:
    several = len(asked.subject.targets()) > 1
    return f"{asked.words(key)}: {asked.words.metric(entry.metric)}" + (f" · {entry.target}" if several else "")


def _found(asked: Asked, entries: Sequence[Entry]) -> Iterator[Html]:
    """In the order of the evidence, which is by how surely each is worse; with what it is worse by."""
    gaps = {e.slice: e for e in entries if e.metric.endswith(_DIFFERENCE)}
    scores = [e for e in entries if not e.metric.endswith(_DIFFERENCE)]
    if not scores:
        return
    head = Head(asked.words("th.slice"), _title(asked, "parts.found", scores[0]), asked.words("th.value"),
                (asked.words("th.elsewhere"),))  # fmt: skip
    rows = [_row(asked, e, gaps.get(e.slice)) for e in scores]
    yield folded_rows(asked, rows, head, most=MOST, share=all(is_share_like(e) for e in scores))


def _row(asked: Asked, entry: Entry, gap: Entry | None) -> Row:
    other = asked.facts.button(gap) if gap is not None else join()
    return replace(row_of(asked, entry, _label(asked, entry)), others=(other,))


def _label(asked: Asked, entry: Entry) -> Html:
    rows = asked.words.counted(entry.n or 0, "row")
    return join(short(entry.slice or "", 90), " ", el("span", rows, class_="note"))


def _declared(asked: Asked, entries: Sequence[Entry]) -> Iterator[Html]:
    """The most telling metric; the others stand among all facts, for there may be hundreds."""
    metrics = list(dict.fromkeys(e.metric for e in entries))
    first = next((name for name in ("accuracy", "subset_accuracy", "mae", "rmse") if name in metrics), None)
    mine = sorted((e for e in entries if e.metric == (first or metrics[0])), key=_worst_first) if metrics else []
    if not mine:
        return
    head = Head(asked.words("th.slice"), _title(asked, "parts.declared", mine[0]), asked.words("th.value"))
    rows = [row_of(asked, e, _label(asked, e)) for e in mine]
    yield folded_rows(asked, rows, head, most=MOST, share=all(is_share_like(e) for e in mine))
    others = [asked.words.metric(name) for name in metrics if name != mine[0].metric]
    if others:
        told = asked.words("parts.rest", metrics=asked.words("comma").join(others))
        yield el("p", el("a", told, href="#facts"), class_="small")


def _worst_first(entry: Entry) -> float:
    """By the favourable end: a part of few rows is not known to be bad."""
    better, ends = greater_is_better(entry.metric), entry.interval
    favourable = value_of(entry) if ends is None else ends.high if better else ends.low
    return (favourable or 0.0) * (1 if better else -1)
