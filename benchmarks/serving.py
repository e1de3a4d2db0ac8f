"""Rows a second, and how long the slowest of a hundred waits: ours beside other servers, clients on the same machine.

    make bench NAME=serving ARGS='--python .venv-rivals/bin/python --seconds 6 --rounds 3'

Ours serves bundles trained in a moment on made-up rows (``serving_tasks.py``), with everything a row gets from us:
parsing by type, calibration, conformal sets, keys and the log of who asked. The others serve the same network with
random weights and nothing else. ``bare`` is uvicorn saying hello. Every round starts every server afresh, in turn, and
asks it with 1, 8 and 64 clients. Results are kept after each server and taken up again.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.kept import HERE, RESULTS, Entry, Kept, ours, pins
from benchmarks.serving_tasks import TASKS

OURS = ("trueweight", "trueweight-open")
PEERS = ("bare", "fastapi", "litserve", "bentoml", "ray")
PACKAGES = {"bare": "uvicorn", "fastapi": "fastapi", "litserve": "litserve", "bentoml": "bentoml", "ray": "ray"}
CLIENTS = (1, 8, 64)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def serving(
    system: str, task: str, python: Path, folder: Path, model: Path, body: Path
) -> Iterator[tuple[int, str, str]]:  # fmt: skip
    """A server that answers what is in the body: port, path, key."""
    port, words = free_port(), folder / f"{system}.txt"
    own = os.environ | {"TRUEWEIGHT_STATE": str(folder / "state"), "OMP_NUM_THREADS": str(os.cpu_count() or 1)}
    (folder / "state").mkdir(mode=0o700, exist_ok=True)
    if system in OURS:
        keys = folder / f"keys-{time.time_ns()}.sqlite"
        free = ["--open", "--no-audit"] if system == "trueweight-open" else ["--keys", str(keys)]
        command = [sys.executable, "-m", "trueweight", "serve", str(model), "--port", str(port), *free]
        path = TASKS[task].path
    else:
        command = [str(python), str(HERE / "serving_peers.py"), system, str(port), task]
        path = "/predict"
    with words.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=own, start_new_session=True)
        try:
            _await(port, process, words)
            found = re.search(r"tw_\S+", words.read_text())
            key = found[0] if found else ""
            _await_answer(port, path, key, body, process, words)
            yield port, path, key
        finally:
            os.killpg(process.pid, 15)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)


def _await(port: int, process: subprocess.Popen[bytes], words: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"it ended: {words.read_text()[-400:]}")
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                time.sleep(1.0)
                return
        time.sleep(0.1)
    raise RuntimeError(f"it did not listen in two minutes: {words.read_text()[-400:]}")


def _await_answer(
    port: int, path: str, key: str, body: Path, process: subprocess.Popen[bytes], words: Path
) -> None:  # fmt: skip
    """Some listen before there is a model behind the door."""
    command = [sys.executable, str(HERE / "serving_load.py"), str(port), path, "1", "0.01", str(body), key]
    end, told = time.monotonic() + 120, ""
    while time.monotonic() < end and process.poll() is None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        found = json.loads(done.stdout) if done.returncode == 0 else {"requests": 0, "bad": 1}
        if found["requests"] and not found["bad"]:
            return
        told = done.stderr[-200:]
        time.sleep(0.5)
    raise RuntimeError(f"it gave no right answer: {told} {words.read_text()[-400:]}")


def measured(port: int, path: str, key: str, body: Path, seconds: float) -> dict[str, dict[str, float]]:
    """All numbers of clients, after a short one that warms up."""
    found = {}
    for clients in (8, *CLIENTS):
        command = [sys.executable, str(HERE / "serving_load.py"), str(port), path, str(clients)]
        command += [str(1.0 if not found and clients == 8 and "warm" not in found else seconds), str(body), key]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
        found["warm" if "warm" not in found else str(clients)] = json.loads(done.stdout)
    del found["warm"]
    return found


TITLE = "# Benchmarks of serving\n\nRendered by `make bench NAME=page`; do not edit."
ABOUT = """Requests a second, each for one row, and how long the middle one and the slowest of a hundred wait, with
clients and server on the same cores. All serve the same network: of a table two hidden layers of 256, of pictures (32
by 32 colours, PNG) six convolutions, of texts (64 words) two layers of a transformer 128 wide; the writer has four such
layers and writes 32 tokens, elsewhere by transformers' `generate`. Ours parses by type, calibrates, gives conformal
sets, and runs the network however a bake-off at start found fastest; `trueweight` asks for keys and notes who asked,
`trueweight-open` does neither. The others do nothing but answer; `bare` is uvicorn saying hello, without a model.
Medians of the rounds. *Rate* is that of `trueweight` over the system's: above 1 ours is faster. The goals: for a table
row 5 times LitServe and BentoML, 0.25 of the bare server's rate and 0.4 without keys; elsewhere 1.5 times the others at
64 clients, with p99 no worse."""


def render(entries: Sequence[Entry]) -> str:
    """The page: for each task and number of clients a line for every system."""
    if not entries:
        return f"{TITLE}\n\n{ABOUT}\n\nNot measured yet: `make bench NAME=serving`.\n"
    lines, newest = [], {(e["task"], e["system"], e["turn"], e["machine"]): e for e in entries}
    for task, cores in dict.fromkeys((e["task"], e["machine"]) for e in newest.values()):
        mine = [e for e in newest.values() if (e["task"], e["machine"]) == (task, cores)]
        days = ", ".join(sorted({e["date"] for e in mine}))
        lines += [f"## {TASKS[task].said}: {cores}", "", days, ""]
        lines += ["| clients | system | requests a second | p50, ms | p99, ms | rate | versions |", "|" + "---|" * 7]
        systems = dict.fromkeys(e["system"] for e in mine)
        for clients in map(str, CLIENTS):
            rates = {name: _middle(mine, name, clients) for name in systems}
            lines += [_line(clients, name, rates, mine) for name in systems]
        lines.append("")
    return "\n".join([TITLE, "", ABOUT, "", *lines, "`make bench NAME=serving` measures again.", ""])


def _middle(entries: Sequence[Entry], system: str, clients: str) -> dict[str, float] | None:
    found = [e["clients"][clients] for e in entries if e["system"] == system and clients in e.get("clients", {})]
    if not found:
        return None
    rate = median(one["requests"] / one["seconds"] for one in found)
    return {"rate": rate, "p50": median(one["p50"] for one in found), "p99": median(one["p99"] for one in found)}


def _line(clients: str, system: str, rates: dict[str, dict[str, float] | None], entries: Sequence[Entry]) -> str:
    pinned = next(e["pins"] for e in entries if e["system"] == system)
    one, mine = rates[system], rates.get("trueweight")
    if one is None:
        return f"| {clients} | {system} | failed | | | | {pinned} |"
    ratio = "" if mine is None or system == "trueweight" else f"{mine['rate'] / one['rate']:.2f}"
    return f"| {clients} | {system} | {one['rate']:,.0f} | {one['p50']:.2f} | {one['p99']:.2f} | {ratio} | {pinned} |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Every server, every task, round after round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, default=Path(".venv-rivals/bin/python"), help="of the others")
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--systems", nargs="+", default=[*OURS, *PEERS], choices=[*OURS, *PEERS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="that each number of clients asks")
    parser.add_argument("--results", type=Path, default=RESULTS / "serving.json")
    asked = parser.parse_args(arguments)
    kept = Kept(asked.results)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for task in asked.tasks:
            model, row = TASKS[task].bundle(task, folder)
            for turn in range(asked.rounds):
                order = asked.systems if turn % 2 == 0 else asked.systems[::-1]
                for system in order:
                    _one(kept, asked, folder, model, row, task, system, turn)


def _one(
    kept: Kept, asked: argparse.Namespace, folder: Path, model: Path, row: dict[str, Any], task: str, system: str,
    turn: int,
) -> None:  # fmt: skip
    pinned = ours() if system in OURS else pins(asked.python, (PACKAGES[system],))
    if pinned is None:
        sys.stdout.write(f"{system} is not installed in {asked.python}\n")
        return
    key = {"system": system, "task": task, "turn": turn, "pins": pinned, "seconds": asked.seconds}
    if kept.find(**key) is not None:
        return
    body = folder / f"{task}.json"
    body.write_text(json.dumps({"rows": [row]} if system == "bentoml" else row))
    entry: dict[str, Any] = {}
    try:
        with serving(system, task, asked.python, folder, model, body) as (port, path, secret):
            entry["clients"] = measured(port, path, secret, body, asked.seconds)
        for clients, one in entry["clients"].items():
            if not one["requests"]:
                raise RuntimeError(f"{one['bad']:.0f} errors and no answer to {clients} clients")
            rate = one["requests"] / one["seconds"]
            sys.stdout.write(f"{task}, {system}, {clients} clients: {rate:,.0f} rows/s, p50 {one['p50']:.2f} ms, "
                             f"p99 {one['p99']:.2f} ms, {one['bad']:.0f} bad\n")  # fmt: skip
    except (RuntimeError, subprocess.SubprocessError) as error:
        entry["failed"] = str(error)[-300:]
        sys.stdout.write(f"{task}, {system}: {entry['failed']}\n")
    sys.stdout.flush()
    kept.add(entry, **key)


if __name__ == "__main__":
    main()
