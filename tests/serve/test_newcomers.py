"""Whoever comes is read, joins and is answered together with others, and is told what it would be told alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serve.test_writing import running, table

from trueweight import decoding
from trueweight.bundle.bundle import Bundle
from trueweight.data.table import Table
from trueweight.errors import DataError
from trueweight.model.predictors import orders
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.predictors.orders import Order, Pace
from trueweight.model.protocols import GREEDY, Decoding

TEXTS = st.sampled_from(["", "x", "the c", "a dog ran to", "the bird sang a song 3", "a fish swam " * 9])
WISHES = st.one_of(
    st.builds(lambda most: decoding(max_tokens=most), st.integers(1, 20)),
    st.builds(
        lambda most, temperature, top_k: decoding(max_tokens=most, temperature=temperature, top_k=top_k),
        st.integers(1, 20), st.sampled_from([0.7, 1.5]), st.sampled_from([None, 3]),
    ),
    st.sampled_from([
        GREEDY, decoding(repetition_penalty=1.6, max_tokens=9), decoding(stop=["a", "th"], temperature=1.0),
        decoding(temperature=0.9, samples=2, max_tokens=6),
    ]),
)  # fmt: skip
ARRIVALS = st.lists(
    st.tuples(st.integers(0, 3), st.lists(TEXTS, min_size=1, max_size=5), WISHES, st.integers(0, 2), st.booleans()),
    min_size=1, max_size=10,
)  # fmt: skip


def told_alone(bundle: Bundle, texts: list[str], how: Decoding, seed: int) -> dict[str, Any]:
    return bundle.predict_columns(table(bundle, texts), how=how, seed=seed)


def assert_told(bundle: Bundle, order: Order, expected: dict[str, Any]) -> None:
    assert order.failed is None
    found = bundle.told(order.table, order.answer or {})
    assert list(found) == list(expected)
    for column, values in expected.items():
        if column.endswith("logp"):
            np.testing.assert_allclose(found[column], values, atol=1e-4)
        else:
            assert found[column].tolist() == values.tolist()


@pytest.mark.parametrize("name", ["novel", "reader"])
def test_in_whatever_order_they_come_they_are_told_what_they_would_be_told_alone(
    name: str, request: pytest.FixtureRequest
) -> None:
    bundle: Bundle = request.getfixturevalue(name)

    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(ARRIVALS, st.integers(1, 24))
    def told(arrivals: list[Any], slots: int) -> None:
        batch = running(bundle, slots)
        asked = list[tuple[Order, Any]]()
        for steps, texts, how, seed, in_pieces in arrivals:
            for _ in range(steps):
                if batch.busy:
                    batch.step()
            pieces = in_pieces and len(texts) == how.samples == 1
            order = batch.order(table(bundle, texts), how, seed, pieces=pieces)
            asked.append((order, (texts, how, seed)))
        while batch.busy:
            batch.step()
        for order, wish in asked:
            assert_told(bundle, order, expected := told_alone(bundle, *wish))
            if order.spelling is not None:
                assert "".join(order.pieces) == expected["words"][0]

    told()


def crowd(bundle: Bundle, many: int, slots: int, **more: Any) -> tuple[Any, list[Order]]:
    batch = running(bundle, slots)
    return batch, [batch.order(table(bundle, ["the c"]), decoding(max_tokens=12), n, **more) for n in range(many)]


def test_a_crowd_is_read_once_joins_once_and_is_answered_once(reader: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = dict.fromkeys(("feed", "read"), 0)
    for name in calls:
        good = getattr(NetworkPredictor, name)

        def counted(*given: Any, _name: str = name, _good: Any = good, **more: Any) -> Any:
            calls[_name] += 1
            return _good(*given, **more)

        monkeypatch.setattr(NetworkPredictor, name, counted)
    monkeypatch.setattr(orders, "_FIRST", 16)
    batch, asked = crowd(reader, 12, 16)
    batch.step()
    assert len(batch._owner) == 12
    assert calls["feed"] == 1
    while batch.busy:
        batch.step()
    ways = len({len(order.written[0]) for order in asked})  # those that end in the same step
    assert calls["read"] == ways < 12


def test_rows_that_cannot_be_read_fail_their_own_order_alone(reader: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    good = NetworkPredictor.feed

    def picky(self: NetworkPredictor, asked: Table, **more: Any) -> Any:
        if "bad" in asked.column("line").to_pylist():
            raise DataError("not to be read", where="line")
        return good(self, asked, **more)

    monkeypatch.setattr(NetworkPredictor, "feed", picky)
    batch, how = running(reader, 8), decoding(max_tokens=5)
    texts = ["the cat", "bad", "a dog", "a fish"]
    asked, failed = [batch.order(table(reader, [text]), how, 0) for text in texts], []
    while batch.busy:
        failed += [order for order in batch.step() if order.failed is not None]
    assert failed == [asked[1]]
    assert isinstance(asked[1].failed, DataError)
    for order, text in zip(asked, texts, strict=True):
        if order is not asked[1]:
            assert_told(reader, order, told_alone(reader, [text], how, 0))


def test_newcomers_wait_for_others_but_not_for_long(novel: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 24 that are written, three more are many enough; one alone waits until its time is over."""
    from trueweight.model.predictors import running as module

    now = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    batch = running(novel, 40)
    how = decoding(max_tokens=400, temperature=1.0)
    for seed in range(24):
        batch.order(table(novel, ["the c"] * 1), how, seed)
    batch.step()
    batch.step()
    there = len(batch._owner)
    assert there > 16
    first = batch.order(table(novel, ["a"]), how, 0)
    batch.step()
    assert first.slotted == 0
    now[0] += 1.0
    batch.step()
    assert first.slotted == 1
    more = [batch.order(table(novel, ["a"]), how, seed) for seed in range(4)]
    batch.step()
    assert all(order.slotted == 1 for order in more)


def test_a_crowd_with_long_beginnings_stops_nobody(novel: Bundle) -> None:
    """Between two tokens of those who are written only so many tokens of prompts are gone through."""
    batch = running(novel, 16)
    stream = batch.order(table(novel, ["a"]), decoding(max_tokens=30, temperature=1.0), 1, pieces=True)
    batch.step()
    batch._prompts = Pace(10, 10, 1e9)
    crowd = [batch.order(table(novel, ["the c"]), decoding(max_tokens=30), 0) for _ in range(8)]
    for step in range(1, 5):
        batch.step()
        assert sum(order.slotted for order in crowd) == 2 * step
        assert len(stream.written[0]) == 1 + step


def test_slots_are_as_many_as_there_is_memory_for(novel: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    from trueweight.model.predictors import running as module

    assert running(novel, 500).slots == 500
    monkeypatch.setattr(module, "_MEMORY", 1)
    assert running(novel, 500).slots == 32
    assert running(novel, 5).slots == 5


def test_a_pace_follows_what_it_takes() -> None:
    pace = Pace(4, 16, 0.01)
    found = []
    for seconds in (0.001, 0.001, 0.001, 0.007, 0.02, 1, 1, 1, 1):
        pace.took(seconds)
        found.append(pace.now)
    assert found == [8, 16, 16, 16, 8, 4, 2, 1, 1]
