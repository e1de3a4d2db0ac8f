"""What is promised to those who ask: swaps, stops, deadlines, going away, and keys that run out while it runs."""

import asyncio
import http.client
import json
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from tests.serve.conftest import SPEC, made_up
from tests.serve.test_server import Server, started, state

from trueweight import api
from trueweight.api.serving import make_worker, verbs_for
from trueweight.bundle.bundle import Bundle, open_bundle
from trueweight.errors import VerifyError
from trueweight.serve.app import Application
from trueweight.serve.audit import AuditLog, check_audit
from trueweight.serve.batching import Batcher
from trueweight.serve.doorkeeper import Doorkeeper
from trueweight.serve.keys import SCOPES, KeyStore
from trueweight.serve.limits import Limits
from trueweight.serve.refusals import Refused
from trueweight.serve.rows import Rows
from trueweight.serve.server import VARIABLE, Wish, opened
from trueweight.serve.transport import Answer

__all__ = ["started", "state"]  # fixtures

PREDICT = "/v1/models/plain/predict"
ROWS = [{"amount": 1.0, "kind": "red"}, {"amount": -0.4, "kind": "blue"}]


def won(reply: Any) -> tuple[float, ...]:
    return tuple(row["won.p[yes]"] for row in reply["predictions"])


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model of the same name that answers the other way round."""
    folder = tmp_path_factory.mktemp("other")
    features = {"amount": "number", "kind": "category"}
    spec = SPEC | {"name": "plain", "data": {}, "features": features, "targets": {"won": "binary"}}
    rows = [{"amount": -row["amount"], "kind": row["kind"], "won": row["won"]} for row in made_up(80)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return api.train(folder / "rows.jsonl", spec=spec, out=folder / "run")


class Exchange:
    """One request to an application on this event loop, whose client may go away."""

    def __init__(self, app: Application, path: str, rows: Any) -> None:
        self.gone = asyncio.Event()
        self.sent: list[Any] = []
        plain, _, query = path.partition("?")
        scope = {
            "type": "http", "method": "POST", "path": plain, "raw_path": plain.encode(), "query_string": query.encode(),
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        }  # fmt: skip
        self._body = [{"type": "http.request", "body": json.dumps(rows).encode(), "more_body": False}]
        self.task = asyncio.create_task(app(scope, self._receive, self._send))

    async def _receive(self) -> Any:
        if self._body:
            return self._body.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    async def answer(self) -> Answer:
        await self.task
        return Answer(self.sent[0]["status"], {}, b"".join(one.get("body", b"") for one in self.sent[1:]))


def with_app(bundle: Bundle, story: Callable[[Application], Any], **more: Any) -> None:
    async def all_of_it() -> None:
        app = Application({"plain": bundle}, verbs_for(), **more)
        await app.start()
        try:
            await story(app)
        finally:
            await app.stop()

    asyncio.run(all_of_it())


def swapped(there: Path, fresh: Path) -> None:
    """Another bundle in the place of the one that is served, as one renames a folder."""
    coming = there.with_suffix(".coming")
    shutil.copytree(fresh, coming)
    there.rename(there.with_suffix(f".{time.time_ns()}"))
    coming.rename(there)


def test_a_swap_loses_no_request_and_mixes_no_answer(plain: Bundle, other: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "plain.bundle"
    shutil.copytree(plain.path, folder)
    both = {bundle.manifest.digest: bundle.predict(ROWS) for bundle in (plain, other)}
    expected = {digest: [row["won.p[yes]"] for row in rows] for digest, rows in both.items()}
    assert expected[plain.manifest.digest] != pytest.approx(expected[other.manifest.digest], abs=0.05)

    async def story(app: Application) -> None:
        replies: list[Answer] = []
        done = False

        async def keep_asking() -> None:
            while not done:
                replies.append(await Exchange(app, PREDICT, ROWS).answer())

        asking = [asyncio.create_task(keep_asking()) for _ in range(8)]
        for fresh in (other, plain, other):
            swapped(folder, fresh.path)
            await app.reload("plain")
            seen = len(replies)
            while len(replies) < seen + 40:
                await asyncio.sleep(0.01)
        done = True
        await asyncio.gather(*asking)
        assert {reply.status for reply in replies} == {200}
        told = [json.loads(reply.body) for reply in replies]
        assert {one["digest"] for one in told} == expected.keys()
        for one in told:
            assert won(one) == pytest.approx(expected[one["digest"]], abs=1e-5)  # of the model that is named
        assert told[-1]["digest"] == other.manifest.digest

    with_app(open_bundle(folder), story)


def test_what_is_no_good_bundle_is_not_swapped_in(plain: Bundle, serving: Any, tmp_path: Path) -> None:
    folder = tmp_path / "plain.bundle"
    shutil.copytree(plain.path, folder)
    transport = serving(bundles={"plain": open_bundle(folder)})
    weights = next(folder.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    reply = transport.send("POST", "/v1/models/plain/reload", {}, b"")
    assert (reply.status, "cannot be served" in json.loads(reply.body)["detail"]) == (409, True)
    body = json.dumps(ROWS).encode()
    reply = transport.send("POST", PREDICT, {"content-type": "application/json"}, body)
    assert won(json.loads(reply.body)) == pytest.approx([row["won.p[yes]"] for row in plain.predict(ROWS)], abs=1e-5)


def test_a_model_of_another_name_is_not_swapped_in(plain: Bundle, every: Bundle, serving: Any, tmp_path: Path) -> None:
    """Whoever asks for the one must not be answered by the other, nor lose it with the next start."""
    folder = tmp_path / "plain.bundle"
    shutil.copytree(plain.path, folder)
    transport = serving(bundles={"plain": open_bundle(folder)})
    swapped(folder, every.path)
    reply = transport.send("POST", "/v1/models/plain/reload", {}, b"")
    assert (reply.status, "'every' and not 'plain'" in json.loads(reply.body)["detail"]) == (409, True)
    (model,) = json.loads(transport.send("GET", "/v1/models", {}, b"").body)["data"]
    assert model["digest"] == plain.manifest.digest
    wish = Wish([str(folder)], names=("plain",))  # as a worker or a replica that is to take another one's place
    with pytest.raises(VerifyError, match="plain would become every"):
        opened(wish, verbs_for())


def test_a_worker_tells_what_it_cannot_serve_in_a_line(
    plain: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "plain.bundle"
    shutil.copytree(plain.path, folder)
    weights = next(folder.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    monkeypatch.setenv(VARIABLE, json.dumps(asdict(Wish([str(folder)], names=("plain",)))))
    with pytest.raises(SystemExit) as left:
        make_worker()
    assert left.value.code == 1
    assert "not swapped" in caplog.text
    assert "was changed" in caplog.text


def test_one_of_several_processes_swaps_nothing_alone(plain: Bundle, serving: Any) -> None:
    reply = serving(bundles={"plain": plain}, alone=False).send("POST", "/v1/models/plain/reload", {}, b"")
    assert (reply.status, "SIGHUP" in json.loads(reply.body)["hint"]) == (409, True)


def test_deadlines_and_clients_that_went_away(plain: Bundle) -> None:
    async def story(app: Application) -> None:
        batcher, gate = app._batchers["plain"], threading.Event()
        batcher._plain = lambda: False  # as for models that take long, in a thread of its own

        async def busy(seconds: float) -> None:
            """The model's thread has something else to do."""
            app._worker.submit(gate.wait, 30)
            await asyncio.sleep(seconds)

        await busy(0)
        slow = Exchange(app, PREDICT, ROWS)
        await asyncio.sleep(0.4)
        gate.set()
        assert (await slow.answer()).status == 200
        assert not batcher.idle or batcher._batch_seconds >= 0.05  # it is known to be slow by now
        gate.clear()
        await busy(0)
        first = Exchange(app, PREDICT, ROWS)
        await asyncio.sleep(0.05)
        late, left = Exchange(app, f"{PREDICT}?timeout=0.05", ROWS), Exchange(app, PREDICT, ROWS)
        good = Exchange(app, PREDICT, ROWS)
        await asyncio.sleep(0.15)
        left.gone.set()
        assert (await left.answer()).status == 408  # at once, and nobody reads it
        gate.set()
        assert [(await one.answer()).status for one in (first, late, good)] == [200, 504, 200]
        assert app.counters.rows == {"plain": 3 * len(ROWS)}  # of slow, first and good alone
        assert batcher.rows == 0

    with_app(plain, story)


