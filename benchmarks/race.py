"""Time to a given accuracy: our defaults beside the documented first examples of other frameworks.

    make rivals
    make bench NAME=race DATA=folder/with/data

The target of a task is fixed before ours runs: the accuracy on held-out rows that the *rivals of reference* end with,
after as many epochs as their documentation trains, median over the seeds; or a number. Every run is a fresh process
that sees the same number of cores. Its seconds begin with the process and hold start-up, reading, decoding and
training, but not the scoring of test rows. A rival's time is that of the first epoch that reached the target. Ours ends
where its budget says, so it is run with budgets from a fixed ladder, smallest first, and its time is that of the whole
process with the first budget that reached the target. Ours has all defaults, evidence included; nothing is tuned on
these sets. Nobody augments the rows that judge.

The first seed screens every rival once, stopped at ten times our time. The fastest of each kind (default, expert, by
hand) then run with the other seeds, in turn with ours. Results are kept in ``benchmarks/results/race.json`` as they
come in, by versions, task, seed and machine, so that the harness can be stopped and run again.
"""

import argparse
import ast
import hashlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from benchmarks.kept import HERE, RESULTS, Entry, Kept, ours, pins
from benchmarks.process import Ended, run
from benchmarks.race_tasks import TASKS, Task, Variant, truth
from benchmarks.race_times import fastest, target_of
from pyarrow import parquet

KEPT = RESULTS / "race.json"
PYTHON = Path(os.environ.get("RIVALS", HERE.parent / ".venv-rivals")) / "bin" / "python"
LONGEST = 1800
"""Seconds after which any run is stopped."""

_SHORT = 300
"""Seconds of a budget up to which it is run again, warm: of longer runs what is kept spares nothing that one sees."""

RIVALS: dict[Variant, str] = {"default": "rivals_default.py", "expert": "rivals_expert.py", "hand": "rivals_hand.py"}

PACKAGES = {
    "keras-jax": ("keras", "jax"), "keras-torch": ("keras", "torch"), "pytorch-m5": ("torch",), "by hand": ("torch",),
    "skorch": ("skorch", "torch"), "lightning": ("lightning", "torch"), "transformers": ("transformers", "torch"),
    "scikit-learn": ("scikit-learn",),
}  # fmt: skip


KERAS = ("keras-jax", "keras-torch")


@lru_cache
def scripts(variant: Variant) -> dict[tuple[str, str], str]:
    """By framework and kind of data: the source of what is run. Read, not imported: rivals live elsewhere."""
    text = (HERE / RIVALS[variant]).read_text(encoding="utf-8")
    parts = ast.parse(text).body
    functions = {p.name: ast.get_source_segment(text, p) or "" for p in parts if isinstance(p, ast.FunctionDef)}
    table = next(p.value for p in parts if isinstance(p, ast.Assign) and ast.unparse(p.targets[0]) == "RIVALS")
    assert isinstance(table, ast.Dict)
    return {
        ast.literal_eval(key): functions[ast.unparse(value)]
        for key, value in zip(table.keys, table.values, strict=True)
        if key
    }


def identity(task: Task, who: str, variant: Variant) -> str:
    """Versions of the rival and the first digits of the digest of our script for it."""
    script = scripts(variant)["keras" if who in KERAS else who, task.kind]
    digest = hashlib.sha256(script.encode()).hexdigest()[:8]
    found = pins(PYTHON, PACKAGES[who])
    return f"{found} (script {digest})" if found else "not installed"


