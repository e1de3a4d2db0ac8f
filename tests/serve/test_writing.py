"""Texts of many requests in one running batch: the answers of the Predictor alone, whoever comes, goes or fails."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from functools import partial
from typing import Any

import pytest
from tests.serve.conftest import WORDS, taught

from trueweight import decoding
from trueweight.api.serving import verbs_for
from trueweight.bundle.bundle import Bundle
from trueweight.data.frames import from_frame
from trueweight.errors import DataError
from trueweight.model.predictors.running import Running
from trueweight.model.protocols import GREEDY, Decoding
from trueweight.serve.app import Application
from trueweight.serve.exchange import Request
from trueweight.serve.limits import Limits
from trueweight.serve.refusals import Refused
from trueweight.serve.transport import MemoryTransport
from trueweight.serve.writing import Scribe, Wanted

DRAWN = decoding(temperature=1.3, max_tokens=14)


def running(bundle: Bundle, slots: int) -> Running:
    found = bundle.writing_together(slots)
    assert found is not None
    return found


def table(bundle: Bundle, texts: list[str]) -> Any:
    return from_frame({"line" if bundle.name == "reader" else "words": texts})


@pytest.mark.parametrize("name", ["novel", "reader"])
def test_orders_that_come_and_go_are_answered_as_by_the_predictor(name: str, request: pytest.FixtureRequest) -> None:
    bundle: Bundle = request.getfixturevalue(name)
    batch, rows = running(bundle, 3), ["the c", "a dog ran to", "", "the bird sang a song 3", "a fish", "x"]
    wishes = [
        (GREEDY, 0), (DRAWN, 4), (decoding(temperature=0.9, top_k=4, samples=3, max_tokens=6), 1),
        (decoding(stop=["a"], temperature=1.0), 2), (decoding(repetition_penalty=1.6, max_tokens=9), 0),
    ]  # fmt: skip
    orders, complete = [], []
    for number, (how, seed) in enumerate(wishes):
        orders.append(batch.order(table(bundle, rows[: 6 - number]), how, seed))
        complete += [one for _ in range(2) for one in batch.step()]
    lost = batch.order(table(bundle, rows), GREEDY, 0)
    batch.step()
    lost.gone = True
    while batch.busy:
        complete += batch.step()
    assert set(complete) == set(orders)
    for number, (order, (how, seed)) in enumerate(zip(orders, wishes, strict=True)):
        asked = table(bundle, rows[: 6 - number])
        found, expected = bundle.told(asked, order.answer or {}), bundle.predict_columns(asked, how=how, seed=seed)
        assert list(found) == list(expected)
        for column, values in expected.items():
            same = found[column].tolist() == values.tolist()
            assert pytest.approx(values, abs=1e-4) == found[column] if column.endswith("logp") else same


def test_whoever_comes_later_need_not_wait_for_all_of_a_large_order(novel: Bundle) -> None:
    batch = running(novel, 2)
    large = batch.order(table(novel, WORDS * 20), DRAWN, 0)
    batch.step()
    small = batch.order(table(novel, ["the"]), decoding(max_tokens=3), 0)
    for _ in range(20):
        if small in batch.step():
            break
    assert small.answer is not None
    assert large.answer is None


def test_what_no_batch_can_hold(novel: Bundle, plain: Bundle) -> None:
    assert plain.writing_together(4) is None
    batch = running(novel, 4)
    assert batch.takes(DRAWN)
    assert not batch.takes(decoding(beams=2))
    assert not batch.takes(Decoding(forced=True))


def test_after_a_failure_the_batch_writes_as_before(novel: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one order: it alone is told. Of the step itself: everybody is let go, and the next ones are written."""
    batch, asked = running(novel, 2), table(novel, ["the", "a d"])
    head = novel.predictor.network.texts("words")  # type: ignore[attr-defined]  # a leaf of one network
    good = type(head).gathered

    def spoilt(self: Any, row_N: Any, token_N: Any, logp_N: Any, rows: int, how: Decoding) -> Any:
        if how.max_steps == 3:
            raise RuntimeError("no room")
        return good(self, row_N, token_N, logp_N, rows, how)

    monkeypatch.setattr(type(head), "gathered", spoilt)
    bad, fine = batch.order(asked, decoding(max_tokens=3), 0), batch.order(asked, DRAWN, 1)
    while batch.busy:
        batch.step()
    assert isinstance(bad.failed, RuntimeError)
    assert novel.told(asked, fine.answer or {})["words"].tolist() == list(
        novel.predict({"words": ["the", "a d"]}, how=DRAWN, seed=1)["words"]
    )
    batch.order(asked, DRAWN, 0)
    batch.step()
    next(iter(batch._owner)).how = None  # type: ignore[assignment]  # the next line-up fails in the middle
    batch._slots._line = None
    with pytest.raises(AttributeError):
        batch.step()
    batch.clear()
    assert not batch.busy
    again = batch.order(asked, DRAWN, 1)
    while again.answer is None:
        batch.step()
    assert novel.told(asked, again.answer)["words"].tolist() == novel.told(asked, fine.answer or {})["words"].tolist()


