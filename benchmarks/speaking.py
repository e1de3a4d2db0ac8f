"""Texts written by rule, learnt with all defaults: dates to ISO, sums, number words to digits.

    python -m benchmarks speaking [--tasks dates additions] [--decoders lstm] [--seeds 3] [--budget 5m] [--rows 5000]

Each run is a fresh process; what is asked in test rows occurs in no training row (``benchmarks/pairs_made.py``). One
line a run: the share of test rows that are written exactly. Results are kept by release, task, decoder, seed, budget,
rows and machine, and a harness that is stopped goes on where it was.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.kept import RESULTS, Entry, Kept, ours
from benchmarks.pairs_made import MADE, Row

TITLE = "# Benchmarks of writing\n\nRendered by `make bench NAME=page`; do not edit."
GOAL = 0.99
ABOUT = f"""Dates in words to ISO 8601 (a day is on one side only), sums of two three-digit numbers (`123+456` to `579`,
most significant digit first; no operand of a test row occurs in training), numbers below a million in words to digits.
All defaults; the goal is {GOAL:.0%} of test rows written exactly."""
DECODERS = ("transformer", "lstm")


def spec_of(source: Path, decoder: str, budget: str, seed: int) -> dict[str, Any]:
    """All defaults but for the decoder."""
    return {
        "data": {"source": str(source)}, "features": {"asked": "text"}, "other_features": "ignore", "seed": seed,
        "targets": {"answer": {"type": "text", "decoder": {"type": decoder}}},
        "split": {"method": "column", "column": "part"}, "train": {"budget": {"time": budget}},
        "evaluate": {"checks": [], "baselines": []},
    }  # fmt: skip


def written(folder: Path, rows: list[Row], decoder: str, budget: str, seed: int) -> dict[str, Any]:
    """Train on the rows and write the answers of test rows: the share that is exact, seconds, steps, or a reason."""
    _save(folder / "pairs.csv", ["asked", "answer", "part"], [list(row) for row in rows])
    test = [row for row in rows if row[2] == "test"]
    _save(folder / "asked.csv", ["asked"], [[row[0]] for row in test])
    spec = spec_of(folder / "pairs.csv", decoder, budget, seed)
    (folder / "spec.yaml").write_text(json.dumps(spec))  # JSON is YAML
    start = time.perf_counter()
    done = _do(folder, "train", "spec.yaml", "--out", str(folder / "run"))
    seconds = time.perf_counter() - start
    if done.returncode:
        return {"reason": done.stderr[-500:]}
    bundle = Path(done.stdout.strip().splitlines()[-1])
    asked = _do(folder, "predict", str(bundle), "asked.csv", "-o", "answers.csv")
    if asked.returncode:
        return {"reason": asked.stderr[-500:]}
    with (folder / "answers.csv").open(newline="", encoding="utf-8") as file:
        said = [row["answer"] for row in csv.DictReader(file)]
    right = sum(text == row[1] for text, row in zip(said, test, strict=True))
    plan = json.loads((bundle.parent / "plan.json").read_text())["members"][-1]
    return {
        "exact": round(right / len(test), 4), "test_rows": len(test), "seconds": round(seconds, 1),
        "steps": plan["steps"], "threads": plan["threads"],
    }  # fmt: skip


def told(entry: Entry) -> str:
    """One line of a run."""
    head = f"{entry['task']:<13} {entry['decoder']:<12} seed {entry['seed']}  {entry['budget']:>5}"
    if entry.get("reason"):
        return f"{head}  failed: {entry['reason'].strip().splitlines()[-1]}"
    verdict = "reached" if entry["exact"] >= GOAL else f"below {GOAL:.0%}"
    rest = f"{entry['test_rows']:,} test rows, {entry['seconds']:.0f} s, {entry['steps']:,} steps"
    return f"{head}  exact {entry['exact']:.2%} of {rest}: {verdict}"


def render(entries: list[Entry]) -> str:
    """The page: the newest entry of each task, decoder, seed, budget and number of rows."""
    head = [TITLE, "", ABOUT, ""]
    if not entries:
        return "\n".join([*head, "Not measured yet: `make bench NAME=speaking`.", ""])
    names = ("task", "decoder", "rows", "budget", "seed", "machine")
    newest = {tuple(str(entry[name]) for name in names): entry for entry in entries}
    columns = [*names[:-1], "exact", "test rows", "seconds", "steps", "date", "machine", "version"]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for entry in newest.values():
        shown = [
            *(str(entry[name]) for name in names[:-1]),
            *_result(entry),
            entry["date"],
            entry["machine"],
            entry["by"],
        ]
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join([*head, *lines, "", "`make bench NAME=speaking` measures again.", ""])


def _result(entry: Entry) -> list[str]:
    if entry.get("reason"):
        return ["failed", "", "", ""]
    return [f"{entry['exact']:.2%}", str(entry["test_rows"]), f"{entry['seconds']:.0f}", str(entry["steps"])]


def _save(path: Path, names: list[str], rows: list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows])


def _do(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trueweight", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def main() -> None:
    """Every task that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", choices=MADE, default=list(MADE))
    parser.add_argument("--decoders", nargs="+", choices=DECODERS, default=list(DECODERS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--budget", default="5m", help="of fitting")
    parser.add_argument("--rows", type=int, help="fewer than the task has")
    parser.add_argument("--out", type=Path, default=RESULTS / "speaking.json")
    parser.add_argument("--retry", action="store_true", help="run again what failed")
    chosen = parser.parse_args()
    kept = Kept(chosen.out, retry=chosen.retry)
    for seed in range(chosen.seeds):
        for task in chosen.tasks:
            for decoder in chosen.decoders:
                make, usual = MADE[task]
                rows = min(chosen.rows or usual, usual)
                key = {"task": task, "decoder": decoder, "seed": seed, "budget": chosen.budget, "rows": rows}
                entry = kept.find(**key, by=ours())
                if entry is None:
                    with tempfile.TemporaryDirectory() as place:
                        found = written(Path(place), list(make(rows, seed)), decoder, chosen.budget, seed)
                    entry = kept.add(found, **key, by=ours())
                print(told(entry), flush=True)


if __name__ == "__main__":
    main()