@dataclass(frozen=True)
class Course:
    """One task as it is run now."""

    task: Task
    data: Path
    kept: Kept
    threads: int
    longest: float
    rows: int | None
    """Only so many rows to learn from, to try the scripts; None: all."""

    @property
    def known(self) -> list[Entry]:
        """What was measured with so many rows."""
        return [entry for entry in self.kept.entries if entry["rows"] == self.rows]

    @cached_property
    def imports(self) -> float:
        """Seconds that our imports take, the median of three: what the evidence's own clock does not see."""
        command = [sys.executable, "-c", "import torch, trueweight.api.run, trueweight.cli"]
        return statistics.median(self._run(command, Path.cwd()).seconds for _ in range(3))

    def _run(self, command: Sequence[str | Path], folder: Path, **options: Any) -> Ended:
        return run(command, folder, threads=self.threads, **({"limit": self.longest} | options))

    def cut(self, folder: Path, seed: int) -> None:
        """Write the files to learn from and to judge by."""
        self.task.cut(self.data, folder, seed)
        if self.rows and self.task.ending == "parquet":
            for file in (folder / "train.parquet", folder / "test.parquet"):
                rows = parquet.read_table(file).to_pandas()
                rows.sample(min(self.rows, len(rows)), random_state=seed).to_parquet(file, index=False)

    def rival(self, who: str, variant: Variant, seed: int, limit: float) -> Entry:
        """A rival's run, unless it is known."""
        key = {"task": self.task.name, "who": who, "variant": variant, "seed": seed, "threads": self.threads,
               "rows": self.rows, "identity": identity(self.task, who, variant)}  # fmt: skip
        limit = min(limit, self.longest)
        known = self.kept.find(**key)
        if known and (known["ended"] or known["limit"] > 0.9 * limit):
            return known
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            self.cut(folder, seed)
            files = [f"{part}.{self.task.ending}" for part in ("train", "test")]
            command = [PYTHON, HERE / "rivals.py", who, variant, self.task.kind, *files, str(seed)]
            # the clock of the race stands still while test rows are scored, so the rival itself looks at it
            done = self._run(command, folder, limit=1.5 * limit + 60, env={"RACE_LIMIT": str(limit)})
        found = {"peak_mb": done.peak_mb, "limit": limit, **_heard(done)}
        sys.stderr.write(f"  {self.task.name}, seed {seed}: {who} ({variant}): {_told(found)}\n")
        return self.kept.add(found, **key)

    def ours(self, seed: int, target: float) -> float:
        """Budgets from the ladder until the target is reached, then a short one once more, warm.

        Returns:
            Seconds of the last cold run.
        """
        for budget in self.task.ladder:
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                cold = self._own(folder, seed, budget, cold=True)
                if cold["reason"]:
                    break
                if cold["accuracy"] >= target:
                    if budget <= _SHORT:
                        self._own(folder, seed, budget, cold=False)
                    break
        return float(cold["seconds"])

    def _own(self, folder: Path, seed: int, budget: float, *, cold: bool) -> Entry:
        key = {"task": self.task.name, "who": "trueweight", "variant": "default", "seed": seed, "budget": budget,
               "cold": cold, "threads": self.threads, "rows": self.rows, "identity": ours()}  # fmt: skip
        if known := self.kept.find(**key):
            return known
        env = {"XDG_CACHE_HOME": str(folder / "cache"), "TRUEWEIGHT_CACHE": str(folder / "cache")}
        file = f"train.{self.task.ending}"
        command = [sys.executable, "-m", "trueweight"]
        settings = [word for setting in ("split.test=0", *self.task.settings) for word in ("--set", setting)]
        options = ["--target", self.task.label, "--budget", f"{budget}s", "--seed", str(seed), *settings]
        if not (folder / file).exists():
            self.cut(folder, seed)
            if not cold:  # the cold run is an older one: what it would have left in the cache
                self._run([*command, "train", file, *options, "--out", "before"], folder, env=env)
        done = self._run([*command, "train", file, *options, "--out", "cold" if cold else "warm"], folder, env=env)
        found: Entry = {"seconds": round(done.seconds, 2), "peak_mb": done.peak_mb, "reason": done.reason,
                        "ended": done.code == 0, "accuracy": None, "startup": None}  # fmt: skip
        if done.code == 0:
            found |= self._judged(folder, done.out.strip().splitlines()[-1], env)
        sys.stderr.write(
            f"  {self.task.name}, seed {seed}: ours, {budget} s{'' if cold else ', warm'}: {_told(found)}\n"
        )
        return self.kept.add(found, **key)

    def _judged(self, folder: Path, bundle: str, env: dict[str, str]) -> Entry:
        command = [
            sys.executable,
            "-m",
            "trueweight",
            "predict",
            bundle,
            f"test.{self.task.ending}",
            "-o",
            "answers.csv",
        ]
        answered = self._run(command, folder, env=env)
        if answered.code != 0:
            return {"reason": f"predict {answered.reason}"}
        answers = pd.read_csv(folder / "answers.csv", dtype=str, keep_default_na=False)[self.task.label]
        entries = json.loads((folder / bundle / "evidence.json").read_text())["entries"]
        # All imports are in ``imports``; some run beside the stages, so that start-up took at most what is told here.
        stages = [e["value"] for e in entries if e["id"].startswith("cost/start/") and "importing" not in e["id"]]
        first = [e["value"] for e in entries if e["id"].startswith("fit/") and e["id"].endswith("/first_step")]
        return {"accuracy": float((answers == truth(self.task, folder)).mean()),
                "startup": round(self.imports + sum(stages) + (min(first) if first else 0.0), 2)}  # fmt: skip