# --- The scribe ------------------------------------------------------------------------------------------------------


def wanted(bundle: Bundle, texts: list[str], how: Decoding = GREEDY, seed: int = 0) -> Any:
    def make() -> Wanted:
        asked = table(bundle, texts)
        return Wanted(asked, how, seed, partial(bundle.told, asked))

    return make


def tell(bundle: Bundle, story: Any, **limits: int) -> None:
    """Run a story with a scribe."""

    async def all_of_it() -> None:
        bounds = Limits(**limits)
        with ThreadPoolExecutor(1) as pool:
            await story(Scribe(running(bundle, bounds.slots), pool, pool, bounds, lambda _: None))

    asyncio.run(all_of_it())


def test_requests_share_the_batch_and_streams_are_the_same_in_pieces(novel: Bundle) -> None:
    prompts = ["the", "a d", "", "the bird sang"]

    async def story(scribe: Scribe) -> None:
        async def streamed(text: str, seed: int) -> str:
            async with aclosing(scribe.stream(wanted(novel, [text], DRAWN, seed), 30)) as pieces:
                return "".join([piece async for piece in pieces])

        whole = [scribe.ask(wanted(novel, [text], DRAWN, seed), 1, 30) for seed, text in enumerate(prompts)]
        parts = [streamed(text, seed) for seed, text in enumerate(prompts)]
        answers = await asyncio.gather(*whole, *parts)
        for seed, text in enumerate(prompts):
            expected = novel.predict({"words": [text]}, how=DRAWN, seed=seed)["words"][0]
            assert answers[seed]["words"][0] == answers[len(prompts) + seed] == expected
        assert scribe.rows == 0

    tell(novel, story, slots=3)


def test_a_request_that_fails_or_goes_takes_no_other_with_it(novel: Bundle) -> None:
    async def story(scribe: Scribe) -> None:
        def bad() -> Wanted:
            raise DataError("no such column", where="words")

        good = asyncio.create_task(scribe.ask(wanted(novel, ["the"], DRAWN, 5), 1, 30))
        goes = asyncio.create_task(scribe.ask(wanted(novel, ["a"] * 50, DRAWN), 50, 30))
        await asyncio.sleep(0.005)
        with pytest.raises(Refused, match="no such column"):
            await scribe.ask(bad, 1, 30)
        goes.cancel()
        assert (await good)["words"][0] == novel.predict({"words": ["the"]}, how=DRAWN, seed=5)["words"][0]
        with pytest.raises(asyncio.CancelledError):
            await goes
        async with aclosing(scribe.stream(wanted(novel, ["the"], DRAWN), 30)) as pieces:
            assert await anext(pieces)  # and is not read to its end
        assert scribe.rows == 0
        assert (await scribe.ask(wanted(novel, ["a"], DRAWN), 1, 30))["words"].shape == (1,)

    tell(novel, story, slots=2)


