"""Together when it is busy, at once when it is not, in turn, and without whoever has gone."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from trueweight.serve.batching import Batcher
from trueweight.serve.limits import Limits
from trueweight.serve.refusals import Refused
from trueweight.serve.rows import Rows


class Slow:
    """Answers each request with its own number once it is let."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, several: Any) -> list[Any]:
        self.batches.append([rows.records[0]["n"] for rows in several])
        assert self.go.wait(10)
        return [rows.records[0]["n"] for rows in several]


def rows(number: int, count: int = 1) -> Rows:
    return Rows(count, frozenset(), [{"n": number}] * count)


def run(story: Any, **limits: Any) -> Slow:
    slow = Slow()

    async def all_of_it() -> None:
        with ThreadPoolExecutor(1) as pool:
            await story(Batcher(slow, pool, Limits(**limits), lambda _: None), slow)

    asyncio.run(all_of_it())
    return slow


def test_what_waits_is_answered_together() -> None:
    async def story(batcher: Batcher, slow: Slow) -> None:
        tasks = [asyncio.create_task(batcher.ask(rows(0), 10))]
        await asyncio.sleep(0.05)
        tasks += [asyncio.create_task(batcher.ask(rows(n), 10)) for n in range(1, 8)]
        await asyncio.sleep(0.05)
        slow.go.set()
        assert await asyncio.gather(*tasks) == list(range(8))

    assert run(story, batch=5).batches == [[0], [1, 2, 3, 4, 5], [6, 7]]


def test_too_many_are_told_to_come_again() -> None:
    async def story(batcher: Batcher, slow: Slow) -> None:
        first = asyncio.create_task(batcher.ask(rows(0), 10))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(batcher.ask(rows(1, 4), 10))
        await asyncio.sleep(0)
        with pytest.raises(Refused) as refused:
            await batcher.ask(rows(2, 2), 10)
        assert refused.value.status == 429
        assert int(refused.value.headers["retry-after"]) >= 1
        slow.go.set()
        await asyncio.gather(first, second)

    run(story, queued=5)


def test_whoever_has_gone_or_waited_too_long_is_left_out() -> None:
    async def story(batcher: Batcher, slow: Slow) -> None:
        first = asyncio.create_task(batcher.ask(rows(0), 10))
        await asyncio.sleep(0.05)
        gone, late, good = (asyncio.create_task(batcher.ask(rows(n), s)) for n, s in ((1, 10), (2, 0.01), (3, 10)))
        await asyncio.sleep(0.05)
        gone.cancel()
        slow.go.set()
        assert await first == 0
        with pytest.raises(Refused, match="was over"):
            await late
        assert await good == 3

    assert run(story).batches == [[0], [3]]


def test_a_model_that_fails_is_asked_again() -> None:
    calls = []

    def answer(several: Any) -> list[Any]:
        calls.append(len(several))
        if len(calls) == 1:
            raise RuntimeError("once")
        return [7] * len(several)

    async def story() -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(answer, pool, Limits(), lambda _: None)
            with pytest.raises(RuntimeError):
                await batcher.ask(rows(0), 1)
            assert await batcher.ask(rows(0), 1) == 7

    asyncio.run(story())
