"""Work that lets go of the interpreter, a little ahead of who needs it."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

__all__ = ["threads_ahead"]

T = TypeVar("T")
S = TypeVar("S")


def threads_ahead(job: Callable[[S], T], things: Iterable[S], *, most: int = 16) -> Iterator[T]:
    """``map`` on as many threads as this process has cores, never more than that many results ahead of the one that is
    asked for: each may be large.

    Args:
        job: What is done with each.
        things: Any number.
        most: Threads at most.
    """
    count, rest = min(len(os.sched_getaffinity(0)), most), iter(things)
    some = list(islice(rest, 2))
    if count == 1 or len(some) < 2:
        yield from map(job, some)
        yield from map(job, rest)
        return
    with ThreadPoolExecutor(count) as pool:
        begun: deque[Future[T]] = deque(pool.submit(job, thing) for thing in (*some, *islice(rest, count - 1)))
        while begun:
            done = begun.popleft().result()
            begun.extend(pool.submit(job, thing) for thing in islice(rest, 1))
            yield done
