"""The application: an ASGI callable that lets requests in, has models answer them, and notes that it did."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from trueweight.bundle.bundle import Bundle
from trueweight.data.table import Table
from trueweight.errors import TrueweightError, fault_of
from trueweight.model.protocols import GREEDY, Decoding
from trueweight.serve.answering import Answering
from trueweight.serve.audit import AuditLog
from trueweight.serve.batching import Batcher
from trueweight.serve.completing import Completing
from trueweight.serve.counters import Counters
from trueweight.serve.doorkeeper import Doorkeeper, Guest, given_key
from trueweight.serve.exchange import (
    BrokenOff,
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    json_reply,
    send_reply,
    unless_gone,
)  # fmt: skip
from trueweight.serve.explaining import Explaining
from trueweight.serve.hosted import Hosted
from trueweight.serve.keys import KeyStore
from trueweight.serve.lanes import Lane
from trueweight.serve.limits import Limits
from trueweight.serve.refusals import Refused, refused_by
from trueweight.serve.routes import Route, Routes
from trueweight.serve.rows import Rows
from trueweight.serve.streaming import Streaming
from trueweight.serve.telling import Telling
from trueweight.serve.writing import Scribe, Spent, Wanted

__all__ = ["Application", "Verbs"]

_LOG = logging.getLogger("trueweight.serve")

_FLUSH = 0.25
"""Seconds between writes of what keys used and who asked."""

_LINGER = 5.0
"""Seconds for which the rest of a request is read whose answer broke off."""

_HOSTS = 64
"""Host headers that are known to be good."""

_EVERYBODY = Guest(None)

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True)
class Verbs:
    """What only the layer above can do."""

    load: Callable[[Path], Bundle]
    explain: Callable[[Bundle, Table, Mapping[str, Any]], Mapping[str, Any]]
    """Rows and wishes to plain data."""
    report: Callable[[Bundle, str], str]
    """A bundle and a language to a page."""


class Application:
    """Serves bundles.

    Args:
        bundles: What is served, by name.
        verbs: What only the layer above can do.
        store: Of keys; None: everybody may ask everything.
        audit: Where it is noted who asked; None: nowhere.
        limits: Sizes, times, numbers.
        alone: Whether no other process answers for the same models: a request to swap one reaches one process only.
        hosts: Names that requests may be sent to; () for any. Against web pages that have their own name lead here.
        started: Called on the event loop before the first request.
    """

    def __init__(
        self, bundles: Mapping[str, Bundle], verbs: Verbs, *, store: KeyStore | None = None,
        audit: AuditLog | None = None, limits: Limits = Limits(), hosts: Sequence[str] = (),  # noqa: B008  # frozen
        alone: bool = True, started: Callable[["Application"], object] = lambda _: None,
    ) -> None:  # fmt: skip
        self.verbs, self.limits, self.hosts = verbs, limits, frozenset(hosts)
        self.models = {name: Hosted(name, bundle, limits) for name, bundle in bundles.items()}
        self.keyed, self.alone = store is not None, alone
        self.counters = Counters()
        self.ready = True
        self._started = started
        self._door, self._audit = Doorkeeper(store), audit
        self._good_hosts: set[bytes] = set()
        self._start_id, self._lines = secrets.token_hex(4), 0
        self._worker = ThreadPoolExecutor(1, "answers")
        self._writer = ThreadPoolExecutor(1, "notes")
        self.slow = Lane("slow", limits.slow, "other reports are being made", 5)
        self.reasons = Lane("reasons", limits.slow, "other explanations are being made", 5)
        self.texts = Lane("texts", limits.written, "other texts are being written", 1)
        self._slots = ThreadPoolExecutor(1, "slots")
        self._heads = ThreadPoolExecutor(1, "heads")
        # By the model, not by its name: just after a swap, those who asked the old one are written by it.
        self._scribes: WeakKeyDictionary[Hosted, Scribe] = WeakKeyDictionary()
        for hosted in self.models.values():
            self._have_written(hosted)
        self._batchers = {name: self._batcher(name) for name in self.models}
        self._notes: asyncio.Task[None] | None = None
        handlers = (Answering(self), Explaining(self), Streaming(self), Completing(self), Telling(self))
        self.routes = Routes([route for one in handlers for route in one.routes()])

    def _batcher(self, name: str) -> Batcher:
        def answer(several: Sequence[Rows]) -> Sequence[Any]:
            # One model nearly always; just after a swap, those who asked the old one are answered by it.
            runs = [(hosted, list(rows)) for hosted, rows in groupby(several, key=lambda rows: rows.of)]
            return [outcome for hosted, rows in runs for outcome in hosted.answer(rows)]

        def at_once() -> bool:
            return self.models[name].plain

        return Batcher(answer, self._worker, self.limits, lambda rows: self.counters.batch(name, rows), at_once)

    def _have_written(self, hosted: Hosted) -> None:
        """Texts of a model side by side, if it writes and does nothing else."""
        name, running = hosted.name, hosted.bundle.writing_together(self.limits.slots)
        if running is not None:
            done = partial(self.counters.batch, name)
            self._scribes[hosted] = Scribe(running, self._slots, self._heads, self.limits, done)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self.start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def start(self) -> None:
        """Begin to write notes."""
        if self._audit is not None:
            digests = {name: hosted.bundle.manifest.digest for name, hosted in self.models.items()}
            self._audit.note({"at": _now(), "event": "start", "models": digests})
        self._notes = asyncio.create_task(self._keep_notes())
        self._started(self)

    async def stop(self) -> None:
        """Say no to load balancers, write what is left, let go."""
        self.ready = False
        if self._notes is not None:
            self._notes.cancel()
            with suppress(asyncio.CancelledError):
                await self._notes
        lines: list[bytes] = []
        if self._audit is not None:
            self._audit.note({"at": _now(), "event": "stop"})
            lines = self._audit.take()
        # In the same thread, behind what it may just be writing: lines must be in their order.
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, self._write, self._door.take(), lines)
        if self._audit is not None:
            self._audit.close()
            _LOG.info("the audit log ends with %s", self._audit.head)
        for lane in (self.slow, self.reasons, self.texts):
            lane.stop()
        for pool in (self._worker, self._writer, self._slots, self._heads):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _keep_notes(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_FLUSH)
            spent, lines = self._door.take(), self._audit.take() if self._audit is not None else []
            # Shielded: whoever stops us while it waits for its turn would have it forgotten.
            writing = asyncio.shield(loop.run_in_executor(self._writer, self._write, spent, lines))
            try:
                await writing
            except Exception:  # whatever it is, it may be over the next time
                _LOG.exception("notes could not be written, and are tried again")

    def _write(self, spent: dict[str, int], lines: list[bytes]) -> None:
        try:
            self._door.write(spent)
        finally:
            if self._audit is not None:
                self._audit.write(lines)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = time.perf_counter()
        request, route, guest, asked = Request(scope, receive), None, _EVERYBODY, Asked()
        try:
            self._check_origin(request)
            route, name = self.routes.find(request.method, request.path, scope.get("raw_path", b""))
            if route.scope != "free":
                guest = self._admit(request, route)
            reply = await (await route.handler(request, guest, name, asked)).begun()
        except asyncio.CancelledError:  # under Ray Serve, when the client has gone
            self._note(request, route, guest, asked, 499, time.perf_counter() - start)
            raise
        except Exception as error:
            reply = self._refusal(self._refused(error, request, route), route)
        reply.digest, status = asked.digest, reply.status
        try:
            await send_reply(send, reply, bodiless=request.method == "HEAD")
        except asyncio.CancelledError:
            request.left()
            raise
        except Exception as error:
            request.broke(self._refused(error, request, route).status)
            _LOG.warning("an answer of %s broke off: %d", route.path if route else "", request.ended["because"])
            await request.drained(_LINGER)
            raise BrokenOff from None
        finally:
            self._note(request, route, guest, asked, status, time.perf_counter() - start)

    def _refused(self, error: Exception, request: Request, route: Route | None) -> Refused:
        """What is said of an error; what is our own affair goes into the log."""
        if isinstance(error, Refused):
            return error
        if isinstance(error, TrueweightError):
            if (refused := refused_by(error)).status >= 500:
                _LOG.error("%s", error)
            return refused
        # Whatever it is, it is ours, and must not show our inside. Its text may hold cells.
        _LOG.error("%s %s: %s", request.method, route.path if route else "", fault_of(error))
        return Refused(500, "something went wrong here; the server's log says where")

    def _check_origin(self, request: Request) -> None:
        """A page of another site must not use the reader's place in the network, or what the browser remembers."""
        raw = request.headers.get(b"host", b"")
        if raw in self._good_hosts and b"origin" not in request.headers:
            return
        host = raw.decode("latin-1").lower()
        if (
            self.hosts
            and (host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host) not in self.hosts
        ):
            raise Refused(403, "this server does not answer to that name", hint="ask it by the address it listens on")
        if len(self._good_hosts) < _HOSTS and len(raw) <= _HOSTS:
            self._good_hosts.add(raw)
        origin = request.header(b"origin").lower()
        if origin and origin.partition("://")[2] != host:
            raise Refused(403, "pages of other sites may not ask")

    def _admit(self, request: Request, route: Route) -> Guest:
        if not self.keyed:
            return _EVERYBODY
        given = given_key(request)
        try:
            return self._door.admit(given, route.scope)
        except Refused as refused:
            if route.page and refused.status == 401:
                refused.headers["www-authenticate"] = 'Basic realm="trueweight: the key is the password"'
            raise

    def charge(self, guest: Guest, rows: int) -> None:
        """See :meth:`Doorkeeper.charge`."""
        self._door.charge(guest, rows)

    def hosted(self, name: str) -> Hosted:
        """The model of that name.

        Raises:
            Refused: There is none.
        """
        found = self.models.get(name)
        if found is None:
            raise Refused(404, f"no model {name[:80]!r}", hint="/v1/models lists them")
        return found

    async def ask(self, request: Request, name: str, rows: Any, seconds: float) -> Any:
        """The columns that a model answers, together with whoever else asks it now."""
        hosted: Hosted = rows.of
        if rows.count and (scribe := self.scribe(hosted, GREEDY)) is not None:
            return await self.written(request, hosted, scribe, partial(hosted.table, rows), rows.count, seconds)
        batcher = self._batchers[name]
        if batcher.idle:
            return await batcher.ask(rows, seconds)
        # Others are before us: whoever has gone when the turn comes is not answered.
        return await unless_gone(request, batcher.ask(rows, seconds))

    def scribe(self, hosted: Hosted, how: Decoding) -> Scribe | None:
        """Who writes a model's texts side by side, if they can be written so."""
        scribe = self._scribes.get(hosted)
        return scribe if scribe is not None and scribe.takes(how) else None

    async def written(
        self, request: Request, hosted: Hosted, scribe: Scribe, table: Callable[[], Table], rows: int, seconds: float,
        how: Decoding = GREEDY, seed: int = 0, spent: Spent | None = None,
    ) -> Any:  # fmt: skip
        """The columns of texts, written side by side with those of everybody else; without whoever goes."""
        asked = scribe.ask(lambda: Wanted.of(hosted.bundle, table(), how, seed), rows, seconds, spent)
        return await unless_gone(request, asked)

    async def read(self, request: Request) -> bytes:
        """The whole body, within its bounds of bytes and time.

        Raises:
            Refused: It is longer, or did not arrive in time.
        """
        if request.arrived:
            return await request.body(self.limits.body)
        try:
            async with asyncio.timeout(self.limits.seconds):
                return await request.body(self.limits.body)
        except TimeoutError:
            raise Refused(408, "the body did not arrive in time") from None

    async def reload(self, name: str) -> Hosted:
        """Open a model's folder again, check it, and answer with it from then on. Until it is found good, the old one
        answers; no request is lost.

        Raises:
            VerifyError: What is there now is no good bundle.
        """
        old = self.hosted(name)
        bundle = await self.slow.run(self.verbs.load, old.bundle.path)
        self.models[name] = fresh = Hosted(name, bundle, self.limits)
        self._have_written(fresh)  # the old one finishes what it has taken on
        if self._audit is not None:
            self._audit.note({"at": _now(), "event": "swap", "model": name, "digest": bundle.manifest.digest})
        return fresh

    def queued(self) -> dict[str, int]:
        """Rows that wait, by model."""
        texts = {name: self._scribes.get(hosted) for name, hosted in self.models.items()}
        return {
            name: batcher.rows + (0 if (scribe := texts[name]) is None else scribe.waiting)
            for name, batcher in self._batchers.items()
        }

    def _refusal(self, refused: Refused, route: Route | None) -> Reply:
        if route is not None and route.theirs:
            return json_reply(refused.openai(), refused.status, headers=refused.headers)
        return json_reply(refused.problem(), refused.status, kind="application/problem+json", headers=refused.headers)

    def _note(
        self, request: Request, route: Route | None, guest: Guest, asked: "Asked", status: int, seconds: float
    ) -> None:
        path = route.path if route is not None else "none"
        self.counters.request(path, status, seconds)
        if request.ended:
            self.counters.unfinished(path, str(request.ended["outcome"]))
        if self._audit is None or (route is not None and route.scope == "free"):
            return
        self._lines += 1
        facts: dict[str, Any] = {
            "at": _now(), "id": f"{self._start_id}{self._lines:08x}", "key": guest.id, "method": request.method[:10],
            "route": path, "status": status, "milliseconds": round(1000 * seconds, 2),
        }  # fmt: skip
        if asked.model:
            facts |= {"model": asked.model, "digest": asked.digest, "rows": asked.rows}
        facts |= request.ended
        self._audit.note(facts)


@dataclass(slots=True)
class Asked:
    """What a handler has found out, for the notes."""

    model: str = ""
    digest: str = ""
    rows: int = 0


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