def _heard(done: Ended) -> Entry:
    """What a rival said of its epochs and its end."""
    # Frameworks print lines of their own, dicts among them, but none that begins like JSON.
    said = [json.loads(line) for line in done.out.splitlines() if line.startswith('{"') and line.endswith("}")]
    epochs = [one for one in said if "epoch" in one]
    stopped = done.code is None or any("stopped" in one for one in said)
    seconds = epochs[-1]["seconds"] if epochs else round(done.seconds, 2)
    return {
        "epochs": epochs, "accuracy": epochs[-1]["accuracy"] if epochs else None, "seconds": seconds,
        "startup": next((one["first_step"] for one in said if "first_step" in one), None),
        "ended": done.code == 0 and not stopped, "reason": f"stopped after {seconds:.0f} s" if stopped else done.reason,
    }  # fmt: skip


def _told(found: Entry) -> str:
    shown = {name: found[name] for name in ("seconds", "startup", "accuracy", "peak_mb", "reason")}
    return ", ".join(f"{name} {value}" for name, value in shown.items() if value is not None)


def race(course: Course, seeds: int) -> None:
    """References, then ours, then a screening of all others, then the fastest with the other seeds, in turn."""
    task = course.task
    for seed in range(seeds):
        for who in task.references:
            course.rival(who, "default", seed, course.longest)
    target = target_of(task, course.known)
    if target is None:
        sys.stderr.write(f"{task.name}: no rival of reference ended, so there is no target\n")
        return
    limit = 10 * course.ours(0, target)
    for who, variant in task.rivals:
        course.rival(who, variant, 0, limit)
    chosen = fastest(task, [e for e in course.known if e["seed"] == 0], target)
    for seed in range(1, seeds):
        course.ours(seed, target)
        for who, variant in chosen:
            course.rival(who, variant, seed, limit)


def main() -> None:
    """Race what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--task", action="append", choices=[task.name for task in TASKS])
    parser.add_argument("--longest", type=float, default=LONGEST, help="seconds after which a run is stopped")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="cores that each process may use")
    parser.add_argument(
        "--rows", type=int, help="learn from so many rows only and judge by so many, to try the scripts"
    )
    parser.add_argument("--results", type=Path, default=KEPT, help="another file, so that the page is not written")
    parser.add_argument("--retry", action="store_true", help="run again what failed or was stopped before")
    parser.add_argument("--try-rivals", action="store_true", help="only run every rival once")
    chosen = parser.parse_args()
    if chosen.data is None:
        sys.exit("say where the data sets are: make bench NAME=race DATA=folder")
    if pins(PYTHON, ("numpy",)) is None:
        sys.exit("the rivals are not installed: make rivals")
    kept = Kept(chosen.results, retry=chosen.retry)
    for task in TASKS:
        if chosen.task and task.name not in chosen.task:
            continue
        course = Course(task, Path(chosen.data).resolve(), kept, chosen.threads, chosen.longest, chosen.rows)
        if chosen.try_rivals:
            for who, variant in task.rivals:
                course.rival(who, variant, 0, chosen.longest)
        else:
            race(course, chosen.seeds)
    if chosen.results == KEPT:
        from benchmarks.page import write

        write()


if __name__ == "__main__":
    main()
