"""Texts of many requests, written side by side: a request joins the running batch at its next step, and leaves when it
is complete, when its client goes, or when its time is over.

Steps are taken in a thread of its own, which takes in whoever has come between any two of them. It says how things
stand every few thousandths of a second while somebody reads along, and else when somebody's text is complete.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

from trueweight.bundle.bundle import Bundle
from trueweight.data.table import Table
from trueweight.metrics.prediction import Prediction
from trueweight.model.predictors.orders import Order
from trueweight.model.predictors.running import Running, Written
from trueweight.model.protocols import Decoding
from trueweight.serve.hosted import Columns, told_of
from trueweight.serve.lanes import in_thread
from trueweight.serve.limits import Limits
from trueweight.serve.refusals import Refused

__all__ = ["Scribe", "Spent", "Wanted"]

_TURN = 0.005
"""Seconds of steps after which those who read along are told what was written."""

_LONG_TURN = 0.02
"""The same where nobody does, and only who has gone is looked for: every turn costs both threads a change of places."""

_FEW = 32
"""Rows of one request that are looked at in the thread that writes; more of them elsewhere, before it is their turn."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be written."""

    table: Table
    how: Decoding
    seed: int
    columns: Callable[[Mapping[str, Prediction]], Columns]
    """Makes an answer of what was written."""

    @classmethod
    def of(cls, bundle: Bundle, table: Table, how: Decoding, seed: int) -> Self:
        """Rows that a model is to write.

        Raises:
            TrueweightError: It cannot.
        """
        bundle.require(table, how)
        return cls(table, how, seed, partial(bundle.told, table))


@dataclass(slots=True)
class Spent:
    """What the texts of a request took; it is filled in when they are complete."""

    read: int = 0
    """Tokens, of all its rows."""
    written: list[Written] = field(default_factory=list)
    """Its texts, those of a row beside each other."""


@dataclass(eq=False, slots=True)
class _Job:
    """A request. The event loop's side of it and the thread's are told apart by who writes them."""

    wanted: Callable[[], Wanted]
    rows: int
    end: float
    """On the event loop's clock: then nobody wants it any more. Of a stream, if it has not begun."""
    streamed: bool
    told: "asyncio.Queue[Any]"
    """Pieces of a stream, then the columns; or in their place what is raised."""
    spent: Spent | None
    gone: bool = False
    done: bool = False
    begun: bool = False
    order: Order | None = None
    columns: Callable[[Mapping[str, Prediction]], Columns] | None = None


@dataclass(slots=True)
class _News:
    """What has become of a job in one turn."""

    job: _Job
    pieces: list[str] = field(default_factory=list)
    outcome: Any = None
    """Columns, an exception, or None for not yet."""