def test_too_many_are_told_to_come_again_and_the_late_are_let_go(novel: Bundle) -> None:
    held = threading.Event()

    async def story(scribe: Scribe) -> None:
        def slow() -> Wanted:
            assert held.wait(20)
            found: Wanted = wanted(novel, ["the"])()
            return found

        first = asyncio.create_task(scribe.ask(slow, 1, 30))
        await asyncio.sleep(0.01)
        late = asyncio.create_task(scribe.ask(wanted(novel, ["a"]), 1, 0.01))
        await asyncio.sleep(0.05)
        with pytest.raises(Refused) as refused:
            await scribe.ask(wanted(novel, ["b"] * 3), 3, 30)
        assert refused.value.status == 429
        assert int(refused.value.headers["retry-after"]) >= 1
        held.set()
        assert (await first)["words"].shape == (1,)
        with pytest.raises(Refused, match="was over"):
            await late

    tell(novel, story, queued=4)


# --- Over HTTP -------------------------------------------------------------------------------------------------------


@pytest.fixture
def server(novel: Bundle, reader: Bundle) -> Iterator[MemoryTransport]:
    app = Application({"novel": novel, "reader": reader}, verbs_for(), limits=Limits(slots=4))
    transport = MemoryTransport(app)
    yield transport
    transport.close()


def post(server: MemoryTransport, path: str, asked: Any) -> Any:
    reply = server.send("POST", path, {"content-type": "application/json"}, json.dumps(asked).encode())
    assert reply.status == 200, reply.body
    return reply


def test_all_routes_share_the_batch_while_models_are_swapped(
    server: MemoryTransport, reader: Bundle, novel: Bundle
) -> None:
    texts = [f"{line} {n}" for line in WORDS for n in range(2)]
    done = threading.Event()

    def swapping() -> int:
        times = 0
        while not done.is_set():
            post(server, "/v1/models/novel/reload", {})
            times += 1
        return times

    def one(number: int) -> bool:
        text = texts[number]
        if number % 3 == 0:
            told = json.loads(post(server, "/v1/models/reader/predict", [{"line": text}, {"line": "x"}]).body)
            expected = reader.predict({"line": [text, "x"]})["words"]
            return [row["words"] for row in told["predictions"]] == list(expected)
        how = decoding(temperature=0.8, max_tokens=11)
        wish = {"model": "novel", "prompt": text, "seed": number, "temperature": 0.8, "max_tokens": 11}
        expected = novel.predict({"words": [text]}, how=how, seed=number)["words"][0]
        if number % 3 == 1:
            return bool(json.loads(post(server, "/v1/completions", wish).body)["choices"][0]["text"] == expected)
        events = post(server, "/v1/completions", wish | {"stream": True}).body.decode().strip().split("\n\n")[:-1]
        pieces = [json.loads(event.removeprefix("data: "))["choices"][0]["text"] for event in events]
        return "".join(pieces) == expected

    with ThreadPoolExecutor(9) as pool:
        swaps = pool.submit(swapping)
        try:
            assert all(pool.map(one, range(len(texts))))
        finally:
            done.set()
        assert swaps.result() >= 1
    assert b'trueweight_rows_total{model="reader"}' in server.send("GET", "/metrics", {}, b"").body