def test_a_quick_model_of_plain_columns_answers_on_the_loop(plain: Bundle, every: Bundle) -> None:
    async def story(app: Application) -> None:
        threads: set[str] = set()
        batcher = app._batchers["plain"]
        answer = batcher._answer

        def noted(rows: Any) -> Any:
            threads.add(threading.current_thread().name)
            return answer(rows)

        batcher._answer = noted
        batcher._quick = True
        assert (await Exchange(app, PREDICT, ROWS).answer()).status == 200
        assert threads == {threading.current_thread().name}
        threads.clear()
        batcher._quick = True
        many = ROWS * 100  # might take long, whatever few have taken
        assert (await Exchange(app, PREDICT, many).answer()).status == 200
        assert all(name.startswith("answers") for name in threads)

    with_app(plain, story)
    app = Application({"every": every, "plain": plain}, verbs_for())
    assert app.models["plain"].plain
    assert not app.models["every"].plain  # pictures, sounds, texts


def test_a_slow_answer_leaves_the_loop() -> None:
    from concurrent.futures import ThreadPoolExecutor

    threads: list[str] = []

    def answer(several: Any) -> list[Any]:
        threads.append(threading.current_thread().name)
        busy = time.thread_time() + (0.02 if len(threads) == 2 else 0)
        while time.thread_time() < busy:
            pass
        return [1] * len(several)

    async def story() -> None:
        with ThreadPoolExecutor(1, "answers") as pool:
            batcher = Batcher(answer, pool, Limits(), lambda _: None, lambda: True)
            for _ in range(3):
                await batcher.ask(Rows(1, frozenset(), [{}]), 10)

    asyncio.run(story())
    elsewhere = [name.startswith("answers") for name in threads]
    assert elsewhere == [True, False, True]  # the first one is not known to be quick; the second was not


