"""Lines that checks tell point by point, an entry each, put together so that they can be drawn."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from trueweight.evidence.record import Curve, Entry
from trueweight.report.numbers import value_of

__all__ = ["assembled"]


def assembled(entries: Sequence[Entry]) -> tuple[list[Entry], set[str]]:
    """Facts with a curve, made of others; and the ids of those.

    Args:
        entries: Of one axis.
    """
    found, used = list[Entry](), set[str]()
    for target in dict.fromkeys(e.target for e in entries):
        mine = [e for e in entries if e.target == target and value_of(e) is not None]
        for line, sources in (*_reliability(mine), *_learning(mine)):
            found.append(line)
            used |= {source.id for source in sources}
    return found, used


_Line = tuple[Entry, list[Entry]]


def _reliability(entries: Sequence[Entry]) -> Iterator[_Line]:
    """What was said and what happened, bin by bin."""
    said = {e.slice: e for e in entries if e.axis == "calibration" and e.metric == "said"}
    happened = {e.slice: e for e in entries if e.axis == "calibration" and e.metric == "happened"}
    bins = [name for name in said if name in happened]
    if len(bins) > 1:
        pairs = sorted(((_number(said[name]), name) for name in bins), key=lambda pair: pair[0])
        yield _line("reliability", "probability", "observed", [(x, happened[name]) for x, name in pairs]), [
            *(said[name] for name in bins), *(happened[name] for name in bins),
        ]  # fmt: skip


_SIZE = re.compile(r"(\d+)\D+")
"""Of training rows, in whatever language."""


def _learning(entries: Sequence[Entry]) -> Iterator[_Line]:
    """The loss of models that learnt from parts of the rows."""
    points = [
        (float(size[1]), e) for e in entries
        if e.metric == "learning_curve" and (size := _SIZE.fullmatch(e.slice or "")) is not None
    ]  # fmt: skip
    if len(points) > 1:
        points.sort(key=lambda point: point[0])
        yield _line("learning_curve", "training_rows", "loss", points), [e for _, e in points]


def _line(metric: str, x: str, y: str, points: Sequence[tuple[float, Entry]]) -> Entry:
    around = [(e.interval.low, e.interval.high) for _, e in points if e.interval is not None]
    band = tuple(around) if len(around) == len(points) else ()
    curve = Curve(x, y, tuple((at, _number(e)) for at, e in points), band)
    rows = [e.n for _, e in points if e.n is not None]
    total = sum(rows) if metric == "reliability" else max(rows, default=0)
    first = points[0][1]
    return replace(
        first, metric=metric, slice=None, value=len(points), unit="points", interval=None, n=total, curve=curve
    )


def _number(entry: Entry) -> float:
    return value_of(entry) or 0.0
