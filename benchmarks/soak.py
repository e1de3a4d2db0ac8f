"""A server at full load for minutes, with all that can go wrong: every answer is held against the known ones.

    make bench NAME=soak ARGS="--minutes 10"

Models of a table, of pictures, of texts, and one that writes are served together, each swapped every few seconds for
another of the same name and back. Clients ask one after the other on kept connections; some go away in the middle, some
send bodies that make no sense. What each model answers is computed before, by its Predictor. It holds if no answer is
lost or wrong, none is a 5xx, memory of all server processes stays within 5 % once it has settled (after two minutes, or
half of a shorter run), the server stops in order, and its audit logs are whole.
"""

import argparse
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from benchmarks.kept import HERE, RESULTS, Entry, Kept, ours
from benchmarks.process import memory_of
from benchmarks.serving import free_port
from benchmarks.serving_tasks import png

from trueweight import api, decoding
from trueweight.bundle.bundle import Bundle
from trueweight.errors import VerifyError
from trueweight.serve.audit import check_audit

TITLE = "# Soak of the server\n\nRendered by `make bench NAME=page`; do not edit."
ABOUT = """Models of a table, of pictures, of texts, and one that writes, served together and swapped for others of the
same name all the time, at full load; of the requests one in ten makes no sense, and one in twenty is left half-way.
Every answer is held against what the Predictor of the model that it names gives. Memory is that of all processes of the
server, second by second: the highest median of half a minute over the lowest, once it has settled."""

SETTLED = 120.0
"""Seconds until memory must be flat."""

FLAT = 1.05
SWAP_SECONDS = 5.0
MODELS = ("table", "picture", "text", "writer")
ROWS = 16
"""Known rows of each model."""

WORDS = ("late", "paid", "twice", "never", "again", "soon", "claim", "broken", "stolen", "water", "fire", "glass")
QUICK = {
    "train": {"budget": {"steps": 30}},
    "evaluate": {"checks": [], "baselines": [], "interval": {"n_resamples": 100}},
}


@dataclass(frozen=True)
class Served:
    """One model's name, with its two versions and rows to ask."""

    name: str
    versions: tuple[Bundle, Bundle]
    rows: list[dict[str, Any]]

    def asks(self) -> Iterator[dict[str, Any]]:
        """Requests with their known answers: single rows, and some together."""
        groups = [[row] for row in self.rows] + [self.rows[:5], self.rows[5:]]
        for rows in groups:
            if self.name == "writer":
                yield self._written([row["words"][:12] for row in rows][:4])
            else:
                known = {v.manifest.digest: v.predict(rows) for v in self.versions}
                body, path = json.dumps({"rows": rows}), f"/v1/models/{self.name}/predict"
                yield _ask(self.name, path, "application/json", body, known)
                if self.name == "table":
                    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
                    yield _ask("table csv", path, "text/csv", "\n".join(lines) + "\n", known)

    def _written(self, prompts: list[str]) -> dict[str, Any]:
        how = decoding(max_tokens=8, temperature=0.0)
        known = {v.manifest.digest: list(v.predict({"words": prompts}, how=how)["words"]) for v in self.versions}
        asked = {"model": self.name, "prompt": prompts, "max_tokens": 8, "temperature": 0}
        return _ask(self.name, "/v1/completions", "application/json", json.dumps(asked), known)


def _ask(kind: str, path: str, content: str, body: str, known: Any) -> dict[str, Any]:
    packed = base64.b64encode(body.encode()).decode()
    return {"kind": kind, "path": path, "type": content, "body": packed, "known": json.loads(_plain(known))}


def _plain(value: Any) -> str:
    return json.dumps(value, default=lambda one: one.tolist() if isinstance(one, np.ndarray | np.generic) else str(one))


