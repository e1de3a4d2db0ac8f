"""Progress as plain events, so that the library never prints: whoever wants a bar listens.

``cli`` installs a listener that draws; without one, an event costs a function call.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import perf_counter

__all__ = ["Progress", "StoppedError", "Ticker", "advance", "listen", "may_stop", "stopping"]

_TICK = 0.2


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a long piece of work stands."""

    task: str
    """What is being done, in the user's words: "reading claims.csv", "training mlp"."""
    done: float
    total: float | None
    """In units; None when the end is not known."""
    unit: str = "rows"
    note: str = ""
    """A few words that change as the work goes on, e.g. "validation log_loss 0.412"."""

    @property
    def finished(self) -> bool:
        """Whether the work is complete."""
        return self.total is not None and self.done >= self.total


Listener = Callable[[Progress], None]

_LISTENER: ContextVar[Listener | None] = ContextVar("trueweight_progress", default=None)


def advance(task: str, done: float, total: float | None, *, unit: str = "rows", note: str = "") -> None:
    """Tell the listener, if there is one, how far a piece of work has come."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(Progress(task, done, total, unit, note))


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Send the progress of everything inside the ``with`` block to ``listener``."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


class Ticker:
    """Reports progress of one task, at most five times a second.

    Args:
        task: See :class:`Progress`.
        unit: See :class:`Progress`.
        quiet: Seconds before anything is reported: work that may be over by then is nobody's concern.
    """

    def __init__(self, task: str, unit: str = "rows", *, quiet: float = 0.0) -> None:
        self._task, self._unit = task, unit
        self._next = perf_counter() + quiet if quiet else 0.0
        self._loud = not quiet
        self.note = ""

    def show(self, done: int, total: int) -> None:
        """Report, unless it is too early to do so again. The end is always reported where anything was."""
        now = perf_counter()
        if now >= self._next or (self._loud and done >= total):
            self._next, self._loud = now + _TICK, True
            advance(self._task, done, total, unit=self._unit, note=self.note)


class StoppedError(BaseException):
    """Nobody wants what is being worked on any more. Not an ``Exception``: no method's own fault is taken for it."""


_CHECK: ContextVar[Callable[[], None] | None] = ContextVar("trueweight_check", default=None)


def may_stop() -> None:
    """A place, between two pieces of long work, where whoever wants it may end it; costs a function call otherwise."""
    check = _CHECK.get()
    if check is not None:
        check()


@contextmanager
def stopping(check: Callable[[], None]) -> Iterator[None]:
    """Have ``check`` called between pieces of the work inside the ``with`` block. It ends the work by raising
    :class:`StoppedError`, which is for whoever wrote the block to catch."""
    token = _CHECK.set(check)
    try:
        yield
    finally:
        _CHECK.reset(token)