class Scribe:
    """Who writes for one model.

    Args:
        running: Its running batch; nobody else may use it.
        executor: Of one thread, which writes.
        aside: Of one thread, where the files of large requests are looked at before that.
        limits: Rows that wait.
        done: Called with the rows of each request that is answered.
    """

    def __init__(
        self, running: Running, executor: Executor, aside: Executor, limits: Limits, done: Callable[[int], None]
    ) -> None:
        self._running, self._executor, self._aside, self._limits, self._done = running, executor, aside, limits, done
        self._counted: set[_Job] = set()
        self._jobs: set[_Job] = set()
        """Those of them whose turn has come, or comes."""
        self._fresh: deque[_Job] = deque()
        self._written: list[_Job] = []  # belongs to the thread
        self._task: asyncio.Task[None] | None = None
        self._seconds = 0.0
        """That a row takes, on average."""
        self.rows = 0
        """That are wanted and not answered yet."""

    @property
    def waiting(self) -> int:
        """Rows for which there is no slot."""
        return max(0, self.rows - self._running.slots)

    def takes(self, how: Decoding) -> bool:
        """Whether texts can be written so."""
        return self._running.takes(how)

    async def ask(
        self, wanted: Callable[[], Wanted], rows: int, seconds: float, spent: Spent | None = None
    ) -> Columns:  # fmt: skip
        """The columns of some rows' texts.

        Args:
            wanted: Makes what is to be written; called in a thread.
            rows: Of the request.
            seconds: That may pass until the answer.
            spent: Told what it took.

        Raises:
            Refused: Too many rows wait (429), or the time is over (504).
        """
        job = self._counted_in(wanted, rows, seconds, spent, streamed=False)
        try:
            if rows > _FEW:
                made = await in_thread(self._aside, wanted)
                job.wanted = lambda: made
            self._begin(job)
            found: Columns | BaseException = await job.told.get()
        finally:
            self._leave(job)
        if isinstance(found, BaseException):
            raise found
        return found

    async def stream(
        self, wanted: Callable[[], Wanted], seconds: float, spent: Spent | None = None
    ) -> AsyncGenerator[str, None]:
        """The text of one row in pieces, as they are written.

        Args:
            wanted: As for :meth:`ask`.
            seconds: That may pass until it begins.
            spent: Told what it took.

        Raises:
            Refused: As for :meth:`ask`.
        """
        job = self._counted_in(wanted, 1, seconds, spent, streamed=True)
        try:
            self._begin(job)
            while isinstance(found := await job.told.get(), str):
                yield found
        finally:
            self._leave(job)
        if isinstance(found, BaseException):
            raise found

    def _counted_in(
        self, wanted: Callable[[], Wanted], rows: int, seconds: float, spent: Spent | None, *, streamed: bool
    ) -> _Job:
        if self.rows and self.rows + rows > self._limits.queued:
            wait = max(1, round(self.rows * self._seconds + 0.5))
            raise Refused(429, f"{self.rows:,} texts wait already", headers={"retry-after": str(wait)})
        loop = asyncio.get_running_loop()
        job = _Job(wanted, rows, loop.time() + seconds, streamed, asyncio.Queue(), spent)
        self._counted.add(job)
        self.rows += rows
        return job

    def _begin(self, job: _Job) -> None:
        self._jobs.add(job)
        self._fresh.append(job)
        if self._task is None or self._task.done():
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._work(loop))

    def _leave(self, job: _Job) -> None:
        """Whoever asked has the answer, or does not want it any more."""
        job.gone = True
        self._jobs.discard(job)
        if job in self._counted:
            self._counted.discard(job)
            self.rows -= job.rows

    async def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Until nobody wants anything."""
        while self._jobs:
            self._give_up(loop.time())
            start, before = time.perf_counter(), self.rows
            try:
                told = await in_thread(self._executor, self._turn)
            except Exception as error:  # each of them must be told, also that the server stops
                told = [_News(job, outcome=told_of(error)) for job in self._jobs]
            answered = sum(self._tell(news) for news in told)
            if answered:
                share = (time.perf_counter() - start) / max(1, min(before, self._running.slots))
                self._seconds = 0.8 * self._seconds + 0.2 * share

    def _give_up(self, now: float) -> None:
        for job in [job for job in self._jobs if now > job.end and not (job.streamed and job.begun)]:
            job.told.put_nowait(Refused(504, "the time for this request was over before its text was written"))
            self._leave(job)

    def _tell(self, news: _News) -> int:
        """Hand on what was written; the rows that are answered with it."""
        job = news.job
        job.begun = job.begun or bool(news.pieces)
        for piece in news.pieces:
            job.told.put_nowait(piece)
        if news.outcome is None or job not in self._jobs:
            return 0
        job.told.put_nowait(news.outcome)
        self._leave(job)
        self._done(job.rows)
        return job.rows

    # --- In the thread -----------------------------------------------------------------------------------------------

    def _turn(self) -> list[_News]:
        """Take in who has come, and write for a while."""
        told = self._taken_in()
        for job in self._written:
            if job.gone and job.order is not None:
                job.order.gone = True
        start, complete = time.perf_counter(), set[Order]()
        try:
            while self._running.busy:
                complete.update(self._running.step())
                told += self._taken_in()
                if told or complete or time.perf_counter() - start > self._seconds_of_turn():
                    break
        except Exception as error:  # a fault of ours: nobody who is in the batch can be answered
            told += [_News(job, outcome=told_of(error)) for job in self._written]
            for job in self._written:
                job.gone = True
            self._running.clear()
            self._written = []
            return told
        told += [
            news
            for job in self._written
            if (job.streamed or job.order in complete) and (news := self._news_of(job, complete)) is not None
        ]
        self._written = [job for job in self._written if not job.gone and job.order not in complete]
        return told

    def _seconds_of_turn(self) -> float:
        return _TURN if any(job.streamed for job in self._written) else _LONG_TURN

    def _taken_in(self) -> list[_News]:
        """Those who came, put into the batch; gives the news of those who cannot be."""
        told = []
        while self._fresh:
            job = self._fresh.popleft()
            if job.gone:
                continue
            try:
                wanted = job.wanted()
                job.columns = wanted.columns
                job.order = self._running.order(wanted.table, wanted.how, wanted.seed, pieces=job.streamed)
                self._written.append(job)
            except Exception as error:  # it takes no other with it
                told.append(_News(job, outcome=told_of(error)))
        return told

    def _news_of(self, job: _Job, complete: set[Order]) -> _News | None:
        order, columns = job.order, job.columns
        assert order is not None
        assert columns is not None
        pieces, order.pieces = order.pieces, []
        if order not in complete:
            return _News(job, pieces) if pieces else None
        if order.failed is not None:
            return _News(job, pieces, told_of(order.failed))
        assert order.answer is not None
        try:
            if job.spent is not None:
                job.spent.read, job.spent.written = self._running.spent(order)
            return _News(job, pieces, columns(order.answer))
        except Exception as error:
            return _News(job, pieces, told_of(error))