def test_beams_are_searched_beside_the_batch(server: MemoryTransport, novel: Bundle, tmp_path: Any) -> None:
    decoder = {"type": "transformer", "width": 16, "heads": 2, "layers": 1}
    spec = {"targets": {"words": {"type": "text", "tokens": "characters", "decoder": decoder, "beams": 3}}}
    wide = taught("wide", spec, {"words": [f"{line} {n}" for line in WORDS for n in range(15)]}, tmp_path)
    transport = MemoryTransport(Application({"wide": wide}, verbs_for()))
    try:
        wish = {"model": "wide", "prompt": ["the", "a"], "temperature": 0, "max_tokens": 8}
        told = json.loads(post(transport, "/v1/completions", wish).body)["choices"]
        expected = wide.predict({"words": ["the", "a"]}, how=decoding(temperature=0.0, max_tokens=8))["words"]
        assert [one["text"] for one in told] == list(expected)
        streamed = json.dumps(wish | {"prompt": "the", "stream": True}).encode()
        reply = transport.send("POST", "/v1/completions", {"content-type": "application/json"}, streamed)
        assert reply.status == 422
        assert "only at the end" in json.loads(reply.body)["error"]["message"]
    finally:
        transport.close()


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({"max_tokens": 10**12}, "max_tokens"), ({"stop": ["x"] * 17}, "stop"), ({"stop": 5}, "stop"),
        ({"n": 10**9, "temperature": 1}, "samples"),
    ],
)  # fmt: skip
def test_nobody_may_ask_for_more_than_the_batch_has_room_for(wish: dict[str, Any], word: str, novel: Bundle) -> None:
    transport = MemoryTransport(Application({"novel": novel}, verbs_for()), 60)
    kind = {"content-type": "application/json"}
    body = json.dumps({"model": "novel", "prompt": "the"} | wish).encode()
    reply = transport.send("POST", "/v1/completions", kind, body)
    assert (reply.status, word in json.loads(reply.body)["error"]["message"]) == (400, True)
    if "n" not in wish:
        body = json.dumps({"rows": [{"words": "the"}]} | wish).encode()
        assert transport.send("POST", "/v1/models/novel/write", kind, body).status == 422
    transport.close()


def test_a_body_that_is_still_being_read_is_not_listened_to() -> None:
    """Whoever watches for the client to go must not take the pieces of its body from whoever reads them."""

    async def story() -> None:
        messages = [{"type": "http.request", "body": b"%d" % n, "more_body": n < 3} for n in range(4)]

        async def receive() -> Any:
            await asyncio.sleep(0)
            return messages.pop(0) if messages else {"type": "http.disconnect"}

        request = Request({"method": "POST", "path": "/", "headers": []}, receive)
        found, pieces = [], request.pieces(100)
        async for piece in pieces:
            watching = asyncio.create_task(request.gone())
            await asyncio.sleep(0.01)
            assert not watching.done()
            watching.cancel()
            found.append(piece)
        assert b"".join(found) == b"0123"
        await asyncio.wait_for(request.gone(), 1)

    asyncio.run(story())


def test_what_was_accepted_is_written_when_the_server_is_told_to_stop(novel: Bundle) -> None:
    uvicorn = pytest.importorskip("uvicorn")
    from tests.serve.test_server import free_port

    from trueweight.serve.client import HttpTransport

    port = free_port()
    app = Application({"novel": novel}, verbs_for())
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
    wish = {"model": "novel", "prompt": ["the c"] * 60, "max_tokens": 20, "temperature": 1.0, "seed": 1}
    with ThreadPoolExecutor(1) as pool, closing(HttpTransport(f"http://127.0.0.1:{port}", 60)) as link:
        sent = pool.submit(
            link.send, "POST", "/v1/completions", {"content-type": "application/json"}, json.dumps(wish).encode()
        )
        while not app.queued()["novel"] and not sent.done():
            time.sleep(0.001)
        server.should_exit = True  # what SIGTERM sets
        told = json.loads(sent.result(60).body)["choices"]
    thread.join(20)
    expected = novel.predict({"words": ["the c"] * 60}, how=decoding(temperature=1.0, max_tokens=20), seed=1)["words"]
    assert [one["text"] for one in told] == list(expected)
