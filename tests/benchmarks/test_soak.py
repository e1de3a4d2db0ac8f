"""What the soak holds a server to: it must say so when an answer is lost or wrong, and when memory grows."""

import json
import random
from typing import Any

import numpy as np
import pytest
from benchmarks import soak
from benchmarks.soak_load import Client, same, spoilt

MB = 2**20
ENDED = {"exit": 0, "traceback": False, "audit": 9}


def seen(*sizes: float, swaps: int = 3, refused: int = 0) -> soak.Watched:
    memory = [(float(at), int(size * MB)) for at, size in enumerate(sizes)]
    return soak.Watched(memory, swaps, refused)


def told(**counts: int) -> dict[str, Any]:
    return {"counts": {"table 200": 90, "spoilt 400": 9, "left": 4} | counts, "rows": 200, "examples": []}


def test_what_holds() -> None:
    entry = soak.judged(told(), seen(*[400] * 60), 1.0, ENDED)
    assert (entry["broken"], entry["flatness"], entry["memory_mb"]) == ([], 1.0, [400, 400])
    assert soak.line(entry).startswith("90 right answers of 200 rows, 9 spoilt and 4 left requests, 3 swaps; 0 lost")
    assert soak.line(entry).endswith(": holds")


@pytest.mark.parametrize(
    ("broken", "counts", "watched", "ended"),
    [
        ("lost", {"lost": 1}, {}, {}), ("wrong", {"wrong": 1}, {}, {}), ("5xx", {"5xx": 1}, {}, {}),
        ("swaps", {}, {"refused": 1}, {}), ("swaps", {}, {"swaps": 0}, {}),
        ("stop", {}, {}, {"exit": 1}), ("stop", {}, {}, {"traceback": True}), ("audit", {}, {}, {"audit": -1}),
    ],
)  # fmt: skip
def test_what_does_not_hold(broken: str, counts: Any, watched: Any, ended: Any) -> None:
    entry = soak.judged(told(**counts), seen(*[400] * 60, **watched), 1.0, ENDED | ended)
    assert entry["broken"] == [broken]
    assert soak.line(entry).endswith(f"does not hold: {broken}")


def test_memory_that_grows() -> None:
    growing = np.linspace(400, 440, 600)
    entry = soak.judged(told(), seen(*growing), 10.0, ENDED)
    assert entry["broken"] == ["memory"]
    assert entry["settled"] == 120
    peaks = [400 + 300 * (at % 30 == 0) for at in range(600)]  # while a model is swapped both are there
    assert soak.judged(told(), seen(*peaks), 10.0, ENDED)["broken"] == []
    before = [200] * 120 + [400] * 480  # what is loaded at first does not count
    assert soak.judged(told(), seen(*before), 10.0, ENDED)["broken"] == []


def test_answers_are_held_against_the_model_they_name() -> None:
    known = {"sha256:a": [{"y": "yes", "y.p[yes]": 0.7, "y.set": ["yes"]}]}
    ask = {"kind": "table", "path": "/v1/models/table/predict", "type": "application/json", "body": "", "known": known}
    client = Client(1, "", [ask], 0)

    def judged(status: int, **answer: Any) -> dict[str, int]:
        client.counts.clear()
        client._judge("table", ask, status, json.dumps(answer).encode())
        return {what: n for what, n in client.counts.items() if what in ("wrong", "5xx", "busy")}

    near = [{"y": "yes", "y.p[yes]": 0.7 + 1e-6, "y.set": ["yes"]}]
    assert judged(200, digest="sha256:a", predictions=near) == {}
    assert judged(200, digest="sha256:b", predictions=near) == {"wrong": 1}
    assert judged(200, digest="sha256:a", predictions=[{**near[0], "y.p[yes]": 0.71}]) == {"wrong": 1}
    assert judged(200, digest="sha256:a", predictions=near * 2) == {"wrong": 1}
    assert judged(422) == {"wrong": 1}
    assert judged(429) == {"busy": 1}
    assert judged(500) == {"5xx": 1}
    assert same({"a": [1.0, None]}, {"a": [1.0 + 1e-9, None]})
    assert not same({"a": [1.0]}, {"a": [None]})


def test_bodies_are_spoilt_in_many_ways() -> None:
    ask = {"type": "application/json", "body": "eyJ4MCI6IDF9"}
    made = {spoilt(random.Random(seed), ask) for seed in range(100)}
    assert len({kind for kind, _ in made}) == 4
    assert len(made) > 10


def test_the_page() -> None:
    assert "Not measured yet" in soak.render([])
    entry = soak.judged(told(), seen(*[400] * 60), 1.0, ENDED)
    entry |= {
        "minutes": 10.0,
        "clients": 32,
        "workers": 1,
        "models": ["table"],
        "machine": "2 cores",
        "date": "2026-01-01",
        "by": "0.1.0",
    }
    page = soak.render([entry | {"swaps": 1}, entry])
    assert page.count("10 minutes, 32 clients, 1 workers**, table") == 1
    assert "3 swaps" in page
