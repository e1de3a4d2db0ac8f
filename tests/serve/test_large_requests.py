"""A request of many rows to a model that writes is read a few at a time: nobody else's text stands still for it."""

import asyncio
import base64
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.serve.conftest import taught, wav
from tests.serve.test_promises import Exchange

from trueweight import decoding
from trueweight.api.serving import verbs_for
from trueweight.bundle.bundle import Bundle
from trueweight.data.frames import from_frame
from trueweight.data.table import Table
from trueweight.errors import DataError
from trueweight.model.predictors import orders as orders_module
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.serve.app import Application
from trueweight.serve.limits import Limits
from trueweight.serve.transport import Answer, MemoryTransport

PREDICT = "/v1/models/hears/predict"
HOW = decoding(temperature=1.2, max_tokens=6, samples=2)


def sounds(count: int, seed: int = 0) -> list[dict[str, Any]]:
    return [{"voice": wav(float(pitch))} for pitch in np.random.default_rng(seed).uniform(200, 2000, count)]


@pytest.fixture(scope="module")
def hears(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Writes a word or two of a sound; has learnt next to nothing."""
    rows = sounds(40)
    spec = {
        "features": {"voice": {"type": "audio", "sample_rate": 8000, "encoder": {"type": "cnn", "channels": [8]}}},
        "targets": {"words": {"type": "text", "tokens": "characters", "decoder": {"type": "lstm", "width": 16}}},
        "train": {"budget": {"steps": 8}, "batch_size": 16},
    }  # fmt: skip
    columns = {
        "voice": [row["voice"] for row in rows],
        "words": [f"{'low' if n % 2 else 'high'} {n % 5}" for n in range(40)],
    }
    return taught("hears", spec, columns, tmp_path_factory.mktemp("hears"))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were decoded at once, each time."""
    found: list[int] = []
    own = NetworkPredictor.feed

    def feed(self: NetworkPredictor, table: Table, **more: Any) -> Any:
        found.append(len(table))
        return own(self, table, **more)

    monkeypatch.setattr(NetworkPredictor, "feed", feed)
    return found


def test_rows_are_read_when_there_is_a_slot_for_them(hears: Bundle, read: list[int]) -> None:
    batch = hears.writing_together(6)
    assert batch is not None
    large, other = from_frame(sounds(50, 1)), from_frame(sounds(3, 2))
    orders = [batch.order(large, HOW, 7), batch.order(other, HOW, 8)]
    assert read == []
    batch.step()
    assert 0 < sum(read) <= 12
    while batch.busy:
        batch.step()
    assert sum(read) == 53
    assert max(read) <= 6
    for order, table, seed in zip(orders, (large, other), (7, 8), strict=True):
        found, expected = hears.told(table, order.answer or {}), hears.predict_columns(table, how=HOW, seed=seed)
        assert list(found) == list(expected)
        for column, values in expected.items():
            same = found[column].tolist() == values.tolist()
            assert np.allclose(found[column], values, atol=1e-4) if column.endswith("logp") else same


def test_how_many_are_read_at_once_follows_from_how_long_it_takes(
    hears: Bundle, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that take long one by one, quick ones together."""
    for budget, most in ((0.0, 1), (1e9, 16)):
        read.clear()
        monkeypatch.setattr(orders_module, "READING", budget)
        batch = hears.writing_together(16)
        assert batch is not None
        batch.order(from_frame(sounds(40, 3)), decoding(max_tokens=2), 0)
        while batch.busy:
            batch.step()
        assert read[-2] == most
        assert sum(read) == 40


def test_rows_that_cannot_be_read_fail_their_own_order(
    hears: Bundle, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that come late in it: its texts leave their slots, and the others are written."""
    batch = hears.writing_together(4)
    assert batch is not None
    own = hears.predictor.feed  # type: ignore[attr-defined]  # a leaf

    def spoilt(self: NetworkPredictor, table: Table, **more: Any) -> Any:
        if len(table) and table.column("voice")[0].as_py() == bad:
            raise DataError("no such sound", where="voice")
        return own(table, **more)

    rows = sounds(12, 4)
    bad = rows[4]["voice"]
    monkeypatch.setattr(orders_module, "READING", 0.0)
    monkeypatch.setattr(NetworkPredictor, "feed", spoilt)
    fails, good = batch.order(from_frame(rows), HOW, 0), batch.order(from_frame(rows[:2]), HOW, 0)
    complete = []
    while batch.busy:
        complete += batch.step()
    assert set(complete) == {fails, good}
    assert "no such sound" in str(fails.failed)
    assert fails.answer is None
    assert good.answer is not None


def test_a_short_request_is_answered_while_a_large_one_is_in_work(hears: Bundle, read: list[int]) -> None:
    many, few = sounds(400, 5), sounds(1, 6)

    async def story() -> None:
        app = Application({"hears": hears}, verbs_for(), limits=Limits(slots=8))
        await app.start()
        large = Exchange(app, PREDICT, many)
        while not read:
            await asyncio.sleep(0.001)
        short = await Exchange(app, PREDICT, few).answer()
        assert not large.task.done()
        assert sum(read) < 200  # of four hundred
        long = await large.answer()
        await app.stop()
        assert (short.status, long.status) == (200, 200)
        found = [row["words"] for row in json.loads(long.body)["predictions"]]
        assert found == [row["words"] for row in hears.predict(many)]
        assert json.loads(short.body)["predictions"][0]["words"] == hears.predict(few)[0]["words"]

    asyncio.run(story())


def test_the_files_of_a_large_request_are_looked_at_elsewhere(hears: Bundle) -> None:
    """Before it is their turn, and also while nobody else can write: what is wrong with them is told at once."""
    gate = threading.Event()

    async def story() -> None:
        app = Application({"hears": hears}, verbs_for())
        await app.start()
        app._slots.submit(gate.wait, 30)
        try:
            answer = await asyncio.wait_for(Exchange(app, PREDICT, [*sounds(40), {"voice": "a/path.wav"}]).answer(), 20)
        finally:
            gate.set()
        assert (answer.status, "row 40" in json.loads(answer.body)["detail"]) == (422, True)
        assert app.queued() == {"hears": 0}
        assert (await Exchange(app, PREDICT, sounds(1)).answer()).status == 200
        await app.stop()

    asyncio.run(story())


def test_a_prompt_is_no_way_to_a_file_either(
    hears: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Of OpenAI's interface: what the model reads is a sound, and a text would be its path."""
    monkeypatch.chdir(tmp_path)
    (row,) = sounds(1, 8)
    (tmp_path / "a.wav").write_bytes(base64.b64decode(row["voice"].partition(",")[2]))
    transport = MemoryTransport(Application({"hears": hears}, verbs_for()))

    def asked(prompt: str, **more: Any) -> Answer:
        body = json.dumps({"model": "hears", "prompt": prompt, "temperature": 0, **more}).encode()
        return transport.send("POST", "/v1/completions", {"content-type": "application/json"}, body)

    for more in ({}, {"stream": True}):
        refused = asked("a.wav", **more)
        assert (refused.status, "a text is no audio" in json.loads(refused.body)["error"]["message"]) == (422, True)
    assert asked(row["voice"]).status == 200
    transport.close()
