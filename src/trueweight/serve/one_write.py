"""uvicorn's HTTP, with the head and the body of a whole answer in one write.

Uvicorn writes twice and looks at each header by two regular expressions. For answers of a few hundred bytes that is an
eighth of what a request costs. Streams, HEAD, and whatever is not plain go uvicorn's own way.
"""

from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from trueweight.serve.exchange import ARRIVED

__all__ = ["OneWriteProtocol"]

_SMALL = 65_536
"""Bytes of a body that may be kept twice for a moment."""

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

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if _FITS and type(cycle) is RequestResponseCycle:
            cycle.__class__ = _Cycle
        super()._start_asgi_task(cycle, app)
