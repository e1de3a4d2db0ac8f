"""Plots as a few lines of SVG and HTML of our own. Colours come from the page, so that they follow light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trueweight.evidence.record import Curve
from trueweight.metrics.words import plain
from trueweight.report.html import Html, el, join

__all__ = ["Head", "Row", "line_plot", "rows_plot", "span_of", "ticks", "whisker"]

WIDTH, HEIGHT = 340, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 40


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers between two, at most so many."""
    span = high - low
    if not (math.isfinite(span) and span > 0):
        return [low]
    step = 10.0 ** math.floor(math.log10(span / most))
    step = next(step * factor for factor in (1, 2, 5, 10, 20) if span / (step * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _tick_text(value: float) -> str:
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
    return plain(value, next((d for d in range(7) if abs(round(value, d) - value) < 1e-9), 6))


@dataclass(frozen=True, slots=True)
class _Frame:
    """From values to places."""

    x0: float
    x1: float
    y0: float
    y1: float

    def x(self, value: float) -> float:
        return round(LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        return round(HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM), 1)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{self.x(x)} {self.y(y)}" for x, y in points)


def span_of(values: Sequence[float], *, share: bool = False) -> tuple[float, float]:
    """Ends of an axis that shows all values, with a little room; shares go from 0 to 1."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if share and low >= 0 and high <= 1:
        return 0.0, 1.0
    if low == high:
        return low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
    room = 0.05 * (high - low)
    return (0.0 if 0 <= low < 0.3 * high else low - room), (0.0 if 0 >= high > 0.3 * low else high + room)


_SHARES = ("rate", "recall", "precision", "share", "accuracy", "probability", "observed")


def _is_share(name: str) -> bool:
    return any(word in name for word in _SHARES)


def line_plot(curve: Curve, x_label: str, y_label: str, name: str, *, diagonal: bool = False) -> Html:
    """A line with its band. ``name`` is what readers who do not see it are told."""
    points = [p for p in curve.points if math.isfinite(p[0]) and math.isfinite(p[1])]
    ends = [value for pair in curve.band for value in pair]
    x0, x1 = span_of([x for x, _ in points], share=_is_share(curve.x))
    y0, y1 = span_of([*(y for _, y in points), *ends], share=_is_share(curve.y))
    if diagonal:
        x0, x1, y0, y1 = min(x0, y0), max(x1, y1), min(x0, y0), max(x1, y1)
    frame = _Frame(x0, x1, y0, y1)
    parts = [_axes(frame, x_label, y_label)]
    if diagonal:
        parts.append(el("path", d=frame.path([(x0, y0), (x1, y1)]), class_="guide"))
    if curve.band:
        xs = [x for x, _ in curve.points]
        around = [(x, high) for x, (_, high) in zip(xs, curve.band, strict=True)]
        around += [(x, low) for x, (low, _) in zip(reversed(xs), reversed(curve.band), strict=True)]
        parts.append(el("path", d=frame.path(around) + "Z", class_="band"))
    parts.append(el("path", d=frame.path(points), class_="line"))
    if len(points) <= 25:
        parts += [el("circle", cx=frame.x(x), cy=frame.y(y), r=2.5, class_="dot") for x, y in points]
    return el("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=name, class_="plot")


def _axes(frame: _Frame, x_label: str, y_label: str) -> Html:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    middle = (TOP + bottom) // 2
    return join(
        [_level(frame.y(value), right, value) for value in ticks(frame.y0, frame.y1)],
        [
            el("text", _tick_text(value), x=frame.x(value), y=bottom + 15, text_anchor="middle")
            for value in ticks(frame.x0, frame.x1)
        ],
        el("path", d=f"M{LEFT} {bottom}H{right}", class_="axis"),
        el("text", x_label, x=(LEFT + right) // 2, y=HEIGHT - 6, text_anchor="middle", class_="lab"),
        el("text", y_label, x=11, y=middle, text_anchor="middle", class_="lab", transform=f"rotate(-90 11 {middle})"),
    )


def _level(y: float, right: int, value: float) -> Html:
    line = el("path", d=f"M{LEFT} {y}H{right}", class_="grid")
    return join(line, el("text", _tick_text(value), x=LEFT - 6, y=y + 4, text_anchor="end"))


def whisker(
    value: float,
    ends: tuple[float, float] | None,
    span: tuple[float, float],
    marks: Sequence[tuple[float, str]] = (),
    *,
    zero: bool = False,
) -> Html:
    """A dot with its interval on a line, other values as thin marks. For the eye only: the numbers stand beside it."""

    def at(x: float) -> float:
        return round(100 * min(1.0, max(0.0, (x - span[0]) / (span[1] - span[0]))), 2)

    inside = []
    if span[0] < 0 < span[1] or (zero and 0.0 in span):
        inside.append(el("i", class_="zero", style=f"left:{at(0)}%"))
    inside += [el("i", class_=f"mark {kind}", style=f"left:{at(x)}%") for x, kind in marks]
    if ends is not None:
        left, right = at(ends[0]), at(ends[1])
        inside.append(el("i", class_="bar", style=f"left:{left}%;width:{round(max(right - left, 0.3), 2)}%"))
    inside.append(el("i", class_="pin", style=f"left:{at(value)}%"))
    return el("span", *inside, class_="track", aria_hidden="true")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a plot of rows."""

    label: Html | str
    value: float
    ends: tuple[float, float] | None
    button: Html
    note: str = ""
    marks: tuple[tuple[float, str], ...] = ()
    others: tuple[Html, ...] = ()
    """Numbers of other models, left out where there is little room."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above a plot of rows."""

    label: str
    title: str
    value: str
    others: tuple[str, ...] = ()


def rows_plot(rows: Sequence[Row], head: Head, *, share: bool = False, zero: bool = False) -> Html:
    """Labels, dots with whiskers on one common scale, and the numbers.

    Args:
        rows: At least one.
        head: Above them.
        share: The scale is from 0 to 1 if all values are.
        zero: The scale shows 0 too.
    """
    values = [x for row in rows for x in (row.value, *(row.ends or ()), *(x for x, _ in row.marks))]
    values += [0.0] if zero else []
    span = span_of(values, share=share)
    lines = [_line(row, span, zero) for row in rows]
    others = [el("th", name, scope="col", class_="other") for name in head.others]
    titles = el(
        "tr",
        el("th", head.label, scope="col"),
        el("td", _scale(span), class_="w"),
        el("th", head.value, scope="col"),
        others,
    )
    caption = el("caption", head.title) if head.title else None
    return el("table", caption, el("thead", titles), el("tbody", *lines), class_="rows")


def _line(row: Row, span: tuple[float, float], zero: bool) -> Html:
    note = el("span", row.note, class_="note") if row.note else None
    others = [el("td", other, class_="other") for other in row.others]
    drawn = el("td", whisker(row.value, row.ends, span, row.marks, zero=zero), class_="w")
    return el("tr", el("th", row.label, scope="row"), drawn, el("td", row.button, note, class_="v"), others)


def _scale(span: tuple[float, float]) -> Html:
    def at(x: float) -> float:
        return round(100 * (x - span[0]) / (span[1] - span[0]), 1)

    marks = ticks(*span, most=3)
    told = [el("i", _tick_text(x), style=f"left:{at(x)}%") for x in marks if 6 <= at(x) <= 94]
    return el("span", *told, class_="scale", aria_hidden="true")
