"""Progress on standard error: a bar on a terminal, now and then a line elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from trueweight.cli.console import draws, note
from trueweight.progress import Listener, Progress, listen

if TYPE_CHECKING:
    from rich.progress import TaskID

__all__ = ["showing_progress"]

SECONDS_BETWEEN_FRAMES = 0.1
SECONDS_BETWEEN_LINES = 10.0
SECONDS_TO_TELL = 0.5
"""Of work before its pace is told."""


@contextmanager
def showing_progress() -> Iterator[None]:
    """Show the progress of everything inside the ``with`` block."""
    if not draws(sys.stderr):
        with listen(_Lines()):
            yield
        return
    with _drawing() as listener, listen(listener):
        yield


class _Lines:
    """A plain line for work that takes long, every ten seconds."""

    def __init__(self) -> None:
        self.began: dict[str, tuple[float, float]] = {}
        self.told = time.monotonic()

    def __call__(self, event: Progress) -> None:
        now = time.monotonic()
        began, first = _since(self.began, event, now)
        if now - self.told < SECONDS_BETWEEN_LINES:
            return
        self.told = now
        from trueweight.spec.units import describe_seconds  # pydantic: not wanted for --help

        note(f"{event.task}: {amount(event)} after {describe_seconds(now - began)}{left(event, first, now - began)}")


def _since(began: dict[str, tuple[float, float]], event: Progress, now: float) -> tuple[float, float]:
    """(when, where) the work was first seen; work that stands behind that was begun anew."""
    start, first = began.setdefault(event.task, (now, event.done))
    if event.done < first:
        start, first = began[event.task] = now, event.done
    if event.finished:
        del began[event.task]  # what follows under the same name is other work
    return start, first


def amount(event: Progress) -> str:
    """How far: ``400 of 1,000 steps`` or ``400 steps``, with the note."""
    total = f" of {event.total:,.0f}" if event.total is not None else ""
    words = f"{event.done:,.0f}{total} {event.unit}"
    return f"{words}, {event.note}" if event.note else words


def left(event: Progress, first: float, seconds: float) -> str:
    """How long the rest will take, at the pace so far; nothing where it is too early to tell.

    Args:
        event: Where the work stands.
        first: Where it stood when it was first seen: what is taken up again has much behind it.
        seconds: Since then.
    """
    if not event.total or event.done <= first or event.finished or seconds < SECONDS_TO_TELL:
        return ""
    from trueweight.spec.units import describe_seconds

    return f", {describe_seconds(seconds * (event.total - event.done) / (event.done - first))} left"


def pace(per_second: float, unit: str) -> str:
    """Rows by the second, what takes longer by the minute."""
    return f"{per_second:,.0f} {unit}/s" if per_second >= 1 else f"{60 * per_second:.1f} {unit}/min"


@contextmanager
def _drawing() -> Iterator[Listener]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    words = TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[amount]}")
    times = TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn()
    tasks: dict[str, TaskID] = {}
    drawn: dict[str, float] = {}
    began: dict[str, tuple[float, float]] = {}

    def update(event: Progress) -> None:
        now = time.monotonic()
        if now - drawn.get(event.task, 0.0) < SECONDS_BETWEEN_FRAMES and not event.finished:
            return
        drawn[event.task] = now
        if event.task not in tasks:
            tasks[event.task] = bars.add_task(event.task, total=event.total, amount="", rate="")
        start, first = _since(began, event, now)
        seconds = now - start
        rate = pace((event.done - first) / seconds, event.unit) if seconds > SECONDS_TO_TELL else ""
        if event.finished:
            bars.remove_task(tasks.pop(event.task))
            return
        bars.update(tasks[event.task], completed=event.done, total=event.total, amount=amount(event), rate=rate)

    with Bars(*words, *times, console=Console(stderr=True), transient=True, refresh_per_second=8) as bars:
        yield update
