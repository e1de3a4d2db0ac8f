"""The server's threads: each does one kind of work, one piece after the other, and what may wait for it is bounded."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from trueweight.serve.refusals import Refused

__all__ = ["Lane", "in_thread"]


async def in_thread(pool: Executor, job: Callable[..., Any], *arguments: Any) -> Any:
    """What a job gives that is done in a thread of the server.

    Raises:
        Refused: The server is stopping (503): its threads take nothing on any more, or let go what had waited.
    """
    try:
        future = pool.submit(job, *arguments)
    except RuntimeError:  # how a pool that is shut says so
        raise _stopping() from None
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # whoever waits was let go, and not what it waited for
            raise
        raise _stopping() from None


def _stopping() -> Refused:
    return Refused(503, "the server is stopping")


class Lane:
    """Work that keeps nobody else's answers waiting.

    Args:
        name: Of its thread.
        most: Pieces of work that may wait or be done.
        busy: What one more is told.
        again: Seconds after which it is worth another try.
    """

    def __init__(self, name: str, most: int, busy: str, again: int) -> None:
        self._pool = ThreadPoolExecutor(1, name)
        self._most, self._busy, self._again, self._waiting = most, busy, again, 0

    async def run(self, job: Callable[..., Any], *arguments: Any, begun: bool = False) -> Any:
        """Wait for the turn of a job, and for what it gives.

        Args:
            job: Called in the thread.
            arguments: Of the job.
            begun: It goes on with what was taken on: it waits however much else does, since an answer whose beginning
                is sent can be refused no more.

        Raises:
            Refused: Too much waits (429), or the server is stopping (503).
        """
        if self._waiting >= self._most and not begun:
            raise Refused(429, self._busy, headers={"retry-after": str(self._again)})
        self._waiting += 1
        try:
            return await in_thread(self._pool, job, *arguments)
        finally:
            self._waiting -= 1

    def stop(self) -> None:
        """Take nothing on any more, and let go what waits."""
        self._pool.shutdown(wait=False, cancel_futures=True)
