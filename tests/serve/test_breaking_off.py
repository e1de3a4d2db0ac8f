"""Answers that cannot be given to the end: whoever reads them notices, in every form; and who comes too fast waits."""

import asyncio
import http.client
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from tests.serve.test_promises import Exchange
from tests.serve.test_server import Server, started, state

from trueweight.api.serving import verbs_for
from trueweight.bundle.bundle import Bundle
from trueweight.cli.main import run
from trueweight.serve.app import Application
from trueweight.serve.audit import AuditLog, check_audit
from trueweight.serve.keys import SCOPES, KeyStore
from trueweight.serve.transport import HttpTransport

__all__ = ["started", "state"]  # fixtures

STREAM = "/v1/models/plain/predict?stream=true"
CSV, LINES = {"content-type": "text/csv"}, {"content-type": "application/x-ndjson"}
ROOM = "x" * 600
"""Of a column that nobody reads: a stream is answered when there are so many bytes of it."""


def csv(rows: int) -> bytes:
    return b"amount,kind,room\n" + b"".join(b"%d,red,%s\n" % (row % 7, ROOM.encode()) for row in range(rows))


def lines(rows: int) -> bytes:
    return b"".join(json.dumps({"amount": row % 7, "kind": "red"}).encode() + b"\n" for row in range(rows))


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def test_csv_breaks_off_so_that_every_reader_sees_it(
    plain: Bundle, state: Path, started: list[Server], capsys: pytest.CaptureFixture[str]
) -> None:
    server = Server(plain.path, state)
    started.append(server)
    arguments = ["--scope", "predict", "--budget", "700", "--keys", str(state / "keys.sqlite")]
    assert run(["keys", "add", "few", *arguments]) == 0
    key = bearer(capsys.readouterr().out.strip())
    time.sleep(1.1)  # keys are read anew each second
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", STREAM, csv(2000), CSV | key)
    reply = connection.getresponse()
    assert reply.status == 200  # which was true when it was sent
    with pytest.raises(http.client.IncompleteRead) as broken:
        reply.read()
    answered = broken.value.partial.splitlines(keepends=True)
    assert len(answered) - 1 <= 700
    assert answered[0].startswith(b"won,")
    assert answered[-1].endswith(b"\n")  # rows are there whole or not at all
    # What was wrong is told in words to whoever asks for the rest.
    connection.close()
    connection.request("POST", STREAM, csv(2000), CSV | key)
    refused = connection.getresponse()
    assert (refused.status, "left to this key" in json.loads(refused.read())["detail"]) == (403, True)
    connection.close()
    raw = raw_answer(server.port, STREAM, csv(2000), bearer(server.key) | CSV)
    assert raw.endswith(b"0\r\n\r\n")  # the end of a whole one
    with pytest.raises(ConnectionError):
        HttpTransport(f"http://127.0.0.1:{server.port}", 60).send("POST", STREAM, CSV | other_key(state), csv(2000))
    assert server.stop() == 0
    words = server.words.read_text()
    assert "Traceback" not in words
    assert "an answer of /v1/models/{name}/predict broke off: 403" in words
    (log,) = (state / "audit").glob("*.jsonl")
    noted = [json.loads(line) for line in log.read_text().splitlines()]
    # As it was sent, and how it ended; what was refused at once is no broken answer.
    ends = [
        (one["status"], one.get("outcome"), one.get("because"), one["rows"] > 0) for one in noted if "status" in one
    ]
    ended = (200, "broken", 403, True)
    assert ends == [ended, (403, None, None, False), (200, None, None, True), ended]
    assert check_audit(log)[0] == len(noted)


def other_key(state: Path) -> dict[str, str]:
    text, _ = KeyStore(state / "keys.sqlite").add("other", SCOPES, budget=600)
    time.sleep(1.1)
    return bearer(text)


def raw_answer(port: int, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {len(body)}\r\nconnection: close\r\n{head}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(head.encode() + body)
        found = b""
        while piece := line.recv(65536):
            found += piece
    return found


@pytest.mark.parametrize("broken", ["budget", "gzip"])
def test_json_lines_say_it_in_a_last_object(
    broken: str, serving: Any, store: KeyStore, plain: Bundle, tmp_path: Path
) -> None:
    import gzip

    text, _ = store.add("few", SCOPES, budget=700 if broken == "budget" else None)
    body, more = lines(2000), {}
    if broken == "gzip":
        body, more = gzip.compress(lines(1500), 0)[:-20], {"content-encoding": "gzip"}
    server = serving(bundles={"plain": plain}, store=store, audit=True)
    reply = server.send("POST", STREAM, LINES | bearer(text) | more, body)
    *rows, last = reply.body.decode().splitlines()
    assert (reply.status, len(rows)) == (200, 512 if broken == "budget" else 1024)
    because = 403 if broken == "budget" else 400
    assert json.loads(last)["error"]["status"] == because
    counts = server.send("GET", "/metrics", bearer(text), b"").body.decode()
    assert 'trueweight_unfinished_total{route="/v1/models/{name}/predict",outcome="broken"} 1' in counts
    server.close()  # writes what is left
    (line,) = [one for one in map(json.loads, (tmp_path / "audit.jsonl").read_text().splitlines()) if one.get("rows")]
    assert (line["status"], line["outcome"], line["because"]) == (200, "broken", because)


def test_without_sockets_too(serving: Any, store: KeyStore, plain: Bundle) -> None:
    text, _ = store.add("few", SCOPES, budget=700)
    with pytest.raises(ConnectionError, match="broke off"):
        serving(bundles={"plain": plain}, store=store).send("POST", STREAM, CSV | bearer(text), csv(2000))


def test_a_stream_that_comes_too_fast_waits(serving: Any, store: KeyStore, plain: Bundle) -> None:
    text, _ = store.add("slow", SCOPES, per_minute=1200)
    transport = serving(bundles={"plain": plain}, store=store)
    begun = time.monotonic()
    reply = transport.send("POST", STREAM, LINES | bearer(text), lines(512 * 2 + 190))
    assert (reply.status, len(reply.body.splitlines())) == (200, 1214)
    assert time.monotonic() - begun > 0.5  # 14 rows more than a minute's
    assert transport.send("POST", STREAM, LINES | bearer(text), lines(512)).status == 429


def test_whoever_leaves_in_the_middle_of_a_text_is_noted(novel: Bundle, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    asked = {"rows": [{"words": "t"}], "temperature": 2.5, "max_tokens": 2000, "seed": 3}

    async def all_of_it() -> None:
        app = Application({"novel": novel}, verbs_for(), audit=AuditLog(log))
        await app.start()
        leaving = Leaving(app, "/v1/models/novel/write", asked)
        await asyncio.wait_for(leaving.task, 30)
        assert (await Exchange(app, "/v1/models/novel/write", asked | {"max_tokens": 3}).answer()).status == 200
        await app.stop()

    asyncio.run(all_of_it())
    noted = [one for one in map(json.loads, log.read_text().splitlines()) if "status" in one]
    assert [(one["status"], one.get("outcome")) for one in noted] == [(200, "gone"), (200, None)]
    assert check_audit(log)[0] == 4


class Leaving(Exchange):
    """Goes away with the first piece."""

    async def _send(self, message: Any) -> None:
        self.gone.set()
        await super()._send(message)
