"""Bodies that are broken in every way: each gets an answer below 500, and none hangs."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.serve.test_server import Server

from trueweight.bundle.bundle import Bundle

KINDS = ("application/json", "application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream",
         "multipart/form-data; boundary=edge", "application/octet-stream", "")  # fmt: skip
PATHS = ("/v1/models/plain/predict", "/v1/models/plain/predict?stream=true", "/v2/models/plain/infer",
         "/v1/completions", "/v1/chat/completions", "/v1/models/plain/predict?timeout=x")  # fmt: skip


def good_bodies() -> list[bytes]:
    """What the routes do read."""
    import io

    import pyarrow as pa

    rows = [{"amount": 1.5, "kind": "red"}, {"amount": None, "kind": "blue"}]
    table, sink = pa.Table.from_pylist(rows), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    inputs = [{"name": "amount", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}]
    return [
        json.dumps({"rows": rows}).encode(), "".join(json.dumps(row) + "\n" for row in rows).encode(),
        b"amount,kind\n1.5,red\n,blue\n", sink.getvalue(), json.dumps({"id": "1", "inputs": inputs}).encode(),
        b'--edge\r\nContent-Disposition: form-data; name="amount"\r\n\r\n1.5\r\n--edge--\r\n',
        json.dumps({"model": "plain", "prompt": "x", "n": 2, "stop": ["a"]}).encode(),
        json.dumps({"model": "plain", "messages": [{"role": "user", "content": "x"}]}).encode(),
    ]  # fmt: skip


def harmed(body: bytes, draw: random.Random) -> bytes:
    """One to three things go wrong with it."""
    found = bytearray(body)
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(found) + 1)
        how = draw.randrange(6)
        if how == 0:
            del found[place : place + draw.randint(1, 9)]
        elif how == 1:
            found[place:place] = draw.randbytes(draw.randint(1, 9))
        elif how == 2 and place < len(found):
            found[place] ^= 1 << draw.randrange(8)
        elif how == 3:
            found[place:place] = found[: draw.randint(0, 60)]
        elif how == 4:
            found[place:place] = draw.choice(
                [b"null", b"{", b"[", b'"', b"1e999", b"-0", b"\x00", b"\xff", b"true", b"[[]]"]
            )
        else:
            del found[place:]
    return bytes(found)


def ask_mutated(transport: Any, count: int, seed: int) -> dict[int, int]:
    draw, bodies = random.Random(seed), good_bodies()
    statuses: dict[int, int] = {}
    for number in range(count):
        body, kind, path = harmed(draw.choice(bodies), draw), draw.choice(KINDS), draw.choice(PATHS)
        try:
            status = transport.send("POST", path, {"content-type": kind}, body).status
        except TimeoutError as error:
            raise AssertionError((number, path, kind, body)) from error
        except Exception:  # a stream that broke off after its first rows: the client sees that it did
            assert "stream=true" in path, (number, path, kind, body)
            continue
        assert status < 500, (number, status, path, kind, body)
        statuses[status] = statuses.get(status, 0) + 1
    return statuses


def test_some_bodies(serving: Any, plain: Bundle) -> None:
    statuses = ask_mutated(serving(bundles={"plain": plain}), 400, seed=1)
    assert {400, 415, 422} <= set(statuses)


@pytest.mark.slow
def test_ten_thousand_bodies(serving: Any, plain: Bundle) -> None:
    transport = serving(bundles={"plain": plain})
    assert sum(ask_mutated(transport, 10_000, seed=2).values()) > 8_000
    assert transport.send("POST", PATHS[0], {"content-type": KINDS[0]}, good_bodies()[0]).status == 200


@pytest.mark.slow
def test_schemathesis_finds_no_mistake_of_ours(plain: Bundle, tmp_path: Path) -> None:
    tool = shutil.which("schemathesis", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if tool is None:
        pytest.skip("schemathesis is not installed")
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    server = Server(plain.path, state)
    try:
        command = [
            tool, "run", f"http://127.0.0.1:{server.port}/openapi.json",
            "--header", f"Authorization: Bearer {server.key}",
            "--checks", "not_a_server_error", "--max-examples", "60", "--generation-deterministic", "--no-color",
            "--request-timeout", "60",  # a busy machine answers late, which is no mistake
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=600)
        assert done.returncode == 0, done.stdout[-3000:]
    finally:
        server.process.kill()
        server.process.wait()
