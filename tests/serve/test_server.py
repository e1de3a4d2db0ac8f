"""The real server: sockets, signals, several workers, what it refuses to do."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trueweight.bundle.bundle import Bundle
from trueweight.cli.main import run
from trueweight.serve.audit import check_audit


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Server:
    """``trueweight serve`` as a process."""

    def __init__(self, bundle: Path, state: Path, *more: str, ready: bool = True) -> None:
        self.port = free_port()
        self.words = state / "words.txt"
        command = [sys.executable, "-m", "trueweight", "serve", str(bundle), "--port", str(self.port)]
        command += ["--runtime", "eager", *more]  # unless more says otherwise
        environment = os.environ | {"TRUEWEIGHT_STATE": str(state)}
        with self.words.open("wb") as words:
            self.process = subprocess.Popen(command, stdout=words, stderr=words, env=environment)
        deadline = time.monotonic() + 180
        while ready and time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.ask("/readyz")
                break
            except OSError:
                time.sleep(0.05)
        found = re.search(r"tw_\S+", self.words.read_text())
        self.key = found[0] if found else ""

    def ask(self, path: str, body: Any = None) -> Any:
        head = {"authorization": f"Bearer {getattr(self, 'key', '')}", "content-type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", content, head)
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def started() -> Iterator[list[Server]]:
    servers: list[Server] = []
    yield servers
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def test_a_day_of_a_server(plain: Bundle, state: Path, started: list[Server], tmp_path: Path) -> None:
    folder = tmp_path / "plain.bundle"
    shutil.copytree(plain.path, folder)
    server = Server(folder, state)
    started.append(server)
    assert server.key
    expected = plain.predict([{"amount": 1.0, "kind": "red"}])[0]["won.p[yes]"]
    reply = server.ask("/v1/models/plain/predict", [{"amount": 1.0, "kind": "red"}])
    assert reply["predictions"][0]["won.p[yes]"] == pytest.approx(expected, abs=1e-5)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v1/models", timeout=30)

    # While many ask, the model is swapped and the server told to stop: nobody who was let in is left without answer.
    answers: list[Any] = []

    def keep_asking() -> None:
        while True:
            try:
                answers.append(server.ask("/v1/models/plain/predict", [{"amount": 0.5, "kind": "blue"}]))
            except urllib.error.HTTPError as error:
                answers.append(error)
            except OSError:
                return  # it no longer listens

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    server.process.send_signal(signal.SIGHUP)
    time.sleep(0.7)
    assert server.stop() == 0
    for thread in threads:
        thread.join()
    assert len(answers) > 20
    assert all(not isinstance(answer, Exception) for answer in answers)
    assert len({answer["predictions"][0]["won.p[yes]"] for answer in answers}) == 1
    (log,) = (state / "audit").glob("*.jsonl")
    lines, _ = check_audit(log)
    assert lines == len(answers) + 5  # start, the first answer, the one without a key, swap, stop
    assert '"event":"swap"' in log.read_text()
    assert "first key, shown this once" in server.words.read_text()
    assert "Traceback" not in server.words.read_text()


def test_two_workers(plain: Bundle, state: Path, started: list[Server]) -> None:
    server = Server(plain.path, state, "--workers", "2", "--open", "--no-audit")
    started.append(server)
    for _ in range(4):
        assert server.ask("/v1/models/plain/predict", [{"amount": 1.0}])["predictions"]
    assert server.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--open", "--host", "0.0.0.0"], 2, "would answer everybody"),  # noqa: S104
        (["--certificate", "none.pem"], 2, "belong together"),
        (["--certificate", __file__, "--private-key", __file__], 2, "of no use"),
        (["--keys", "/dev/null/keys"], 4, "with --keys"),
        (["--audit", "x", "--no-audit"], 2, "contradict"),
        (["--port", "TAKEN", "--open", "--no-audit"], 4, "cannot listen"),
        (["--host", "203.0.113.7", "--no-audit"], 4, "an address of this machine"),
    ],
)
def test_what_it_refuses(
    arguments: list[str], code: int, said: str, plain: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        named = [str(taken.getsockname()[1]) if one == "TAKEN" else one for one in arguments]
        assert run(["serve", str(plain.path), *named]) == code
    assert said in capsys.readouterr().err


def test_two_models_of_one_name(plain: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.bundle"
    shutil.copytree(plain.path, other)
    assert run(["serve", str(plain.path), str(other), "--open", "--no-audit", "--port", "0"]) == 2
    told = capsys.readouterr().err
    assert "two models are called 'plain'" in told
    assert f"both {plain.path} and {other} are called so: serve them by two servers (--port)" in " ".join(told.split())
    assert run(["serve", str(other), str(other), "--open", "--no-audit", "--port", "0"]) == 2
    assert "named twice: name it once" in capsys.readouterr().err


def test_a_changed_bundle_is_not_served(plain: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "plain.bundle"
    shutil.copytree(plain.path, folder)
    weights = next(folder.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert run(["serve", str(folder), "--open", "--no-audit"]) == 5
    assert capsys.readouterr().err


def test_keys_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "keys.sqlite")
    assert run(["keys", "add", "desk", "--scope", "predict", "--expires", "30d", "--budget", "5", "--keys", file]) == 0
    key = capsys.readouterr().out.strip()
    assert re.fullmatch(r"tw_[0-9a-f]{12}_[\w-]{43}", key)
    number = key.split("_")[1]
    assert run(["keys", "revoke", number, "--keys", file]) == 0
    capsys.readouterr()
    assert run(["keys", "list", "--keys", file]) == 0
    listed = capsys.readouterr().out
    assert "revoked" in listed
    assert "desk" in listed
    assert key.split("_", 2)[2] not in listed
    assert run(["keys", "add", "x", "--expires", "soon", "--keys", file]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("more", [["--runtime", "auto", "--bake-off", "3"], ["--runtime", "onnx", "--workers", "2"]])
def test_networks_are_run_as_asked_in_every_worker(
    more: list[str], plain: Bundle, state: Path, started: list[Server]
) -> None:
    pytest.importorskip("onnxruntime")
    started.append(server := Server(plain.path, state, *more))
    wanted = plain.predict([{"amount": 0.4, "kind": "red"}])[0]["won.p[yes]"]
    told = set()
    for _ in range(12):  # more than one worker is asked
        found = server.ask("/v1/models/plain/predict", {"rows": [{"amount": 0.4, "kind": "red"}]})["predictions"][0]
        assert found["won.p[yes]"] == pytest.approx(wanted, abs=1e-5)
        told.add(server.ask("/v1/models")["data"][0]["runtime"]["name"])
    assert len(told) == 1
    assert "auto" in more or told == {"onnx"}
    assert server.stop() == 0
