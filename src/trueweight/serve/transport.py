"""How a client's requests get to a server: over HTTP, or straight into an application of this process."""

import asyncio
import http.client
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from weakref import WeakSet

from trueweight.errors import SpecError
from trueweight.serve.exchange import BrokenOff

if TYPE_CHECKING:
    from trueweight.serve.app import Application

__all__ = ["Answer", "HttpTransport", "MemoryTransport", "Transport"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By small letters."""
    body: bytes


class Transport(Protocol):
    """Sends one request and gives what comes back."""

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One exchange.

        Raises:
            OSError: There is no server, or it went away.
        """
        ...

    def close(self) -> None:
        """Let go."""
        ...


class HttpTransport:
    """Connections that are kept, one for each thread.

    Args:
        url: ``http://host:port`` or ``https://…``, perhaps with a path below which a proxy has the server.
        seconds: That an exchange may take.
        certificate: PEM file to trust; by default those of this machine.

    Raises:
        SpecError: The address is none, or there is no such certificate.
    """

    def __init__(self, url: str, seconds: float, certificate: str | Path | None = None) -> None:
        try:
            parts = urlsplit(url)
            self._port = parts.port
        except ValueError as error:
            raise SpecError(f"{url!r} is no address of a server: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SpecError(f"{url!r} is no address of a server", hint="such as http://127.0.0.1:8000")
        self._host, self._below, self._seconds = parts.hostname, parts.path.rstrip("/"), seconds
        self._context = _trusting(certificate) if parts.scheme == "https" else None
        self._own = threading.local()
        self._all: WeakSet[http.client.HTTPConnection] = WeakSet()  # those of threads that are over go with them

    def _connected(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if found is None:
            if self._context is not None:
                found = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._seconds, context=self._context
                )
            else:
                found = http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)
            self._own.connection = found
            self._all.add(found)
        return found

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """See :class:`Transport`."""
        connection = self._connected()
        try:
            connection.request(method, self._below + path, body or None, dict(headers))
            reply = connection.getresponse()
            found = {name.lower(): value for name, value in reply.getheaders()}
            return Answer(reply.status, found, reply.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()  # it connects anew when it is asked again
            raise error if isinstance(error, OSError) else ConnectionError(str(error)) from error

    def close(self) -> None:
        """See :class:`Transport`."""
        for connection in list(self._all):
            connection.close()


def _trusting(certificate: str | Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if certificate is None else str(certificate))
    except OSError as error:
        raise SpecError(f"no certificate can be read: {error}", where=str(certificate)) from None


class MemoryTransport:
    """An application in this process, on an event loop of its own, without sockets.

    Args:
        app: What would be served.
        seconds: That an exchange may take.
    """

    def __init__(self, app: "Application", seconds: float = 60.0) -> None:
        self._app, self._seconds = app, seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._asked: set[asyncio.Task[Answer]] = set()
        asyncio.run_coroutine_threadsafe(app.start(), self._loop).result()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """See :class:`Transport`."""
        asked = asyncio.run_coroutine_threadsafe(self._noted(method, path, headers, body), self._loop)
        try:
            return asked.result(self._seconds)
        except TimeoutError:
            asked.cancel()
            raise

    async def _noted(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        task = asyncio.create_task(self._exchange(method, path, headers, body))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        return await task

    async def _exchange(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        plain, _, query = path.partition("?")
        given = [(b"host", b"localhost"), *((n.lower().encode(), v.encode("latin-1")) for n, v in headers.items())]
        scope: dict[str, Any] = {
            "type": "http", "method": method, "path": plain, "raw_path": plain.encode(), "headers": given,
            "query_string": query.encode(),
        }  # fmt: skip
        sent: list[Any] = []
        asked = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Any:
            for message in asked:
                return message
            await asyncio.Event().wait()  # the client of this exchange never goes away
            raise AssertionError

        async def send(message: Any) -> None:
            sent.append(message)

        try:
            await self._app(scope, receive, send)
        except BrokenOff:  # what a connection that is closed before the end of an answer is to HTTP
            raise ConnectionError("the answer broke off") from None
        head = sent[0]
        found = {name.decode(): value.decode("latin-1") for name, value in head["headers"]}
        return Answer(head["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))

    def close(self) -> None:
        """See :class:`Transport`."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        """Other threads may be waiting for answers: they are told that there will be none."""
        await self._app.stop()
        if self._asked:
            await asyncio.wait(self._asked, timeout=self._seconds)
