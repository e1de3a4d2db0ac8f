"""One small model with every type of column, and an application that serves it, without sockets."""

import base64
import io
import json
import logging
import struct
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueweight import api
from trueweight.api.serving import verbs_for
from trueweight.bundle.bundle import Bundle
from trueweight.serve.app import Application
from trueweight.serve.audit import AuditLog
from trueweight.serve.keys import SCOPES, KeyStore
from trueweight.serve.limits import Limits
from trueweight.serve.transport import Answer, MemoryTransport

ROWS = 60

WORDS = ["the cat sat on the mat", "a dog ran to the door", "the bird sang a song", "a fish swam in the sea"]

SPEC = {
    "name": "every",
    "data": {"primary_key": "key"},
    "features": {
        "amount": "number", "kind": "category", "member": "binary", "day": "date", "tags": "set",
        "place": {"type": "vector"}, "note": "text", "curve": "timeseries", "photo": "image",
        "voice": {"type": "audio", "sample_rate": 8000},
    },
    "targets": {"won": "binary", "cost": "number"},
    "model": {"members": [{"name": "line", "encoder": "linear", "fusion": "concat", "fitter": "solve"}]},
    "evaluate": {"interval": {"n_resamples": 100}, "checks": []},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _heard_again() -> Iterator[None]:
    """What a worker does to its logs is for its process; other tests want to hear of warnings."""
    before = logging.getLogger("trueweight.bundle").level
    yield
    logging.getLogger("trueweight.bundle").setLevel(before)


def png(colour: tuple[int, int, int]) -> str:
    from PIL import Image

    sink = io.BytesIO()
    Image.new("RGB", (6, 6), colour).save(sink, "PNG")
    return "data:image/png;base64," + base64.b64encode(sink.getvalue()).decode()


def wav(pitch: float) -> str:
    sink = io.BytesIO()
    with wave.open(sink, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        tone = np.sin(2 * np.pi * pitch * np.arange(1600) / 8000)
        file.writeframes(b"".join(struct.pack("<h", int(20000 * value)) for value in tone))
    return "data:audio/wav;base64," + base64.b64encode(sink.getvalue()).decode()


def made_up(rows: int = ROWS, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of every type, and what they lead to."""
    rng = np.random.default_rng(seed)
    found = []
    for row in range(rows):
        amount, kind = float(rng.normal().__round__(3)), str(rng.choice(["red", "green", "blue"]))
        score = amount + (kind == "red")
        found.append({
            "key": row, "amount": amount, "kind": kind, "member": bool(rng.integers(2)),
            "day": f"2026-0{rng.integers(1, 10)}-1{rng.integers(10)}",
            "tags": [str(tag) for tag in ("new", "big", "odd") if rng.integers(2)],
            "place": [float(value.__round__(3)) for value in rng.normal(size=3)],
            "note": " ".join(rng.choice(["late", "paid", "twice", "never", "again"], 4)),
            "curve": [float(value.__round__(3)) for value in rng.normal(size=8)],
            "photo": png(tuple(int(v) for v in rng.integers(0, 255, 3))), "voice": wav(float(rng.uniform(200, 2000))),
            "won": "yes" if score > 0.3 else "no", "cost": round(10 + 3 * score, 3),
        })  # fmt: skip
    return found


def _trained(folder: Path, spec: dict[str, Any], rows: list[dict[str, Any]]) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRUEWEIGHT_CACHE", str(folder / "cache"))
        patch.setenv("TRUEWEIGHT_STATE", str(folder / "state"))
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return api.train(folder / "rows.jsonl", spec=spec, out=folder / "run")


@pytest.fixture(scope="session")
def every(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Trained once for all tests of this folder."""
    return _trained(tmp_path_factory.mktemp("served"), SPEC, made_up())


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A number and a category: quickly explained."""
    features = {"amount": "number", "kind": "category"}
    spec = SPEC | {"name": "plain", "data": {}, "features": features, "targets": {"won": "binary"}}
    rows = [{name: row[name] for name in ("amount", "kind", "won")} for row in made_up(80)]
    return _trained(tmp_path_factory.mktemp("plain"), spec, rows)


@pytest.fixture(scope="session")
def teller(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Writes a few words of a category: next to nothing is learnt in so few steps."""
    words = {"red": "stop and wait", "green": "walk on now", "blue": "turn around"}
    spec: dict[str, Any] = {
        "name": "teller", "features": {"kind": "category"},
        "targets": {"words": {"type": "text", "tokens": "characters", "decoder": {"type": "lstm", "width": 16}}},
        "model": {"encoder": "mlp"}, "train": {"budget": {"steps": 30}, "batch_size": 16},
        "evaluate": {"checks": [], "baselines": [], "interval": {"n_resamples": 100}},
    }  # fmt: skip
    rows = [{"kind": kind, "words": f"{text} {place}"} for place in range(20) for kind, text in words.items()]
    return _trained(tmp_path_factory.mktemp("teller"), spec, rows)


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    """New rows, with what is missing or was never seen among them."""
    rows = made_up(6, seed=9)
    for row in rows:
        del row["won"], row["cost"]
    rows[1]["kind"] = "violet"
    rows[2] |= dict.fromkeys(("amount", "tags", "note", "photo"))
    del rows[3]["voice"]
    return rows


Make = Callable[..., MemoryTransport]


@pytest.fixture
def serving(every: Bundle, tmp_path: Path) -> Iterator[Make]:
    """Makes servers; they are stopped in the end."""
    running: list[MemoryTransport] = []

    def make(**more: Any) -> MemoryTransport:
        limits = Limits(**more.pop("limits", {}))
        audit = AuditLog(tmp_path / "audit.jsonl") if more.pop("audit", False) else None
        bundles = more.pop("bundles", {"every": every})
        app = Application(bundles, more.pop("verbs", verbs_for()), audit=audit, limits=limits, **more)
        running.append(MemoryTransport(app))
        return running[-1]

    yield make
    for one in running:
        one.close()


Ask = Callable[..., Answer]


@pytest.fixture
def ask(serving: Make) -> Ask:
    """Asks an open server."""
    transport = serving()

    def one(method: str, path: str, body: Any = b"", kind: str = "application/json", **headers: str) -> Answer:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return transport.send(method, path, {"content-type": kind} | named, content)

    return one


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys.sqlite")


@pytest.fixture
def all_scopes() -> tuple[str, ...]:
    return SCOPES


def taught(name: str, spec: dict[str, Any], columns: dict[str, Any], folder: Any) -> Bundle:
    """A small model that writes ``words``."""
    decoder = {"type": "transformer", "width": 16, "heads": 2, "layers": 1}
    whole = {
        "name": name, "targets": {"words": {"type": "text", "tokens": "characters", "decoder": decoder}},
        "model": {"encoder": "mlp"}, "train": {"budget": {"steps": 20}, "batch_size": 16},
        "evaluate": {"checks": [], "baselines": [], "interval": {"n_resamples": 100}},
    } | spec  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRUEWEIGHT_CACHE", str(folder / "cache"))
        patch.setenv("TRUEWEIGHT_STATE", str(folder / "state"))
        return api.train(columns, spec=whole, out=folder / name)


@pytest.fixture(scope="module")
def novel(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A language model that has learnt next to nothing."""
    return taught(
        "novel", {}, {"words": [f"{line} {n}" for line in WORDS for n in range(15)]}, tmp_path_factory.mktemp("n")
    )


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One that reads a text to write another."""
    lines = [f"{line} {n}" for line in WORDS for n in range(15)]
    reading = {"features": {"line": {"type": "text", "encoder": {"type": "gru", "hidden_size": 16}}}}
    columns = {"line": lines, "words": [line[::-1] for line in lines]}
    return taught("reader", reading, columns, tmp_path_factory.mktemp("reader"))
