"""Memory that the C library keeps for later though nothing in it is used.

Batches of texts are of many shapes, so what one step lets go of seldom fits the next one: of a small translator's 2.2
GB all but 0.7 were such holes. GNU's library gives them back if it is asked to.
"""

import ctypes
import sys
from collections.abc import Callable
from functools import cache
from time import perf_counter

__all__ = ["Holes"]

LEAST = 256 * 2**20
"""Bytes of holes that are not worth the time: what is given back must be fetched and cleared again."""

SECONDS = 3.0
"""Between two looks: giving back takes some 40 ms, and looking up to half a millisecond."""


class _Info(ctypes.Structure):
    """``struct mallinfo2`` of malloc.h, since version 2.33."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks",
                     "keepcost")
    ]  # fmt: skip


class Holes:
    """The holes in the heap of this process; elsewhere than with GNU's C library nobody knows of any."""

    def __init__(self) -> None:
        self._next = perf_counter() + SECONDS

    def give_back(self) -> bool:
        """Give them back to the system where they are large and more than what is used, and nobody has looked for a
        while; says whether that was so."""
        now = perf_counter()
        if now < self._next:
            return False
        self._next = now + SECONDS
        if (library := _library()) is None:
            return False
        told, trim = library
        info = told()
        if info.fordblks <= max(LEAST, info.uordblks):
            return False
        trim(0)
        return True


@cache
def _library() -> tuple[Callable[[], _Info], Callable[[int], int]] | None:
    if not sys.platform.startswith("linux"):
        return None
    whole = ctypes.CDLL(None)
    try:
        told, trim = whole.mallinfo2, whole.malloc_trim
    except AttributeError:  # another C library, or an older one
        return None
    told.restype, trim.argtypes = _Info, [ctypes.c_size_t]
    return told, trim
