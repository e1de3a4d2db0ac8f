"""Time to a given accuracy: our defaults beside the documented first examples of other frameworks.

    make bench NAME=race DATA=folder/with/data

The target of a task is fixed before ours runs: the accuracy on test rows that the *rival of reference* ends with, after
as many epochs as its documentation trains, median over the seeds. Every run is a fresh process; its seconds begin with
the process and hold start-up, reading, decoding and training, but not the scoring of test rows. A rival's time is that
of the first epoch that reached the target. Ours ends where its budget says, so it is run with budgets from a fixed
ladder, smallest first, and its time is that of the whole process with the first budget that reached the target. Ours
has all defaults, evidence included; nothing is tuned on these sets.

A rival that takes more than ten times our time is stopped there. Results are kept in ``benchmarks/results/race.json``
as they come in, by rival, task and seed, so that the harness can be stopped and run again.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from trueweight.files import write_atomic

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "race.json"
PAGE = HERE.parent / "docs" / "benchmarks-race.md"
RIVALS_PYTHON = HERE.parent / ".venv-rivals" / "bin" / "python"

LADDER = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Budgets in seconds."""

LONGEST = 1800
"""Seconds after which a run of the reference is stopped."""


@dataclass(frozen=True)
class Task:
    """One data set, and who is raced on it."""

    name: str
    kind: str
    feature: str
    label: str
    train: str
    test: str | None
    """None: a fifth of the rows, another for each seed."""
    reference: str
    """Whose accuracy is the target."""
    rivals: Sequence[str]


_PICTURES = ("keras-jax", "keras-torch", "skorch", "lightning", "scikit-learn")
_TEXTS = ("keras-jax", "keras-torch", "transformers", "scikit-learn")

TASKS = (
    Task("fashion-mnist", "pictures", "image", "label", "fashion-mnist/train.parquet", "fashion-mnist/test.parquet",
         "keras-jax", _PICTURES),
    Task("mnist-5k", "pictures", "image", "label", "mnist-5k/mnist-5k.parquet", None, "keras-jax", _PICTURES),
    Task("newsgroups", "texts", "text", "label", "newsgroups/train.csv.gz", "newsgroups/test.csv.gz", "keras-jax",
         _TEXTS),
    Task("tweets-sentiment", "texts", "text", "sentiment", "tweets-sentiment/tweets.csv", None, "keras-jax", _TEXTS),
)  # fmt: skip


def cut(task: Task, data: Path, folder: Path, seed: int) -> None:
    """Write train.parquet and test.parquet, one feature and the label each."""
    train = _frame(data / task.train, task)
    if task.test is None:
        order = np.random.default_rng(seed).permutation(len(train))
        few = len(train) // 5
        train, test = train.iloc[order[few:]], train.iloc[order[:few]]
    else:
        test = _frame(data / task.test, task)
    for name, part in (("train", train), ("test", test)):
        parquet.write_table(pa.Table.from_pandas(part, preserve_index=False), folder / f"{name}.parquet")


def _frame(path: Path, task: Task) -> pd.DataFrame:
    if path.suffix == ".parquet":
        rows = parquet.read_table(path).to_pandas()
    else:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    return rows[[task.feature, task.label]]


