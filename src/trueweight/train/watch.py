"""Clocks and Ctrl-C: the two things outside a run that may change its course."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from types import FrameType

__all__ = ["Interrupts", "Stopwatch", "interrupts"]


class Stopwatch:
    """Seconds since it was made, plus what earlier, killed processes had spent."""

    def __init__(self) -> None:
        self._start = perf_counter()
        self.before = 0.0

    def seconds(self) -> float:
        """Seconds so far."""
        return self.before + perf_counter() - self._start


class Interrupts:
    """How often Ctrl-C was pressed since we listen."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, _signal: int, _frame: FrameType | None) -> None:
        """The first press is remembered; the second one ends the program as usual."""
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Inside, the first Ctrl-C is counted rather than raised, so that a step can be finished.

    Only where Python's own handler is in force: a program that has its own keeps it, and so do other threads.
    """
    heard = Interrupts()
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield heard
        return
    signal.signal(signal.SIGINT, heard.note)
    try:
        yield heard
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