def test_a_stop_waits_for_what_was_accepted(plain: Bundle, state: Path, started: list[Server]) -> None:
    server = Server(plain.path, state)
    started.append(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    head = {"authorization": f"Bearer {server.key}", "content-type": "application/x-ndjson", "content-length": "0"}
    lines = [json.dumps(ROWS[n % 2]).encode() + b"\n" for n in range(1000)]
    head["content-length"] = str(sum(map(len, lines)))
    connection.putrequest("POST", f"{PREDICT}?stream=true")
    for name, value in head.items():
        connection.putheader(name, value)
    connection.endheaders(b"".join(lines[:600]))
    time.sleep(0.5)
    server.process.terminate()
    time.sleep(0.5)
    connection.send(b"".join(lines[600:]))
    reply = connection.getresponse()
    found = [json.loads(line) for line in reply.read().splitlines()]
    connection.close()
    assert (reply.status, len(found)) == (200, 1000)
    assert server.process.wait(timeout=30) == 0


def test_several_processes_swap_on_a_signal(
    plain: Bundle, other: Bundle, state: Path, started: list[Server], tmp_path: Path
) -> None:
    import signal

    folder = tmp_path / "plain.bundle"
    shutil.copytree(plain.path, folder)
    server = Server(folder, state, "--workers", "2", "--open", "--no-audit")
    started.append(server)
    before = won(server.ask(PREDICT, ROWS))
    assert before == pytest.approx([row["won.p[yes]"] for row in plain.predict(ROWS)], abs=1e-5)
    swapped(folder, other.path)
    server.process.send_signal(signal.SIGHUP)
    digests: list[str] = []
    end = time.monotonic() + 180  # each of the new ones loads all there is to load; the old ones answer meanwhile
    while time.monotonic() < end and digests[-10:] != [other.manifest.digest] * 10:
        digests.append(server.ask(PREDICT, ROWS)["digest"])  # each is answered, by the one or the other
        time.sleep(0.05)
    assert digests[-10:] == [other.manifest.digest] * 10
    assert server.stop() == 0


def test_keys_run_out_while_it_runs(store: KeyStore) -> None:
    begun = time.time()
    now = [begun]
    short, _ = store.add("short", ["predict"], seconds=60)
    good, key = store.add("good", ["predict"])
    door = Doorkeeper(store, clock=lambda: now[0])
    door.admit(short, "predict")
    now[0] = begun + 59.5
    door.admit(short, "predict")
    now[0] = begun + 60.5  # the keys were read a second ago and are not read again
    with pytest.raises(Refused, match="expired"):
        door.admit(short, "predict")
    door.admit(good, "predict")
    store.revoke(key.id)
    now[0] += 1.1
    with pytest.raises(Refused, match="revoked"):
        door.admit(good, "predict")


def test_a_budget_is_kept_over_servers_and_starts(plain: Bundle, serving: Any, store: KeyStore) -> None:
    text, _ = store.add("five", SCOPES, budget=5)
    head = {"authorization": f"Bearer {text}", "content-type": "application/json"}
    body = json.dumps(ROWS).encode()
    first = serving(bundles={"plain": plain}, store=store)
    assert [first.send("POST", PREDICT, head, body).status for _ in range(3)] == [200, 200, 403]
    end = time.monotonic() + 20
    while store.all()[0].used != 4:  # written once for all requests since the last time, and soon
        assert time.monotonic() < end
        time.sleep(0.02)
    second = serving(bundles={"plain": plain}, store=store)
    assert second.send("POST", PREDICT, head, body).status == 403
    assert second.send("POST", PREDICT, head, json.dumps(ROWS[:1]).encode()).status == 200
    second.close()  # writes what is left
    assert store.all()[0].used == 5
    assert store.all()[0].state(time.time()) == "used up"


def test_keys_are_written_beside_readers(store: KeyStore) -> None:
    import sqlite3

    base = sqlite3.connect(store.path)
    assert base.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    base.close()


def test_whom_the_engine_cancels_is_noted(plain: Bundle, tmp_path: Path) -> None:
    async def story(app: Application) -> None:
        gate = threading.Event()
        app._worker.submit(gate.wait, 30)
        asking = Exchange(app, PREDICT, ROWS)
        await asyncio.sleep(0.05)
        asking.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking.task
        gate.set()

    with_app(plain, story, audit=AuditLog(tmp_path / "log.jsonl"))
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    (line,) = [line for line in map(json.loads, lines) if "status" in line]
    assert (line["status"], line["rows"]) == (499, 2)


def test_the_last_lines_wait_for_those_before(plain: Bundle, tmp_path: Path) -> None:
    gate = threading.Event()

    async def story(app: Application) -> None:
        app._writer.submit(gate.wait, 30)  # the disk is slow
        assert (await Exchange(app, PREDICT, ROWS).answer()).status == 200
        await asyncio.sleep(0.4)  # what was noted is on its way to it
        threading.Timer(0.2, gate.set).start()

    with_app(plain, story, audit=AuditLog(tmp_path / "log.jsonl"))
    lines, _ = check_audit(tmp_path / "log.jsonl")
    assert lines == 3  # start, the answer, stop


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_over_tls(plain: Bundle, state: Path, started: list[Server], tmp_path: Path) -> None:
    certificate, private = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*made, *names, "-keyout", private, "-out", certificate], check=True, capture_output=True)
    server = Server(plain.path, state, "--open", "--certificate", str(certificate), "--private-key", str(private),
                    ready=False)  # fmt: skip
    started.append(server)
    context = ssl.create_default_context(cafile=str(certificate))
    end = time.monotonic() + 60
    while True:
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30, context=context)
        try:
            connection.request("GET", "/readyz")
            assert connection.getresponse().status == 200
            break
        except ConnectionRefusedError:
            assert time.monotonic() < end
            assert server.process.poll() is None
            time.sleep(0.05)
        finally:
            connection.close()
    assert server.stop() == 0