def made_up(name: str, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns to train on, and a spec; another seed turns what they mean."""
    rng = np.random.default_rng(seed)
    if name == "table":
        x = rng.normal(size=(600, 6)).round(4)
        columns: dict[str, Any] = {f"x{i}": x[:, i] for i in range(6)}
        columns |= {"kind": rng.choice(["red", "green", "blue"], 600), "y": np.where(x[:, seed] > 0, "yes", "no")}
        net = {"type": "mlp", "hidden_sizes": [128, 128], "members": 1}
        return columns, {"targets": {"y": "binary"}, "model": _one(net, "gradient")}
    if name == "picture":
        label = rng.integers(0, 4, 200)
        shades = (40 * label + 20 * seed)[:, None, None] + 20 * rng.normal(size=(200, 16, 16))
        pictures = [png(one) for one in shades.clip(0, 255).astype(np.uint8)]
        return {"image": pictures, "y": [f"c{k}" for k in label]}, {
            "features": {"image": "image"}, "targets": {"y": "category"},
        }  # fmt: skip
    lines = [" ".join(rng.choice(WORDS, 6)) for _ in range(400)]
    if name == "text":
        return {"note": lines, "y": ["yes" if WORDS[seed] in line else "no" for line in lines]}, {
            "features": {"note": "text"}, "targets": {"y": "binary"}, "model": _one("linear", "solve"),
        }  # fmt: skip
    decoder = {"type": "transformer", "width": 32, "heads": 2, "layers": 1}
    target = {"type": "text", "tokens": "characters", "decoder": decoder}
    return {"words": lines}, {
        "targets": {"words": target}, "model": {"encoder": "mlp"}, "train": {"budget": {"steps": 30}, "batch_size": 16},
    }  # fmt: skip


def _one(encoder: Any, fitter: str) -> dict[str, Any]:
    """A model of one member: the server is tried here, not what it serves."""
    return {"members": [{"name": "net", "encoder": encoder, "fusion": "concat", "fitter": fitter}]}


def model(name: str, folder: Path) -> Served:
    """Two versions, and rows with what is missing among them."""
    made = []
    for seed in (0, 1):
        columns, spec = made_up(name, seed)
        made.append(api.train(columns, spec=QUICK | spec, name=name, seed=seed, out=folder / f"{name}-{seed}"))
    columns, _ = made_up(name, 2)
    names = [column for column in columns if column != "y"]
    rows = [{column: np.asarray(columns[column][row]).item() for column in names} for row in range(ROWS)]
    return Served(name, (made[0], made[1]), rows)


@dataclass
class Watched:
    """What was seen of the server while it ran."""

    memory: list[tuple[float, int]] = field(default_factory=list)
    """Seconds since the start, bytes of all its processes."""
    swaps: int = 0
    refused: int = 0
    """Swaps that were not made."""

    def flatness(self, settled: float) -> float:
        """The highest median of half a minute over the lowest, from then on; fewer seconds where there are fewer."""
        late = [size for at, size in self.memory if at >= settled]
        width = max(5, min(30, len(late) // 3))
        medians = [median(late[start : start + width]) for start in range(0, len(late) - width + 1, width)]
        return max(medians) / min(medians) if medians else float("nan")


@contextmanager
def serving(folder: Path, names: Sequence[str], workers: int) -> Iterator[tuple["subprocess.Popen[bytes]", int, str]]:
    """A server with keys and an audit log: process, port, key."""
    port, words = free_port(), folder / "words.txt"
    (folder / "state").mkdir(mode=0o700)
    bundles = [str(folder / "served" / f"{name}.bundle") for name in names]
    command = [sys.executable, "-m", "trueweight", "serve", *bundles, "--port", str(port), "--workers", str(workers)]
    with words.open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, env=os.environ | {"TRUEWEIGHT_STATE": str(folder / "state")}
        )
        try:
            while not _answers(port):
                if process.poll() is not None:
                    raise RuntimeError(f"it ended: {words.read_text()[-400:]}")
                time.sleep(0.2)
            found = re.search(r"tw_\S+", words.read_text())
            assert found is not None
            yield process, port, found[0]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def swap(served: Path, fresh: Path) -> None:
    """Another bundle in the place of one, as whoever deploys renames folders."""
    coming, old = served.with_suffix(".coming"), served.with_suffix(".old")
    shutil.copytree(fresh, coming)
    served.rename(old)
    coming.rename(served)
    shutil.rmtree(old)


def _reload(port: int, key: str, name: str) -> bool:
    head = {"authorization": f"Bearer {key}"}
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/v1/models/{name}/reload", b"", head, method="POST")
    try:
        with urllib.request.urlopen(asked, timeout=60) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def watch(
    process: "subprocess.Popen[bytes]", load: "subprocess.Popen[str]", models: Sequence[Served], folder: Path,
    port: int, key: str, workers: int,
) -> Watched:  # fmt: skip
    """Swap and measure until the load ends."""
    found, start, due = Watched(), time.monotonic(), SWAP_SECONDS
    while load.poll() is None:
        at = time.monotonic() - start
        found.memory.append((round(at, 1), memory_of(process.pid)))
        if at >= due:
            one = models[found.swaps % len(models)]
            version = one.versions[(found.swaps // len(models) + 1) % 2]
            swap(folder / "served" / f"{one.name}.bundle", version.path)
            if workers > 1:
                process.send_signal(signal.SIGHUP)  # workers are replaced one by one, which takes its time
                due = at + 6 * SWAP_SECONDS
            else:
                found.refused += not _reload(port, key, one.name)
                due = at + SWAP_SECONDS
            found.swaps += 1
        time.sleep(1.0)
    return found


def soak(folder: Path, names: Sequence[str], minutes: float, clients: int, workers: int) -> Entry:
    """One run: what was asked, how it came out, and how memory went."""
    models = [model(name, folder) for name in names]
    for one in models:
        shutil.copytree(one.versions[0].path, folder / "served" / f"{one.name}.bundle")
    plan = folder / "plan.json"
    plan.write_text(json.dumps([ask for one in models for ask in one.asks()]))
    with serving(folder, names, workers) as (process, port, key):
        words = [sys.executable, str(HERE / "soak_load.py"), str(port), str(clients), str(60 * minutes), str(plan), key]
        load = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        seen = watch(process, load, models, folder, port, key, workers)
        assert load.stdout is not None
        told = json.loads(load.stdout.read())
        load.stdout.close()
        process.terminate()
        code = process.wait(timeout=120)
    said = (folder / "words.txt").read_text()
    return judged(told, seen, minutes, {
        "exit": code, "traceback": "Traceback" in said, "audit": _whole_logs(folder / "state" / "audit"),
    })  # fmt: skip


def _whole_logs(folder: Path) -> int:
    """Lines of all audit logs; -1 if one does not hold together."""
    try:
        return sum(check_audit(log)[0] for log in folder.glob("*.jsonl"))
    except VerifyError:
        return -1


def judged(told: dict[str, Any], seen: Watched, minutes: float, ended: dict[str, Any]) -> Entry:
    """The entry, with what did not hold."""
    settled = min(SETTLED, 30 * minutes)
    counts, flatness = told["counts"], seen.flatness(settled)
    broken = [what for what in ("lost", "wrong", "5xx") if counts.get(what)]
    broken += ["memory"] if not flatness <= FLAT else []
    broken += ["swaps"] if seen.refused or not seen.swaps else []
    broken += ["stop"] if ended["exit"] != 0 or ended["traceback"] else []
    broken += ["audit"] if ended["audit"] < 1 else []
    sizes = [size for at, size in seen.memory if at >= settled]
    return {
        "counts": counts, "rows": told["rows"], "examples": told["examples"], "swaps": seen.swaps, "settled": settled,
        "flatness": round(flatness, 4), "memory_mb": [round(min(sizes) / 2**20), round(max(sizes) / 2**20)],
        "memory": [[at, round(size / 2**20)] for at, size in seen.memory[::10]], "ended": ended, "broken": broken,
    }  # fmt: skip


def line(entry: Entry) -> str:
    """What came out, in a line."""
    counts = entry["counts"]
    right = sum(n for kind, n in counts.items() if kind.endswith(" 200") and not kind.startswith("spoilt"))
    spoiled = sum(n for kind, n in counts.items() if kind.startswith("spoilt"))
    verdict = f"does not hold: {', '.join(entry['broken'])}" if entry["broken"] else "holds"
    return (
        f"{right:,} right answers of {entry['rows']:,} rows, {spoiled:,} spoilt and {counts.get('left', 0):,} left "
        f"requests, {entry['swaps']} swaps; {counts.get('lost', 0)} lost, {counts.get('wrong', 0)} wrong, "
        f"{counts.get('5xx', 0)} 5xx; memory {entry['memory_mb'][0]:,} to {entry['memory_mb'][1]:,} MB, "
        f"{entry['flatness']:.3f} of itself: {verdict}"
    )


def render(entries: list[Entry]) -> str:
    """The page: the newest entry for each length, number of clients and of workers."""
    if not entries:
        return f"{TITLE}\n\n{ABOUT}\n\nNot measured yet: `make bench NAME=soak`.\n"
    names = ("models", "minutes", "clients", "workers", "machine")
    newest = {tuple(str(e[name]) for name in names): e for e in entries}
    lines = []
    for e in newest.values():
        head = f"**{e['minutes']:g} minutes, {e['clients']} clients, {e['workers']} workers**, {', '.join(e['models'])}"
        lines += [f"* {head} ({e['date']}, {e['machine']}, {e['by']}): {line(e)}."]
    return "\n".join([TITLE, "", ABOUT, "", *lines, "", "`make bench NAME=soak` measures again.", ""])


def main(arguments: Sequence[str] | None = None) -> None:
    """One soak; exits with 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--results", type=Path, default=RESULTS / "soak.json")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        entry = soak(Path(name), asked.models, asked.minutes, asked.clients, asked.workers)
    key = {name: getattr(asked, name) for name in ("models", "minutes", "clients", "workers")}
    Kept(asked.results).add(entry, **key, by=ours())
    print(line(entry), *entry["examples"], sep="\n")
    if entry["broken"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
