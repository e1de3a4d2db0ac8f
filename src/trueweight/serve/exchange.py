"""One HTTP exchange over ASGI: a request that is read within bounds, a reply that is sent whole or in pieces."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from pydantic_core import to_json

from trueweight.serve.refusals import Refused

__all__ = [
    "ARRIVED", "DIGEST", "BrokenOff", "Receive", "Reply", "Request", "Scope", "Send", "json_reply", "send_reply",
    "unless_gone",
]  # fmt: skip

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = "application/json"
_JSON = JSON.encode()

DIGEST = "trueweight-digest"
"""Header of answers: which model gave them. Not every form of a body can say so."""

ARRIVED = "trueweight.arrived"
"""In the scope of a request, by servers that know us: its whole body, where that had arrived when it was begun.
``receive`` tells it too, for all others."""

SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""On every answer that does not say otherwise: nothing is kept, framed, run or guessed."""

_BITE = 2**18
"""Bytes that are unpacked at a time: whoever reads them counts them before there are more."""

_STREAMS = 64
"""Of gzip in one body, and one more for every 512 bytes that they hold."""

_PARAMETERS = 64

_DIGEST = DIGEST.encode()

_SAFE = [(name.encode(), value.encode()) for name, value in SAFE_HEADERS.items()]


class BrokenOff(Exception):  # noqa: N818  # what happened, not that it is wrong
    """An answer whose status is sent, and whose rest never will be. The connection is closed before its end: so HTTP
    tells a reader that something is missing, in whatever form the answer is."""


