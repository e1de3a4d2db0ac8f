"""How many threads compute: one for what is so short that several would wait for each other, or several side by
side."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import torch
from torch import nn

__all__ = ["SHORT", "one_thread", "side_by_side", "threads_at_hand", "work_of"]

S = TypeVar("S")
T = TypeVar("T")

SHORT = 100_000_000
"""Multiplications of a step that writes, below which it is short. On two cores with nothing else to do, two threads
took 2.9 ms where one took 0.6 (one million), as long from 8 to 30 million, and 0.85 of it at 118 million; with clients
and a server on the same cores they take longer still, and many times as long where something else computes too."""


@dataclass(slots=True)
class _Narrowed:
    """Who computes on one thread at the moment, and what to return to."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    callers: int = 0
    before: int = 1


_NARROWED = _Narrowed()


@contextmanager
def one_thread(*, when: bool) -> Iterator[None]:
    """One thread inside, if so."""
    if not when:
        yield
        return
    # torch keeps one number for the process and one for each thread that has begun to compute. So every caller sets
    # its own back, to what there was before the first of those that overlap: a later one may have met a 1.
    with _NARROWED.lock:
        if not _NARROWED.callers:
            _NARROWED.before = torch.get_num_threads()
        _NARROWED.callers += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _NARROWED.lock:
            _NARROWED.callers -= 1
            torch.set_num_threads(_NARROWED.before)


def threads_at_hand() -> int:
    """How many threads this process may compute on, of which some may be left idle at the moment by
    :func:`one_thread`."""
    with _NARROWED.lock:
        return _NARROWED.before if _NARROWED.callers else torch.get_num_threads()


def side_by_side(job: Callable[[S], T], things: Sequence[S]) -> list[T]:
    """``map`` on as many threads as are at hand, this one among them.

    Args:
        job: What is done with each. Must let go of the interpreter to be of use, and not call this itself.
        things: Any number.
    """
    others = min(threads_at_hand(), len(things)) - 1
    if others < 1:
        return [job(thing) for thing in things]
    found: dict[int, T] = {}
    rest = iter(range(len(things)))

    def work() -> None:
        torch.get_num_threads()  # a new thread takes the process's number over when it first asks for it
        for k in rest:
            found[k] = job(things[k])

    with one_thread(when=True):  # of the library's: these are threads enough
        begun = [_pool(os.getpid()).submit(work) for _ in range(others)]
        try:
            work()
        finally:
            for _ in rest:  # where something went wrong, nobody begins another
                pass
            for other in begun:
                if not other.cancel():  # it may not have begun at all, where others compute side by side too
                    other.result()
    return [found[k] for k in range(len(things))]


@lru_cache(1)
def _pool(process: int) -> ThreadPoolExecutor:  # noqa: ARG001  # a process that was forked has none of these threads
    return ThreadPoolExecutor(max(2, os.cpu_count() or 1), "side by side")


def work_of(writer: object) -> int:
    """Multiplications that a token of one row takes, about: as many as there are weights."""
    return sum(p.numel() for p in writer.parameters()) if isinstance(writer, nn.Module) else SHORT
