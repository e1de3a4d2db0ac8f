"""Routes that answer rows: ours, the Open Inference Protocol's, and bulk that streams in and out."""

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
from pydantic_core import from_json, to_json

from trueweight.bundle.bundle import dirt_words
from trueweight.data.frames import arrow_array
from trueweight.data.sniff import layout_of
from trueweight.data.write import write_columns
from trueweight.serve.doorkeeper import Guest
from trueweight.serve.exchange import Reply, Request, json_reply
from trueweight.serve.hosted import Columns, Hosted, plain_rows
from trueweight.serve.kserve import answers_v2, rows_v2
from trueweight.serve.refusals import Refused
from trueweight.serve.routes import Route
from trueweight.serve.rows import ARROW, Rows, arrow_bytes, read_rows, require_size
from trueweight.serve.streaming import broken_off

if TYPE_CHECKING:
    from trueweight.serve.app import Application, Asked

__all__ = ["Answering", "seconds_of"]

_STREAM_ROWS = 512
_STREAM_BYTES = 2**18

_TRUE = ("1", "true", "yes")

_Found = TypeVar("_Found")


class Answering:
    """Handlers. Each is given the request, who asks, the model's name, and where to say what was asked."""

    def __init__(self, app: "Application") -> None:
        self._app = app

    def routes(self) -> list[Route]:
        """Ours."""
        return [
            Route("POST", "/v1/models/{name}/predict", "predict", self.predict),
            Route("POST", "/v2/models/{name}/infer", "predict", self.infer),
        ]

    async def predict(self, request: Request, guest: Guest, name: str, asked: "Asked") -> Reply:
        """One answer for each row, in their order."""
        hosted = self._begin(name, asked)
        noted = False
        if request.raw_query:
            query = request.query()
            noted = query.get("notes", "").lower() in _TRUE
            seconds = seconds_of(query.get("timeout"), self._app.limits.seconds)
            if query.get("stream", "").lower() in _TRUE:
                return self._streamed(request, guest, hosted, asked)
        else:
            seconds = self._app.limits.seconds
        body = await self._app.read(request)
        kind = request.kind
        said = request.header(b"content-type")
        rows = read_rows(kind, body, hosted.bounds, hosted.reading, said, empty=True)
        columns = await self._ask(request, guest, hosted, rows, seconds, asked)
        if noted:  # what could not be read, of these rows alone: it takes another look at them
            return json_reply(
                _told(hosted, columns, rows.count) | {"notes": await self._app.slow.run(_notes, hosted, rows)}
            )
        return _answered(request.header(b"accept"), hosted, columns, rows.count)

    def _begin(self, name: str, asked: "Asked") -> Hosted:
        hosted = self._app.hosted(name)
        asked.model, asked.digest = name, hosted.bundle.manifest.digest
        return hosted

    async def _ask(
        self, request: Request, guest: Guest, hosted: Hosted, rows: Rows, seconds: float, asked: "Asked"
    ) -> Columns:
        self._app.charge(guest, rows.count)
        asked.rows += rows.count
        rows.of = hosted
        found: Columns = await self._app.ask(request, hosted.name, rows, seconds)
        return found

    async def _ask_on(self, request: Request, guest: Guest, hosted: Hosted, rows: Rows, asked: "Asked") -> Columns:
        """The same for rows of a stream that has begun. Whoever sends it cannot come again later: they wait where
        others would be told to, and the rest of the stream with them."""

        async def charged() -> None:
            self._app.charge(guest, rows.count)

        async def answered() -> Columns:
            found: Columns = await self._app.ask(request, hosted.name, rows, self._app.limits.seconds)
            return found

        await _in_turn(charged)
        asked.rows += rows.count
        rows.of = hosted
        return await _in_turn(answered)

    def _streamed(self, request: Request, guest: Guest, hosted: Hosted, asked: "Asked") -> Reply:
        """Answers as rows arrive. Once the first are sent, JSON Lines end with an object that says what went wrong; CSV
        has no room for it and breaks off."""
        if request.kind not in _RUNS:
            raise Refused(415, "only CSV and JSON Lines are read as a stream", hint=f"send one of {', '.join(_RUNS)}")
        csv = request.kind == "text/csv"
        pieces = self._pieces(request, guest, hosted, asked, csv=csv)
        if csv:
            return Reply(kind="text/csv; charset=utf-8", pieces=pieces)
        return Reply(kind="application/x-ndjson", pieces=broken_off(request, pieces, _last_line))

    async def _pieces(
        self, request: Request, guest: Guest, hosted: Hosted, asked: "Asked", *, csv: bool
    ) -> AsyncGenerator[bytes, None]:
        """Answers to a stream, some rows at a time."""
        reading, first = hosted.reading, True
        limits = self._app.limits
        async for run in _RUNS[request.kind](request.pieces(limits.stream), limits.body):
            if csv and first:  # the first rows say what parts cells, in all of them
                reading = reading.model_copy(update={"delimiter": layout_of("the request", run, None).delimiter})
            rows = read_rows(request.kind, run, hosted.bounds, reading)
            if first:
                columns = await self._ask(request, guest, hosted, rows, self._app.limits.seconds, asked)
            else:
                columns = await self._ask_on(request, guest, hosted, rows, asked)
            written = _written(columns, "csv" if csv else "jsonl")
            yield written if first or not csv else written.partition(b"\n")[2]
            first = False
        if first:
            raise Refused(422, "there is no row in the body")

    async def infer(self, request: Request, guest: Guest, name: str, asked: "Asked") -> Reply:
        """The Open Inference Protocol."""
        hosted = self._begin(name, asked)
        try:
            wish = from_json(await self._app.read(request), allow_inf_nan=False)
        except ValueError as error:
            raise Refused(400, f"the body is not JSON: {str(error)[:200]}") from None
        rows = require_size(rows_v2(wish), hosted.bounds)
        if not rows.count:
            raise Refused(422, "there is no row in the inputs")
        columns = await self._ask(request, guest, hosted, rows, self._app.limits.seconds, asked)
        return json_reply(answers_v2(hosted, columns, wish.get("id")))