class Request:
    """What was asked. Headers by small letters; the body is read when it is asked for."""

    __slots__ = ("_arrived", "_receive", "_whole", "ended", "headers", "method", "path", "raw_query", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope, self._receive = scope, receive
        self._arrived = self._whole = False  # the last piece of the body; and whoever reads it has taken it
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.raw_query: bytes = scope.get("query_string", b"")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.ended: dict[str, str | int] = {}
        """How an answer ended whose status said that all is well, for the notes: "outcome" is "broken" (with the status
        that "because" would have been) or "gone", as whoever asked left before its end; {} where it is whole."""

    def broke(self, status: int) -> None:
        """The answer that is being sent ends before its end."""
        self.ended = {"outcome": "broken", "because": status}

    def left(self) -> None:
        """Whoever asked has gone before the end."""
        self.ended = self.ended or {"outcome": "gone"}

    def header(self, name: bytes) -> str:
        """Its text, or ""."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def kind(self) -> str:
        """Media type of the body, in small letters, without parameters; "" where none is said."""
        said = self.headers.get(b"content-type", b"")
        return JSON if said == _JSON else said.decode("latin-1").partition(";")[0].strip().lower()

    def query(self) -> dict[str, str]:
        """Parameters; of one that is given twice the last counts.

        Raises:
            Refused: There are too many.
        """
        if not self.raw_query:
            return {}
        try:
            found = parse_qs(self.raw_query.decode("latin-1"), keep_blank_values=True, max_num_fields=_PARAMETERS)
        except ValueError:
            raise Refused(400, f"more than {_PARAMETERS} parameters in the address") from None
        return {unquote(name): values[-1] for name, values in found.items()}

    async def body(self, most: int) -> bytes:
        """All of it, unpacked.

        Args:
            most: Bytes.

        Raises:
            Refused: It is longer, packed in an unknown way, broken off, or the client has gone.
        """
        self._refuse_long(most)
        first = await self._first()
        whole = first.get("body", b"") if b"content-encoding" not in self.headers else b""
        if whole and not first.get("more_body", False) and len(whole) <= most:
            self._whole = True
            return bytes(whole)  # nearly all there are
        return b"".join([piece async for piece in self._pieces(first, most)])

    async def pieces(self, most: int) -> AsyncIterator[bytes]:
        """The body as it arrives, unpacked; see :meth:`body`."""
        self._refuse_long(most)
        async for piece in self._pieces(await self._first(), most):
            yield piece

    @property
    def arrived(self) -> bool:
        """Whether reading the body will not wait for anything."""
        return ARRIVED in self.scope

    async def _first(self) -> MutableMapping[str, Any]:
        if (body := self.scope.pop(ARRIVED, None)) is None:
            return await self._receive()
        return {"type": "http.request", "body": body, "more_body": False}

    def _refuse_long(self, most: int) -> None:
        said = self.headers.get(b"content-length")
        if said and (not said.isdigit() or len(said) > 18 or int(said) > most):
            raise _too_long(most)

    async def _pieces(self, message: MutableMapping[str, Any], most: int) -> AsyncIterator[bytes]:
        packed = _unpacker(self.header(b"content-encoding").strip().lower())
        length = 0
        while True:
            if message["type"] == "http.disconnect":
                raise Refused(408, "the connection was closed before the body was complete")
            self._arrived = not message.get("more_body", False)
            for piece in packed.unpack(message.get("body", b"")):
                length += len(piece)
                if length > most:
                    raise _too_long(most)
                yield piece
            if self._arrived:
                self._whole = True
                packed.finish()
                return
            message = await self._receive()

    async def drained(self, seconds: float) -> None:
        """Read what is still being sent, for a while, and forget it. A connection closed meanwhile would be reset, and
        what was answered before could be lost on its way."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._arrived:
                    message = await self._receive()
                    self._arrived = message["type"] == "http.disconnect" or not message.get("more_body", False)

    async def gone(self) -> None:
        """Returns when the client has gone; never while its body is being read, which whoever reads it will notice."""
        if not self._whole:
            await asyncio.Event().wait()  # what is received here would be missing there
        while (await self._receive())["type"] != "http.disconnect":
            await asyncio.sleep(0)


async def unless_gone(request: Request, asked: Coroutine[Any, Any, Any]) -> Any:
    """An answer, unless whoever asked goes away before it is there.

    Raises:
        Refused: They have gone; what they asked for is cancelled.
    """
    asking, gone = asyncio.create_task(asked), asyncio.create_task(request.gone())
    try:
        await asyncio.wait((asking, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not asking.done():
            asking.cancel()
    if not asking.done():
        raise Refused(408, "the connection was closed before the answer")
    return asking.result()


def _too_long(most: int) -> Refused:
    return Refused(413, f"the body is longer than {most:,} bytes", hint="send fewer rows at a time")


class _Plain:
    """A body that is not packed."""

    def unpack(self, piece: bytes) -> Iterator[bytes]:
        if piece:
            yield piece

    def finish(self) -> None:
        """Whether it is complete, HTTP says."""


class _Gzip:
    """Unpacks a body bite by bite: small bytes may unpack to a thousand times as many. Files that were joined, or
    packed by several cores, are several streams, one behind the other."""

    def __init__(self) -> None:
        self._streams, self._unpacked = 0, 0
        self._inflate = _inflate()

    def unpack(self, piece: bytes) -> Iterator[bytes]:
        held = False
        while piece or held:
            if self._inflate.eof:
                piece = piece.lstrip(b"\0")  # some fill up to a whole block
                if not piece:
                    return
                self._inflate = self._next_stream()
            try:
                found = self._inflate.decompress(piece, _BITE)
            except zlib.error:
                raise Refused(400, "the body is not gzip, whatever Content-Encoding says") from None
            piece = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            held = len(found) == _BITE and not self._inflate.eof  # more may come though all bytes were taken in
            self._unpacked += len(found)
            if found:
                yield found

    def _next_stream(self) -> "zlib._Decompress":
        self._streams += 1
        if self._streams > _STREAMS + self._unpacked // 512:  # each takes time, whatever it holds
            raise Refused(400, "the body is gzip in too many little pieces", hint="pack it as a whole")
        return _inflate()

    def finish(self) -> None:
        """Raises if it was cut off: what is missing may be rows."""
        if not self._inflate.eof:
            raise Refused(400, "the body breaks off: its gzip is not complete")


def _inflate() -> "zlib._Decompress":
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)


def _unpacker(encoding: str) -> _Plain | _Gzip:
    if encoding in ("", "identity"):
        return _Plain()
    if encoding != "gzip":
        raise Refused(415, f"Content-Encoding {encoding[:40]!r} is not read", hint="send it plain, or as gzip")
    return _Gzip()


@dataclass(slots=True)
class Reply:
    """An answer. ``pieces`` are sent as they come, instead of ``body``."""

    body: bytes = b""
    status: int = 200
    kind: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: AsyncIterator[bytes] | None = None
    digest: str = ""
    """Of the model that was asked."""

    async def begun(self) -> "Reply":
        """With its first piece made: until then, a refusal can still take its place."""
        if self.pieces is not None:
            self.body = await anext(self.pieces, b"")
        return self


def json_reply(value: Any, status: int = 200, **more: Any) -> Reply:
    """Plain data as JSON; NaN and infinity, for which it has no word, are null."""
    return Reply(to_json(value, inf_nan_mode="null"), status, **more)


async def send_reply(send: Send, reply: Reply, *, bodiless: bool = False) -> None:
    """Head and body.

    Args:
        send: ASGI's.
        reply: What to send; of pieces the first one has been awaited, see :meth:`Reply.begun`.
        bodiless: Send the head alone, as HEAD asks for.
    """
    headers = [(b"content-type", reply.kind.encode()), *_headers(reply.headers)]
    if reply.digest:
        headers.append((_DIGEST, reply.digest.encode()))
    if reply.pieces is None:
        headers.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if bodiless else reply.body})
        return
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": True})
    async for piece in reply.pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _headers(more: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    if not more:
        return _SAFE
    named = {name.lower(): value for name, value in more.items()}
    return [(n.encode("latin-1"), v.encode("latin-1")) for n, v in (SAFE_HEADERS | named).items()]
