"""A text as it is written: its pieces, and for a row of any columns a route that tells them as server-sent events."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json, to_json

from trueweight.bundle.asked import written_target
from trueweight.data.table import Table
from trueweight.nn.decoding import Decoding, decoding
from trueweight.serve.doorkeeper import Guest
from trueweight.serve.exchange import JSON, Reply, Request
from trueweight.serve.hosted import Hosted, told_of
from trueweight.serve.refusals import Refused
from trueweight.serve.routes import Route
from trueweight.serve.rows import read_rows
from trueweight.serve.writing import Spent, Wanted

if TYPE_CHECKING:
    from trueweight.serve.app import Application, Asked

__all__ = ["Streaming", "broken_off", "pieces_of", "while_there"]

_WISHES = ("temperature", "top_k", "top_p", "repetition_penalty", "stop", "max_tokens")


class Streaming:
    """Handlers; see :class:`~trueweight.serve.answering.Answering`."""

    def __init__(self, app: "Application") -> None:
        self._app = app

    def routes(self) -> list[Route]:
        """Ours."""
        return [Route("POST", "/v1/models/{name}/write", "predict", self.write)]

    async def write(self, request: Request, guest: Guest, name: str, asked: "Asked") -> Reply:
        """The text for one row, piece by piece: ``{"rows": [{…}], "temperature": …, "max_tokens": …}``.

        Without wishes it is the text that ``predict`` answers.
        """
        hosted = self._app.hosted(name)
        asked.model, asked.digest = name, hosted.bundle.manifest.digest
        if request.kind not in ("", JSON):
            raise Refused(415, "what is to be written is asked for in JSON", hint='send {"rows": [{…}]}')
        body = await self._app.read(request)
        rows = read_rows(JSON, body, hosted.bounds, hosted.reading)
        if rows.count > 1:
            raise Refused(413, f"{rows.count:,} rows: one is written at a time", hint="predict answers many")
        how, seed, target = _wished(from_json(body))
        self._app.limits.require(how)
        table = hosted.table(rows)
        self._app.charge(guest, 1)
        asked.rows = 1
        texts = pieces_of(self._app, hosted, lambda: table, target=target, how=how, seed=seed)
        pieces = self._pieces(request, texts)
        events = broken_off(request, pieces, lambda refused: _event("error", refused.problem()))
        return Reply(kind="text/event-stream", pieces=events)

    async def _pieces(self, request: Request, texts: AsyncGenerator[str, None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(while_there(request, texts)) as pieces:
            async for piece in pieces:
                yield _event("piece", {"text": piece})
        yield _event("end", {})


async def broken_off(
    request: Request, events: AsyncGenerator[bytes, None], last: Callable[[Refused], bytes]
) -> AsyncGenerator[bytes, None]:
    """Events of an answer. What goes wrong before the first of them is raised, and takes the answer's place; once its
    status is sent, a last event says why it breaks off.

    Args:
        request: That is answered; it is noted there.
        events: Of one answer.
        last: Makes that event, in the form that the answer's readers know.
    """
    begun = False
    try:
        async with aclosing(events):
            async for event in events:
                begun = True
                yield event
    except Exception as error:
        if not begun:
            raise
        refused = told_of(error)
        request.broke(refused.status)
        yield last(refused)


async def while_there(request: Request, texts: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    """The pieces of a text until whoever asked goes away: at once, also while it waits for its first piece."""
    gone = asyncio.ensure_future(request.gone())
    coming: asyncio.Future[str | None] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(texts, None))
            await asyncio.wait((coming, gone), return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                request.left()
                return
            if (piece := coming.result()) is None:
                return
            yield piece
    finally:
        gone.cancel()
        if coming is not None and not coming.done():
            coming.cancel()
            with suppress(asyncio.CancelledError):
                await coming
        await texts.aclose()


async def pieces_of(
    app: "Application", hosted: Hosted, table: Callable[[], Table], *, target: str | None, how: Decoding, seed: int,
    spent: Spent | None = None,
) -> AsyncGenerator[str, None]:  # fmt: skip
    """One row's text as it is written; in the running batch if it can be.

    Args:
        app: Whose batch and threads.
        hosted: The model.
        table: Makes the row.
        target: To be written; None for the only one that is a text.
        how: To write.
        seed: Of what is drawn.
        spent: Told what it took, where it is written in the running batch.
    """
    written_target(hosted.bundle.signature, target)  # refuses what is no text
    scribe = app.scribe(hosted, how)
    if scribe is not None:
        texts_of = scribe.stream(lambda: Wanted.of(hosted.bundle, table(), how, seed), app.limits.seconds, spent)
        async with aclosing(texts_of) as pieces:
            async for piece in pieces:
                yield piece
        return
    texts, begun = hosted.bundle.stream_table(table(), target=target, how=how, seed=seed), False
    while (text := await app.texts.run(_next, texts, begun=begun)) is not None:
        begun = True
        yield text


def _next(pieces: Iterator[Any]) -> str | None:
    """The next piece of text; None at the end."""
    for piece in pieces:
        if not piece.ends:
            return str(piece.text)
    return None


def _wished(body: Any) -> tuple[Decoding, int, str | None]:
    """How to write, from which seed, and which target.

    Raises:
        SpecError: Values that make no sense.
    """
    told: Mapping[str, Any] = body if isinstance(body, dict) and isinstance(body.get("rows"), list) else {}
    wishes = {name: told[name] for name in _WISHES if told.get(name) is not None}
    seed, target = told.get("seed"), told.get("target")
    return (
        decoding(**wishes),
        seed if isinstance(seed, int) and not isinstance(seed, bool) else 0,
        target if isinstance(target, str) else None,
    )


def _event(kind: str, told: Mapping[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + to_json(told) + b"\n\n"
