"""Like numbers of several slices, classes or columns as one plot: some lines at once, the others a tap away."""

from collections.abc import Sequence

from trueweight.evidence.record import Entry
from trueweight.report.answers import Asked, greater_is_better
from trueweight.report.html import Html, el, join
from trueweight.report.numbers import ends, short, value_of
from trueweight.report.plots import Head, Row, rows_plot

__all__ = ["SHOWN", "folded_rows", "grouped", "is_share_like", "row_of"]

SHOWN = 12
"""Lines of a plot that are seen at once; the others open."""


def is_share_like(entry: Entry) -> bool:
    """Whether it can be drawn on a scale from 0 to 1 on which more is better."""
    values = [value_of(entry) or 0.0, *((entry.interval.low, entry.interval.high) if entry.interval else ())]
    return greater_is_better(entry.metric) and all(0 <= value <= 1 for value in values)


def row_of(asked: Asked, entry: Entry, label: Html | str) -> Row:
    """A line of a plot."""
    found, interval = ends(entry), entry.interval
    between = (interval.low, interval.high) if interval else None
    return Row(
        label, value_of(entry) or 0.0, between, asked.facts.button(entry), f"{found[0]} … {found[1]}" if found else ""
    )


def grouped(asked: Asked, found: Sequence[Entry], title: str) -> Html:
    """Numbers of one metric, each by its slice, class or column."""
    head = Head(asked.words("th.slice" if found[0].slice else "th.metric"), title, asked.words("th.value"))
    rows = [row_of(asked, e, short(e.slice or e.metric.partition("[")[2].removesuffix("]"), 90)) for e in found]
    values = [value_of(e) or 0.0 for e in found]
    share = all(is_share_like(e) for e in found) and min(values) < 0.9 and max(values) > 0.3
    return folded_rows(asked, rows, head, share=share)


def folded_rows(asked: Asked, rows: Sequence[Row], head: Head, *, most: int = SHOWN, share: bool = False) -> Html:
    """The first lines, and the others behind them."""
    if len(rows) <= most + 1:
        return rows_plot(rows, head, share=share)
    more = asked.words("more", count=len(rows) - most)
    rest = el("details", el("summary", more), rows_plot(rows[most:], head, share=share))
    return join(rows_plot(rows[:most], head, share=share), rest)