def run_rival(task: Task, rival: str, folder: Path, seed: int, limit: float) -> dict[str, Any]:
    """All epochs of a rival, or those that fit the limit."""
    command = [RIVALS_PYTHON, HERE / "rivals.py", rival, task.kind, "train.parquet", "test.parquet", str(seed)]
    start = time.perf_counter()
    with subprocess.Popen([str(c) for c in command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=_threads()) as process:  # fmt: skip
        try:
            out, errors = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            process.kill()
            out, errors = process.communicate()
        else:
            if process.returncode:
                sys.exit(f"{rival} on {task.name} ended with {process.returncode}:\n{errors[-2000:]}")
    epochs = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    spent = time.perf_counter() - start
    return {"epochs": epochs, "ended": spent < limit, "seconds": epochs[-1]["seconds"] if epochs else spent}


def run_ours(task: Task, folder: Path, seed: int, target: float) -> dict[str, Any]:
    """Budgets from the ladder until the target is reached; the cold run first, then the same once more, warm."""
    tries = []
    truth = parquet.read_table(folder / "test.parquet").column(task.label).to_pandas().astype(str)
    for budget in LADDER:
        tried = _train(task, folder, seed, budget, truth, cold=True)
        tries.append(tried)
        sys.stderr.write(f"  ours, {budget} s: {tried}\n")
        if tried["accuracy"] >= target:
            return {"tries": tries, "warm": _train(task, folder, seed, budget, truth, cold=False)}
    return {"tries": tries, "warm": None}


def _train(task: Task, folder: Path, seed: int, budget: int, truth: pd.Series, *, cold: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as empty:
        env = _threads() | {"XDG_CACHE_HOME": empty if cold else str(folder / "cache")}
        command = [sys.executable, "-m", "trueweight"]
        options = ["--target", task.label, "--budget", f"{budget}s", "--seed", str(seed), "--set", "split.test=0"]
        if not cold:  # what a second run on unchanged data finds
            _do([*command, "train", "train.parquet", *options[:3], "1s", *options[4:]], folder, env)
        start = time.perf_counter()
        bundle = _do([*command, "train", "train.parquet", *options], folder, env).strip().splitlines()[-1]
        seconds = time.perf_counter() - start
        _do([*command, "predict", bundle, "test.parquet", "-o", "answers.csv"], folder, env)
        answers = pd.read_csv(folder / "answers.csv", dtype=str, keep_default_na=False)[task.label]
    return {"budget": budget, "seconds": round(seconds, 2), "accuracy": float((answers == truth).mean())}


def _threads() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": str(os.cpu_count() or 1)}


def _do(command: Sequence[str], folder: Path, env: Mapping[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[2:5])} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


class Kept:
    """Results on disk, by (task, who, seed, what it was)."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []

    def find(self, task: Task, who: str, seed: int, identity: str) -> dict[str, Any] | None:
        """The run, if there is one."""
        asked = (task.name, who, seed, identity)
        return next((r for r in self.runs if (r["task"], r["who"], r["seed"], r["identity"]) == asked), None)

    def add(self, task: Task, who: str, seed: int, identity: str, found: Mapping[str, Any]) -> dict[str, Any]:
        """Keep a run."""
        machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
        date = datetime.now(UTC).date().isoformat()
        run = {"task": task.name, "who": who, "seed": seed, "identity": identity, "machine": machine, "date": date}
        self.runs.append(run | found)
        write_atomic(RESULTS, (json.dumps(self.runs, indent=1) + "\n").encode())
        return self.runs[-1]


def pins() -> str:
    """Versions of the rivals."""
    asked = "import importlib.metadata as m; print(*(f'{n} {m.version(n)}' for n in %r), sep=', ')"
    names = ("keras", "jax", "torch", "lightning", "skorch", "transformers", "scikit-learn")
    found = subprocess.run([RIVALS_PYTHON, "-c", asked % (names,)], capture_output=True, text=True, check=False)
    if found.returncode:
        sys.exit("the rivals are not installed: make rivals")
    return found.stdout.strip()


def identity() -> str:
    """Our sources by their last commit."""
    asked = ["git", "log", "-1", "--format=%h", "--", "src"]
    found = subprocess.run(asked, cwd=HERE.parent, capture_output=True, text=True, check=False).stdout.strip()
    return f"{version('trueweight')} ({found or 'no commit'}), torch {version('torch')}"


def race(task: Task, data: Path, seeds: int, kept: Kept) -> None:
    """Reference, ours, then the others with at most ten times our time."""
    rivals, ours = pins(), identity()
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as place:
            cut(task, data, Path(place), seed)
            if kept.find(task, task.reference, seed, rivals) is None:
                found = run_rival(task, task.reference, Path(place), seed, LONGEST)
                kept.add(task, task.reference, seed, rivals, found)
    target = target_of(task, kept.runs)
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as place:
            cut(task, data, Path(place), seed)
            own = kept.find(task, "trueweight", seed, ours)
            if own is None:
                own = kept.add(task, "trueweight", seed, ours, run_ours(task, Path(place), seed, target))
            limit = min(LONGEST, 10 * own["tries"][-1]["seconds"])
            for rival in task.rivals:
                if seed == 0 and kept.find(task, rival, seed, rivals) is None:
                    kept.add(task, rival, seed, rivals, run_rival(task, rival, Path(place), seed, limit))


def target_of(task: Task, runs: Sequence[Mapping[str, Any]]) -> float:
    """What the reference ended with, median over seeds."""
    ends = [run["epochs"][-1]["accuracy"] for run in runs if (run["task"], run["who"]) == (task.name, task.reference)]
    return float(np.median(ends))


HEAD = """# Time to a given accuracy

Generated by `make bench NAME=race`; do not edit. Measured {date} on {machine}: Trueweight {ours}; {rivals}.

The target of each task is what Keras's own example (*{reference}*) ends with on the test rows, median over the seeds.
Every run is a fresh process whose seconds hold its start-up, reading, decoding and training. Ours runs with budgets of
1, 2, 4, … s until one reaches the target; *warm* is the same once more on data that it has seen. Rivals train as their
documentation's first example does; one that needs more than ten times our time is stopped there (`>`).

| task | target | who | seconds to target | ratio to ours | accuracy at its end | seeds |
|---|---|---|---|---|---|---|"""


def render(runs: Sequence[Mapping[str, Any]]) -> str:
    """The page for the docs."""
    own = [run for run in runs if run["who"] == "trueweight"]
    others = [run for run in runs if run["who"] != "trueweight"]
    last = {"date": runs[-1]["date"], "machine": runs[-1]["machine"], "ours": own[-1]["identity"] if own else "-"}
    lines = [HEAD.format(**last, rivals=others[-1]["identity"], reference=TASKS[0].reference)]
    for task in TASKS:
        mine = [run for run in own if run["task"] == task.name]
        if not mine:
            continue
        target = target_of(task, runs)
        reached = [run["tries"][-1] for run in mine]
        seconds = float(np.median([r["seconds"] for r in reached]))
        warm = [run["warm"]["seconds"] for run in mine if run["warm"]]
        missed = "" if all(r["accuracy"] >= target for r in reached) else ">"
        ends = f"{np.median([r['accuracy'] for r in reached]):.4f}"
        cold = f"{missed}{seconds:.1f} | 1 | {ends} | {len(mine)} |"
        lines.append(f"| {task.name} | {target:.4f} | Trueweight, cold | {cold}")
        if warm:
            ratio = np.median(warm) / seconds
            lines.append(f"| | | Trueweight, warm | {np.median(warm):.1f} | {ratio:.2f} | | {len(warm)} |")
        for rival in task.rivals:
            found = [run for run in others if (run["task"], run["who"]) == (task.name, rival)]
            if found:
                lines.append(_rival_line(rival, found, target, seconds))
    return "\n".join(lines) + "\n"


def _rival_line(rival: str, found: Sequence[Mapping[str, Any]], target: float, ours: float) -> str:
    times, never = [], False
    for run in found:
        hit = next((e["seconds"] for e in run["epochs"] if e["accuracy"] >= target), None)
        never |= hit is None
        times.append(run["seconds"] if hit is None else hit)
    ended = all(run["ended"] for run in found)
    seconds = float(np.median(times))
    shown = f"{'never, ended at ' if never and ended else '>' if never else ''}{seconds:.1f}"
    ends = [run["epochs"][-1]["accuracy"] for run in found if run["epochs"]]
    accuracy = f"{np.median(ends):.4f}" if ends else "-"
    return f"| | | {rival} | {shown} | {'>' if never else ''}{seconds / ours:.1f} | {accuracy} | {len(found)} |"


def main() -> None:
    """Race what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--task", action="append", choices=[task.name for task in TASKS])
    parser.add_argument("--render", action="store_true", help="only write the page from the results that are kept")
    chosen = parser.parse_args()
    kept = Kept()
    if not chosen.render:
        if chosen.data is None:
            sys.exit("say where the data sets are: make bench NAME=race DATA=folder")
        for task in TASKS:
            if not chosen.task or task.name in chosen.task:
                race(task, Path(chosen.data).resolve(), chosen.seeds, kept)
                write_atomic(PAGE, render(kept.runs).encode())
    write_atomic(PAGE, render(kept.runs).encode())


if __name__ == "__main__":
    main()
