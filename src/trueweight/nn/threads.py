"""One thread for what is so short that several would wait for each other longer than they compute."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

__all__ = ["SHORT", "one_thread", "work_of"]

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


def work_of(writer: object) -> int:
    """Multiplications that a token of one row takes, about: as many as there are weights."""
    return sum(p.numel() for p in writer.parameters()) if isinstance(writer, nn.Module) else SHORT
