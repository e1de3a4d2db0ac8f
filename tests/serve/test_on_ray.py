"""The application as replicas of Ray Serve: on a local cluster of two nodes, over loopback alone."""

import http.client
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.serve.test_server import free_port

from trueweight import api
from trueweight.bundle.bundle import Bundle
from trueweight.errors import SpecError
from trueweight.serve.audit import check_audit
from trueweight.serve.keys import KeyStore
from trueweight.serve.server import Wish

RAY = importlib.util.find_spec("ray") is not None


@pytest.mark.skipif(RAY, reason="the extra 'ray' is installed")
def test_without_the_extra(plain: Bundle) -> None:
    with pytest.raises(SpecError, match="needs the extra 'ray'") as told:
        api.serve(plain.path, engine="ray", open=True)
    assert "trueweight[ray]" in told.value.hint


def test_an_engine_that_there_is_none_of() -> None:
    with pytest.raises(SpecError, match="unknown engine 'steam'"):
        Wish(["a"], engine="steam").checked()


CLUSTER = """
import sys
from ray.cluster_utils import Cluster

node = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "include_dashboard": False, "object_store_memory": 2**27}
cluster = Cluster(initialize_head=True, head_node_args=node)
cluster.add_node(**{name: value for name, value in node.items() if name != "include_dashboard"})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""
"""Two nodes of one core: two replicas have room only on both."""

LOOPBACK = {
    "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "120", "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "120",
}  # fmt: skip
"""The second one keeps Ray from asking for another address of the machine than the loopback one: nothing leaves it. The
others are for machines that are busy with other tests."""


@pytest.fixture
def cluster() -> Iterator[str]:
    """Where a cluster of two nodes listens. In a process of its own, so that nothing of Ray's stays in this one."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | LOOPBACK,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        while line := process.stdout.readline().decode():
            if re.fullmatch(r"127\.0\.0\.1:\d+\n", line):
                break
        yield line.strip()
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def asked(port: int, path: str, key: str, body: Any = None) -> tuple[int, Any]:
    head = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    content = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, head)
        with urllib.request.urlopen(request, timeout=120) as reply:
            status, said = reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            status, said = error.code, error.read()
    return status, json.loads(said) if said.startswith(b"{") else said.decode()


def waited(what: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.skipif(not RAY, reason="the extra 'ray' is not installed: pip install 'trueweight[ray]'")
def test_two_replicas_on_two_nodes(plain: Bundle, cluster: str, tmp_path: Path) -> None:
    folder, state = tmp_path / "plain.bundle", tmp_path / "state"
    shutil.copytree(plain.path, folder)
    state.mkdir(mode=0o700)
    port, words = free_port(), tmp_path / "words.txt"
    command = [sys.executable, "-m", "trueweight", "serve", str(folder), "--engine", "ray", "--workers", "2"]
    with words.open("wb") as said:
        server = subprocess.Popen(
            [*command, "--port", str(port)], stdout=said, stderr=said,
            env=os.environ | LOOPBACK | {"TRUEWEIGHT_STATE": str(state), "RAY_ADDRESS": cluster},
        )  # fmt: skip
    try:

        def answers() -> bool:
            assert server.poll() is None, words.read_text()
            try:
                return asked(port, "/readyz", "")[0] == 200
            except OSError:
                return False

        waited(answers, 600)
        waited(lambda: "tw_" in words.read_text(), 60)  # it is told once Ray says so, a moment after replicas answer
        key = re.search(r"tw_\S+", words.read_text())
        assert key is not None
        _day(port, key[0], plain, server, state)
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def _broken_off(port: int, state: Path) -> None:
    """Ray's proxy hands on that an answer is not whole: by a connection that ends before it, or by a last line."""
    text, _ = KeyStore(state / "keys.sqlite").add("few", ["predict"], budget=700)
    time.sleep(1.5)  # replicas read keys anew each second
    room = "x" * 600
    csv = b"amount,kind,room\n" + b"".join(b"%d,red,%s\n" % (row % 7, room.encode()) for row in range(2000))
    head = {"authorization": f"Bearer {text}", "content-type": "text/csv"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with closing(connection):
        connection.request("POST", "/v1/models/plain/predict?stream=true", csv, head)
        reply = connection.getresponse()
        assert reply.status == 200
        with pytest.raises(http.client.IncompleteRead) as broken:
            reply.read()
    assert 1 < len(broken.value.partial.splitlines()) <= 701
    lines = json.dumps({"amount": 1.0, "kind": "red"}).encode() + b"\n"
    with closing(connection):
        kind = {"content-type": "application/x-ndjson"}
        connection.request("POST", "/v1/models/plain/predict?stream=true", lines * 2000, head | kind)
        refused = connection.getresponse()
        assert (refused.status, b"left to this key" in refused.read()) == (403, True)


def _day(port: int, key: str, plain: Bundle, server: "subprocess.Popen[bytes]", state: Path) -> None:
    path, logs = "/v1/models/plain/predict", state / "audit"
    rows = [{"amount": 1.0, "kind": "red"}, {"amount": -0.5, "kind": "blue"}]
    expected = [row["won.p[yes]"] for row in plain.predict(rows)]
    assert asked(port, path, "", rows)[0] == 401
    assert asked(port, path, key, [])[0] == 422
    status, told = asked(port, "/v1/models/plain/reload", key, {})
    assert (status, "SIGHUP" in told["hint"]) == (409, True)

    # While some ask, the replicas are replaced: nobody is left without an answer.
    replies: list[tuple[int, Any]] = []
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            replies.append(asked(port, path, key, rows))

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    waited(lambda: len(list(logs.glob("*.jsonl"))) == 2, 120)
    time.sleep(1)
    server.send_signal(signal.SIGHUP)
    waited(lambda: len(list(logs.glob("*.jsonl"))) == 4, 240)  # each replica has a log of its own
    time.sleep(1)
    done.set()
    for thread in threads:
        thread.join()
    assert len(replies) > 20
    assert {status for status, _ in replies} == {200}
    for _, told in replies:
        assert [row["won.p[yes]"] for row in told["predictions"]] == pytest.approx(expected, abs=1e-5)

    _broken_off(port, state)
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=120) == 0
    noted = [json.loads(line) for log in logs.glob("*.jsonl") for line in log.read_text().splitlines()]
    assert all(check_audit(log)[0] for log in logs.glob("*.jsonl"))
    assert len([line for line in noted if line.get("rows") == 2]) == len(replies)
    assert [one["because"] for one in noted if one.get("outcome") == "broken"] == [403]
    answered = {log.name for log in logs.glob("*.jsonl") if '"rows":2' in log.read_text()}
    assert len(answered) >= 2  # the load was shared
