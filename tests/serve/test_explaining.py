"""Explanations take long: they end with their time or their client, and keep nobody else waiting."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.serve.test_promises import PREDICT, ROWS, Exchange

from trueweight.api.serving import verbs_for
from trueweight.bundle.bundle import Bundle
from trueweight.progress import may_stop
from trueweight.serve.app import Application
from trueweight.serve.limits import Limits
from trueweight.serve.transport import Answer

EXPLAIN = "/v1/models/plain/explain"


class Endless:
    """Explains for as long as it may."""

    def __init__(self) -> None:
        self.begun, self.ended = threading.Event(), threading.Event()
        self.times = 0

    def __call__(self, *_: object) -> dict[str, Any]:
        self.times += 1
        self.begun.set()
        try:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                may_stop()
                time.sleep(0.002)
        finally:
            self.ended.set()
        return {}


@contextmanager
def served(plain: Bundle, **limits: Any) -> Iterator[tuple[Application, Endless]]:
    endless = Endless()
    verbs = replace(verbs_for(), explain=endless)
    yield Application({"plain": plain}, verbs, limits=Limits(**limits)), endless


def told(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body)
    return found


def within(story: Any) -> None:
    async def all_of_it() -> None:
        async with asyncio.timeout(60):
            await story()

    asyncio.run(all_of_it())


def test_it_ends_with_its_time(plain: Bundle) -> None:
    with served(plain) as (app, endless):

        async def story() -> None:
            await app.start()
            answer = await Exchange(app, f"{EXPLAIN}?timeout=0.2", ROWS).answer()
            assert (answer.status, told(answer)["title"]) == (504, "Took too long")
            assert "not complete after 0.2 s" in told(answer)["detail"]
            assert "methods" in told(answer)["hint"]
            assert await asyncio.to_thread(endless.ended.wait, 10)  # its thread works on nothing that nobody wants
            assert (await Exchange(app, f"{EXPLAIN}?timeout=x", ROWS).answer()).status == 400
            await app.stop()

        within(story)


def test_the_limit_of_every_request_holds(plain: Bundle) -> None:
    with served(plain, seconds=0.2) as (app, _):

        async def story() -> None:
            await app.start()
            for more in ("", "?timeout=50"):
                assert (await Exchange(app, EXPLAIN + more, ROWS).answer()).status == 504
            await app.stop()

        within(story)


def test_it_ends_with_its_client(plain: Bundle) -> None:
    with served(plain) as (app, endless):

        async def story() -> None:
            await app.start()
            asking = Exchange(app, EXPLAIN, ROWS)
            await asyncio.to_thread(endless.begun.wait, 10)
            asking.gone.set()
            assert (await asking.answer()).status == 408
            assert await asyncio.to_thread(endless.ended.wait, 10)
            assert app.counters.requests["/v1/models/{name}/explain", 408] == 1
            await app.stop()

        within(story)


def test_who_waits_too_long_is_not_begun_and_too_many_are_told(plain: Bundle) -> None:
    with served(plain, slow=2) as (app, endless):

        async def story() -> None:
            await app.start()
            first = Exchange(app, EXPLAIN, ROWS)
            await asyncio.to_thread(endless.begun.wait, 10)
            second = Exchange(app, f"{EXPLAIN}?timeout=0.2", ROWS)
            await asyncio.sleep(0.05)
            third = await Exchange(app, EXPLAIN, ROWS).answer()
            assert (third.status, "other explanations" in told(third)["detail"]) == (429, True)
            assert (await second.answer()).status == 504
            first.gone.set()
            await first.answer()
            await asyncio.to_thread(endless.ended.wait, 10)
            await asyncio.to_thread(app.reasons._pool.submit(int).result, 10)  # whatever waited has had its turn
            assert endless.times == 1
            await app.stop()

        within(story)


def test_nobody_else_waits_for_it(plain: Bundle) -> None:
    """Predictions, with notes as the page asks for them, and reports."""
    with served(plain) as (app, endless):

        async def story() -> None:
            await app.start()
            asking = Exchange(app, EXPLAIN, ROWS)
            await asyncio.to_thread(endless.begun.wait, 10)
            for path in (PREDICT, f"{PREDICT}?notes=true"):
                answer = await Exchange(app, path, ROWS).answer()
                assert (answer.status, len(told(answer)["predictions"])) == (200, 2)
            assert not asking.task.done()
            asking.gone.set()
            await asking.answer()
            await app.stop()

        within(story)


@pytest.mark.parametrize("timeout", [0.02, 0.3])
def test_real_ones_end_wherever_they_are(timeout: float, every: Bundle, serving: Any) -> None:
    transport = serving()
    row = {"amount": 1.0, "kind": "red", "note": "paid late again", "curve": [1.0, 2.0, 3.0]}
    start = time.monotonic()
    body, kind = json.dumps([row]).encode(), {"content-type": "application/json"}
    assert transport.send("POST", f"/v1/models/every/explain?timeout={timeout}", kind, body).status == 504
    one = json.dumps({"rows": [row], "methods": ["counterfactual"], "target": "won"}).encode()
    assert transport.send("POST", "/v1/models/every/explain", kind, one).status == 200  # its turn comes soon
    assert time.monotonic() - start < 25
    assert every.name == "every"
