"""A server that stops while somebody waits: 503 for whoever has no answer yet, in the words that its reader knows."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.serve.conftest import WORDS, taught
from tests.serve.test_promises import Exchange

from trueweight import application, decoding
from trueweight.api.serving import verbs_for
from trueweight.bundle.bundle import Bundle
from trueweight.serve.app import Application
from trueweight.serve.limits import Limits
from trueweight.serve.transport import MemoryTransport

COMPLETE, WRITE, PREDICT = "/v1/completions", "/v1/models/novel/write", "/v1/models/novel/predict"
SAID = "the server is stopping"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Writes a text and answers something else: in no running batch."""
    lines = [f"{line} {n}" for line in WORDS for n in range(15)]
    spec = {"features": {"kind": "category"}, "targets": {
        "words": {"type": "text", "tokens": "characters", "decoder": {"type": "lstm", "width": 16}}, "sea": "binary",
    }}  # fmt: skip
    columns = {"kind": [line[0] for line in lines], "words": lines, "sea": ["fish" in line for line in lines]}
    return taught("both", spec, columns, tmp_path_factory.mktemp("both"))


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds threads until it is set; is set in the end."""
    gate = threading.Event()
    yield gate
    gate.set()


class Watched(Exchange):
    """Does something when the first piece of an answer has been sent."""

    def __init__(self, app: Application, path: str, asked: Any, then: Callable[[], Any]) -> None:
        self._then: Callable[[], Any] | None = then
        super().__init__(app, path, asked)

    async def _send(self, message: Any) -> None:
        await super()._send(message)
        if message.get("body") and self._then is not None:
            then, self._then = self._then, None
            await then()


def told(answer: Any) -> str:
    found = json.loads(answer.body)
    return str(found["error"]["message"] if "error" in found else found["detail"])


def with_app(bundle: Bundle, story: Callable[[Application], Any], **limits: int) -> None:
    async def all_of_it() -> None:
        await story(Application({bundle.name: bundle}, verbs_for(), limits=Limits(**limits)))

    asyncio.run(all_of_it())


def test_whoever_waits_for_any_thread_is_told(novel: Bundle, both: Bundle, gate: threading.Event) -> None:
    """By the same words and status, whether its work waits for a thread or would have come to it later."""
    wish = {"model": "novel", "prompt": "the", "max_tokens": 5}
    asked: list[tuple[str, Any]] = [
        (COMPLETE, wish), (COMPLETE, wish | {"stream": True}), (WRITE, {"rows": [{"words": "the"}]}),
        (PREDICT, [{"words": "a"}]), ("/v1/models/both/predict", [{"kind": "a"}]),
        ("/v1/models/both/write", {"rows": [{"kind": "a"}]}), ("/v1/models/both/explain", {"rows": [{"kind": "a"}]}),
    ]  # fmt: skip

    async def all_of_it() -> None:
        app = Application({"novel": novel, "both": both}, verbs_for())
        await app.start()
        for pool in (app._worker, app._slots, app.reasons._pool, app.texts._pool):
            pool.submit(gate.wait, 30)
        waiting = [Exchange(app, path, body) for path, body in asked]
        await asyncio.sleep(0.2)
        assert not any(one.task.done() for one in waiting)
        await app.stop()
        late = [Exchange(app, path, body) for path, body in asked]
        for one in waiting + late:
            answer = await asyncio.wait_for(one.answer(), 10)
            assert (answer.status, told(answer)) == (503, SAID)

    asyncio.run(all_of_it())


@pytest.mark.parametrize("path", [COMPLETE, WRITE])
def test_a_stream_that_has_begun_ends_with_an_error_of_its_own_form(
    path: str, novel: Bundle, gate: threading.Event
) -> None:
    how = decoding(temperature=2.5, max_tokens=2000)
    long = next(
        seed for seed in range(100) if len(novel.predict({"words": ["t"]}, how=how, seed=seed)["words"][0]) > 60
    )
    wish = {"temperature": 2.5, "max_tokens": 2000, "seed": long, "stream": True, "model": "novel", "prompt": "t"}

    async def story(app: Application) -> None:
        assert app.scribe(app.models["novel"], how) is not None
        await app.start()

        async def stop() -> None:
            app._slots.submit(gate.wait, 30)  # no turn comes any more
            await app.stop()

        exchange = Watched(app, path, wish | {"rows": [{"words": "t"}]}, stop)
        answer = await asyncio.wait_for(exchange.answer(), 20)
        assert answer.status == 200
        last = answer.body.decode().strip().split("\n\n")[-1]
        if path == COMPLETE:
            said = json.loads(last.removeprefix("data: "))["error"]
            assert (said["message"], said["type"]) == (SAID, "server_error")
        else:
            kind, data = last.split("\n")
            assert kind == "event: error"
            assert (json.loads(data.removeprefix("data: "))["status"], SAID in data) == (503, True)

    with_app(novel, story)


def test_other_threads_need_not_wait_for_an_answer_that_never_comes(novel: Bundle, gate: threading.Event) -> None:
    app = application(novel)
    transport = MemoryTransport(app)
    app._slots.submit(gate.wait, 30)
    body = json.dumps([{"words": "the"}]).encode()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(transport.send, "POST", PREDICT, {"content-type": "application/json"}, body)
        while not app._scribes[app.models["novel"]].rows:
            time.sleep(0.001)
        transport.close()
        answer = asked.result(10)
    assert (answer.status, told(answer)) == (503, SAID)


def test_a_stream_that_has_begun_waits_where_others_are_refused(both: Bundle, gate: threading.Event) -> None:
    """Outside the running batch, texts are written in a thread of their own, for which only so many may wait."""
    asked = {"rows": [{"kind": "a"}]}

    async def story(app: Application) -> None:
        refused: list[Any] = []

        async def crowd() -> None:
            other = asyncio.create_task(app.texts.run(gate.wait, 30))
            await asyncio.sleep(0)
            refused.append(await Refusable(app, "/v1/models/both/write", asked).answer())
            asyncio.get_running_loop().call_later(0.1, gate.set)
            refused.append(other)

        begun = await Watched(app, "/v1/models/both/write", asked, crowd).answer()
        answer, other = refused
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")  # before anything was sent
        assert json.loads(answer.body)["detail"] == "other texts are being written"
        events = [event.split("\n") for event in begun.body.decode().strip().split("\n\n")]
        assert events[-1][0] == "event: end"
        pieces = [json.loads(data.removeprefix("data: ")) for kind, data in events if kind == "event: piece"]
        assert "".join(piece["text"] for piece in pieces) == both.predict([{"kind": "a"}])[0]["words"]
        assert len(pieces) > 1
        assert await other

    with_app(both, story, written=1)


class Refusable(Exchange):
    """With the headers of the answer."""

    async def answer(self) -> Any:
        found = await super().answer()
        headers = {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}
        return type(found)(found.status, headers, found.body)
