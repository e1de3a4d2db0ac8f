"""uvicorn's HTTP, with the head and the body of a whole answer in one write, and bounds for heads of requests.

Uvicorn writes twice and looks at each header by two regular expressions. For answers of a few hundred bytes that is an
eighth of what a request costs. Streams, HEAD, and whatever is not plain go uvicorn's own way.

Nor does it bound heads: whoever has no key could fill the memory with one that never ends, or hold all connections
there are by sending none.
"""

from asyncio import TimerHandle
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from trueweight.serve.exchange import ARRIVED

__all__ = ["OneWriteProtocol"]

_SMALL = 65_536
"""Bytes of a body that may be kept twice for a moment."""

_HEAD = 65_536
"""Bytes of a head, behind the piece that it begins in."""

_HEAD_SECONDS = 60.0
"""That a connection on which nothing is answered has for a whole head."""

_TOO_LONG = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

_FITS = set(RequestResponseCycle.__init__.__code__.co_names) >= {
    "scope", "transport", "flow", "message_event", "on_response", "access_log", "default_headers", "disconnected",
    "keep_alive", "waiting_for_100_continue", "response_started", "response_complete", "chunked_encoding",
    "expected_content_length", "body", "more_body",
}  # fmt: skip
"""Whether this uvicorn has all that is read and written here of its own."""


class _Cycle(RequestResponseCycle):
    held: Any = None
    """The head, until it is seen whether the body follows whole."""

    async def run_asgi(self, app: Any) -> None:
        """As uvicorn's own; a body that is there already need not be asked for, nor be waited for with a clock."""
        waits = self.more_body or self.waiting_for_100_continue or self.disconnected
        if not waits and len(self.body) <= _SMALL:
            self.scope[ARRIVED] = bytes(self.body)  # type: ignore[literal-required]  # only we read it
        await super().run_asgi(app)

    async def send(self, message: Any) -> None:
        """As uvicorn's own: what goes out is the same, byte by byte."""
        head, self.held = self.held, None
        if not self.response_started and message["type"] == "http.response.start":
            self.held = message
            return
        if head is not None:
            if (content := self._whole(head, message)) is not None:
                self.response_started, self.waiting_for_100_continue, self.chunked_encoding = True, False, False
                self.transport.write(content)
                self.response_complete = True
                self.message_event.set()
                self.on_response()
                return
            await super().send(head)
        await super().send(message)

    def _whole(self, head: Any, message: Any) -> bytes | None:
        """The answer, if it is as simple as nearly all of them."""
        body = message.get("body", b"")
        simple = self.keep_alive and not (self.flow.write_paused or self.disconnected or self.access_log)
        if not simple or message.get("more_body") or self.scope["method"] == "HEAD":
            return None
        headers = [*self.default_headers, *head["headers"]]
        if (b"content-length", b"%d" % len(body)) not in headers:
            return None
        lines = [b"%b: %b\r\n" % header for header in headers]
        content = b"".join([STATUS_LINE[head["status"]], *lines, b"\r\n"])
        # No header may hold the end of a line, nor end the connection: uvicorn has words for both.
        broken = content.count(b"\n") != len(lines) + 2 or content.count(b"\r") != len(lines) + 2
        return None if broken or b"\r\nconnection:" in content.lower() else content + body


class OneWriteProtocol(HttpToolsProtocol):
    """Of a connection."""

    _heading = False
    """Whether a head has begun, and is not complete."""
    _head = 0
    _clock: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """As uvicorn's own."""
        super().connection_made(transport)
        self._clock = self.loop.call_later(_HEAD_SECONDS, self._late)

    def connection_lost(self, exc: Exception | None) -> None:
        """As uvicorn's own."""
        self._in_time()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """As uvicorn's own."""
        self._heading, self._head = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """As uvicorn's own."""
        self._heading = False
        self._in_time()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """As uvicorn's own, as long as there is an end to it."""
        heading = self._heading
        super().data_received(data)
        if heading and self._heading:
            self._head += len(data)
            if self._head > _HEAD and not self.transport.is_closing():
                self.transport.write(_TOO_LONG)
                self.transport.close()
        if self._clock is None and not self._answering():
            self._clock = self.loop.call_later(_HEAD_SECONDS, self._late)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _late(self) -> None:
        self._clock = None
        if not self._answering():
            self.transport.close()

    def _in_time(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if _FITS and type(cycle) is RequestResponseCycle:
            cycle.__class__ = _Cycle
        super()._start_asgi_task(cycle, app)
