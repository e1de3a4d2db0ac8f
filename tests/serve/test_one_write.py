"""What goes out is what uvicorn itself would send, byte by byte; whole answers go out in one write."""

import asyncio
import gzip
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from trueweight.serve import one_write
from trueweight.serve.exchange import ARRIVED, Request
from trueweight.serve.one_write import OneWriteProtocol
from trueweight.serve.refusals import Refused

PLAIN = [(b"content-type", b"text/plain"), (b"content-length", b"5")]


def start(headers: list[tuple[bytes, bytes]], status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(content: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": content, "more_body": more}


ANSWERS: dict[str, list[dict[str, Any]]] = {
    "whole": [start(PLAIN), body(b"hello")],
    "refused": [start(PLAIN, 422), body(b"hello")],
    "empty": [start([(b"content-length", b"0")], 200), body(b"")],
    "in pieces": [start([(b"content-type", b"text/plain")]), body(b"hel", more=True), body(b"lo")],
    "pieces of known length": [start(PLAIN), body(b"hel", more=True), body(b"lo")],
    "no length": [start([(b"content-type", b"text/plain")]), body(b"hello")],
    "no content": [start([], 204), body(b"")],
    "last one": [start([*PLAIN, (b"connection", b"close")]), body(b"hello")],
    "too short": [start(PLAIN), body(b"hell")],
    "too long": [start(PLAIN), body(b"hello you")],
    "two lines in a header": [start([*PLAIN, (b"x-name", b"a\r\nset-cookie: b")]), body(b"hello")],
    "nothing": [],
    "a body first": [body(b"hello")],
}
REQUESTS = {
    "get": b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "head": b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n",
    "post": b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\nab",
    "last": b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    "old": b"GET / HTTP/1.0\r\nhost: x\r\n\r\n",
    "three at once": b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 3,
}


class Line(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        assert not self.closed, "written after it was closed"
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ARG002
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


async def said(kind: type[HttpToolsProtocol], request: bytes, answer: list[dict[str, Any]]) -> Line:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for message in answer:
            await send(message)

    config = Config(app, server_header=False, date_header=False, access_log=False, log_level="critical", lifespan="off")
    config.load()
    state, line = ServerState(), Line()
    state.default_headers = [(b"x-usual", b"1")]
    protocol = kind(config=config, server_state=state, app_state={})
    protocol.connection_made(line)
    protocol.data_received(request)
    for _ in range(20):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    return line


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_the_same_bytes(request_: str, answer: str) -> None:
    one, other = (
        asyncio.run(said(kind, REQUESTS[request_], ANSWERS[answer])) for kind in (HttpToolsProtocol, OneWriteProtocol)
    )
    assert b"".join(one.writes) == b"".join(other.writes)
    assert one.closed == other.closed


def test_a_whole_answer_is_one_write() -> None:
    line = asyncio.run(said(OneWriteProtocol, REQUESTS["get"], ANSWERS["whole"]))
    assert line.writes == [
        b"HTTP/1.1 200 OK\r\nx-usual: 1\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
    ]


def test_a_head_without_a_body_is_a_fault_of_ours() -> None:
    line = asyncio.run(said(OneWriteProtocol, REQUESTS["get"], [start(PLAIN)]))
    assert b"".join(line.writes).startswith(b"HTTP/1.1 500 ")
    assert line.closed


def test_another_uvicorn_goes_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    assert one_write._FITS
    monkeypatch.setattr(one_write, "_FITS", False)
    line = asyncio.run(said(OneWriteProtocol, REQUESTS["get"], ANSWERS["whole"]))
    assert len(line.writes) == 2


async def seen(*sent: bytes, gone: bool = False) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What an application finds in the scope, and what it is told, when bytes arrive before it begins."""
    scopes: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(dict(scope))
        messages.append(await receive())
        for message in ANSWERS["whole"]:
            await send(message)

    config = Config(app, access_log=False, log_level="critical", lifespan="off")
    config.load()
    protocol = OneWriteProtocol(config=config, server_state=ServerState(), app_state={})
    protocol.connection_made(Line())
    for data in sent:
        protocol.data_received(data)
    if gone:
        protocol.connection_lost(None)
    for _ in range(20):
        await asyncio.sleep(0)
    if not gone:
        protocol.connection_lost(None)
    return scopes[0], messages


def posted(length: int, body: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join([b"POST / HTTP/1.1", b"host: x", b"content-length: %d" % length, *headers, b"", body])


def test_a_body_that_is_there_is_told_at_once() -> None:
    for sent in ([posted(2, b"ab")], [posted(2, b""), b"a", b"b"]):
        scope, messages = asyncio.run(seen(*sent))
        assert scope[ARRIVED] == b"ab"
        assert messages[0] == {"type": "http.request", "body": b"ab", "more_body": False}  # to others as ever


def test_one_that_is_not_is_waited_for() -> None:
    for sent in (posted(3, b"ab"), posted(2, b"ab", b"expect: 100-continue"), posted(70_000, b"a" * 70_000)):
        assert ARRIVED not in asyncio.run(seen(sent))[0]
    scope, messages = asyncio.run(seen(posted(2, b"ab"), gone=True))  # nobody waits for the answer
    assert ARRIVED not in scope
    assert messages == [{"type": "http.disconnect"}]


@pytest.mark.parametrize("packed", [False, True])
def test_a_body_that_is_there_is_read_without_asking(packed: bool) -> None:
    async def never() -> Any:
        raise AssertionError("asked for what is there")

    def request() -> Request:
        headers = [(b"content-encoding", b"gzip")] if packed else []
        scope = {"method": "POST", "path": "/", "headers": headers, ARRIVED: gzip.compress(b"ab") if packed else b"ab"}
        return Request(scope, never)

    async def read_twice() -> None:
        one, other = request(), request()
        assert one.arrived
        assert await one.body(100) == b"ab"
        assert not one.arrived
        assert b"".join([piece async for piece in other.pieces(100)]) == b"ab"
        with pytest.raises(Refused, match="longer than 1 byte"):
            await request().body(1)

    asyncio.run(read_twice())


def connected(story: Any, seconds: float = 60.0) -> None:
    """A connection on which nothing has come yet."""

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await asyncio.sleep(0.05)
        for message in ANSWERS["whole"]:
            await send(message)

    async def all_of_it() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(one_write, "_HEAD_SECONDS", seconds)
            protocol = OneWriteProtocol(Config(app, log_level="critical"), ServerState(), {})
            line = Line()
            protocol.connection_made(line)
            await story(protocol, line)
            protocol.connection_lost(None)
            assert protocol._clock is None

    asyncio.run(all_of_it())


@pytest.mark.parametrize("piece", [b"x-a: " + b"b" * 995, b"b" * 1000])
def test_a_head_that_never_ends(piece: bytes) -> None:
    """Many headers, or one."""

    async def story(protocol: OneWriteProtocol, line: Line) -> None:
        end = b"\r\n" if piece.startswith(b"x") else b""
        protocol.data_received(b"GET / HTTP/1.1\r\nhost: x" + (end or b"\r\nx-a: "))
        count = 0
        while not line.closed:
            protocol.data_received(piece + end)
            count += 1
        assert 60 < count < 70
        assert line.writes[-1].startswith(b"HTTP/1.1 431 ")

    connected(story)


def test_a_long_body_is_no_head() -> None:
    async def story(protocol: OneWriteProtocol, line: Line) -> None:
        for _ in range(3):
            protocol.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 300000\r\n\r\n")
            for _ in range(3):
                protocol.data_received(b"x" * 100_000)
            await asyncio.sleep(0.1)
        assert not line.closed
        assert b"".join(line.writes).count(b"200 OK") == 3

    connected(story)


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", b"\r\n"])
def test_a_connection_that_sends_no_request_is_closed(sent: bytes) -> None:
    async def story(protocol: OneWriteProtocol, line: Line) -> None:
        if sent == b"\r\n":  # also behind an answer
            protocol.data_received(REQUESTS["get"])
            await asyncio.sleep(0.15)
        for letter in sent:
            protocol.data_received(bytes([letter]))
        await asyncio.sleep(0.05)
        assert not line.closed
        await asyncio.sleep(0.2)
        assert line.closed

    connected(story, 0.15)


def test_an_answer_may_take_longer_than_a_head() -> None:
    async def story(protocol: OneWriteProtocol, line: Line) -> None:
        protocol.data_received(REQUESTS["get"])
        await asyncio.sleep(0.2)
        assert line.writes
        assert not line.closed  # until it has been silent for as long as uvicorn says

    connected(story, 0.01)
