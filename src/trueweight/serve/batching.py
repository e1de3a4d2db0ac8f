"""Rows of many requests, answered together: as many as wait when the model becomes free, and none waits for others.

While one batch is being answered the next one gathers. An idle server therefore answers at once, and a busy one in
batches as large as its load makes them.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from trueweight.serve.lanes import in_thread
from trueweight.serve.limits import Limits
from trueweight.serve.refusals import Refused
from trueweight.serve.rows import Rows

__all__ = ["Batcher", "Outcome"]

_QUICK = 0.005
"""Seconds that a batch may keep the event loop from reading and writing. Of the processor's time: the kernel reads its
clock, which takes as long as several rows of a table."""

_FEW = 128
"""Rows that are answered there; many take long, whatever few have taken."""

Outcome = Any
"""What a request gets, or the exception that is raised in its place."""

Answer = Callable[[Sequence[Rows]], Sequence[Outcome]]


@dataclass(slots=True)
class _Waiting:
    rows: Rows
    end: float
    """On the event loop's clock."""
    future: "asyncio.Future[Outcome]"


class Batcher:
    """The queue in front of one model.

    Args:
        answer: One outcome for each of the requests' rows. Runs in the executor.
        executor: Of one thread: a model is not asked twice at the same time.
        limits: Rows that wait, rows at once.
        done: Called with the rows of each batch.
        plain: Whether the model is of a kind that may answer on the event loop, while it is seen to be quick there:
            going to another thread and back takes longer than such a model.
    """

    def __init__(
        self, answer: Answer, executor: Executor, limits: Limits, done: Callable[[int], None],
        plain: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._answer, self._executor, self._limits, self._done = answer, executor, limits, done
        self._plain, self._quick = plain, False
        self._queue: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._batch_seconds = 0.0
        self.rows = 0
        """That wait."""

    @property
    def idle(self) -> bool:
        """Whether a request would be answered at once, or within a twentieth of a second."""
        return self._task is None or self._task.done() or self._batch_seconds < 0.05

    async def ask(self, rows: Rows, seconds: float) -> Outcome:
        """The answer to these rows.

        Args:
            rows: Of one request.
            seconds: That may pass until then.

        Raises:
            Refused: Too many rows wait (429, with the seconds after which there may be room), or the time is over.
        """
        if self.rows and self.rows + rows.count > self._limits.queued:
            wait = max(1, round(self._batch_seconds * self.rows / self._limits.batch + 0.5))
            raise Refused(429, f"{self.rows:,} rows wait already", headers={"retry-after": str(wait)})
        loop = asyncio.get_running_loop()
        waiting = _Waiting(rows, loop.time() + seconds, loop.create_future())
        self._queue.append(waiting)
        self.rows += rows.count
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._work(loop))
        found = await waiting.future
        if isinstance(found, BaseException):
            raise found
        return found

    async def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until nobody waits."""
        while batch := self._next(loop.time()):
            start, count = time.perf_counter(), sum(one.rows.count for one in batch)
            at_once, rows = self._quick and count <= _FEW and self._plain(), [one.rows for one in batch]
            try:
                work, outcomes = self._worked(rows) if at_once else await in_thread(self._executor, self._worked, rows)
            except Refused as stopping:
                work, outcomes = float("inf"), [stopping] * len(batch)
            self._batch_seconds = 0.8 * self._batch_seconds + 0.2 * (time.perf_counter() - start)
            if count <= _FEW:
                self._quick = work < _QUICK
            for one, outcome in zip(batch, outcomes, strict=True):
                if not one.future.done():
                    one.future.set_result(outcome)
            self._done(count)
            if at_once:
                await asyncio.sleep(0)  # others read, write and tell of their health between two batches

    def _worked(self, rows: Sequence[Rows]) -> tuple[float, list[Outcome]]:
        """Seconds of the processor, and outcomes. How long it took while others kept the machine busy says nothing, but
        that it took long is reason enough to look: of quick batches the processor's time is not asked for otherwise."""
        timed, wall = not self._quick, time.perf_counter()
        start = time.thread_time() if timed else 0.0
        try:
            outcomes = list(self._answer(rows))
        except Exception as error:  # each of them must be told, and the next batch answered
            return float("inf"), [error] * len(rows)
        if timed:
            return time.thread_time() - start, outcomes
        return float("inf") if time.perf_counter() - wall > _QUICK else 0.0, outcomes

    def _next(self, now: float) -> list[_Waiting]:
        """Those that come next, without whoever has gone or waited too long."""
        batch: list[_Waiting] = []
        count = 0
        while self._queue and (not batch or count + self._queue[0].rows.count <= self._limits.batch):
            one = self._queue.popleft()
            self.rows -= one.rows.count
            if one.future.done():
                continue
            if now > one.end:
                one.future.set_result(Refused(504, "the time for this request was over before its turn came"))
                continue
            batch.append(one)
            count += one.rows.count
        return batch