def _last_line(refused: Refused) -> bytes:
    return to_json({"error": refused.problem()}) + b"\n"


async def _in_turn(step: Callable[[], Awaitable[_Found]]) -> _Found:
    """What a step gives, once it is not too much any more."""
    while True:
        try:
            return await step()
        except Refused as refused:
            again = refused.headers.get("retry-after", "")
            if refused.status != 429 or not again.isdigit():
                raise
        await asyncio.sleep(int(again))


def seconds_of(said: str | None, most: float) -> float:
    """What ``?timeout=`` says, at most so many.

    Raises:
        Refused: It is no number of seconds.
    """
    if said is None:
        return most
    try:
        seconds = float(said)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise Refused(400, f"timeout={said[:20]!r} is no number of seconds above 0")
    return min(seconds, most)


def _answered(accept: str, hosted: Hosted, columns: Columns, count: int) -> Reply:
    if "text/csv" in accept:
        return Reply(_written(columns, "csv"), kind="text/csv; charset=utf-8")
    if ARROW in accept:
        table = pa.table({name: arrow_array(values) for name, values in columns.items()})
        return Reply(arrow_bytes(table), kind=ARROW)
    if "ndjson" in accept:
        return Reply(_written(columns, "jsonl"), kind="application/x-ndjson")
    return Reply(to_json(_told(hosted, columns, count), inf_nan_mode="null"))


def _told(hosted: Hosted, columns: Columns, count: int) -> dict[str, Any]:
    return {"model": hosted.name, "digest": hosted.bundle.manifest.digest, "predictions": plain_rows(columns, count)}


def _notes(hosted: Hosted, rows: Rows) -> list[str]:
    return dirt_words(hosted.bundle.signature, hosted.table(rows))


def _written(columns: Columns, form: str) -> bytes:
    sink = io.BytesIO()
    write_columns(columns, sink, form)
    return sink.getvalue()


async def _line_runs(pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """JSON Lines in runs of whole lines, none longer than so many bytes."""
    rest = b""
    async for piece in pieces:
        rest += piece
        while (end := _end_of_run(rest)) > 0:
            run, rest = rest[:end], rest[end:]
            if run.strip():
                yield run
        _refuse_endless(rest, most)
    if rest.strip():
        yield rest


def _end_of_run(text: bytes) -> int:
    """Where a run of about ``_STREAM_ROWS`` lines ends; 0 if there are not so many yet."""
    place = 0
    for _ in range(_STREAM_ROWS):
        end = text.find(b"\n", place) + 1
        if end == 0:
            return 0
        place = end
        if place >= _STREAM_BYTES:
            break
    return place


def _refuse_endless(rest: bytes, most: int) -> None:
    """A row that never ends would be kept until there is no memory left."""
    if len(rest) > most:
        raise Refused(413, f"a row of a stream is longer than {most:,} bytes", hint="is a quote never closed?")


async def _csv_runs(pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """CSV in runs of whole rows, each behind the header; no row longer than so many bytes."""
    header, rest = b"", b""
    async for piece in pieces:
        rest += piece
        if not header:
            end = _row_end(rest, 1)
            if not end:
                _refuse_endless(rest, most)
                continue
            header, rest = rest[:end], rest[end:]
        while len(rest) >= _STREAM_BYTES and (end := _row_end(rest, _STREAM_ROWS)):
            run, rest = rest[:end], rest[end:]
            yield header + run
        _refuse_endless(rest, most)
    if header and rest.strip():
        yield header + rest


def _row_end(text: bytes, rows: int) -> int:
    """Where so many rows end, or as many as there are; 0 where not one does. Line breaks within quotes end none."""
    place = found = quotes = start = 0
    while rows and (end := text.find(b"\n", place) + 1):
        quotes += text.count(b'"', start, end)
        place = start = end
        if quotes % 2 == 0:
            found, rows = end, rows - 1
    return found


_RUNS: Mapping[str, Callable[[AsyncIterator[bytes], int], AsyncIterator[bytes]]] = {
    "text/csv": _csv_runs, "application/x-ndjson": _line_runs, "application/jsonl": _line_runs,
}  # fmt: skip
"""How a stream is cut into rows, by its kind."""
