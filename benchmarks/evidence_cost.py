"""What the evidence that every run makes costs beside the training, what it warns of, and what its sets hold.

    make bench NAME=evidence_cost DATA=folder/with/data

Trains real data sets with all defaults, each in a fresh process, and reads the evidence: wall and processor seconds of
fitting and of every check, each flag that speaks, and the coverage of sets and intervals beside its exact band. Results
are kept in ``benchmarks/results/evidence_cost.json`` as they come in; the page ``docs/benchmarks-evidence.md`` is
written from them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from benchmarks.kept import machine
from benchmarks.senses import identity
from pyarrow import parquet

from trueweight.files import write_atomic

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "evidence_cost.json"
PAGE = HERE.parent / "docs" / "benchmarks-evidence.md"

SHARE, LEAST = 0.15, 5.0
"""Promised: the evidence costs at most this share of the training, or so many seconds, whichever is more."""

IDLE = 0.9
"""Share of the processors' time that is free for the machine to count as idle."""

Run = dict[str, Any]


def _as_is(file: str) -> Callable[[Path, Path], Path]:
    return lambda data, folder: data / file  # noqa: ARG005


def _together(first: str, second: str) -> Callable[[Path, Path], Path]:
    """Training and test file put together, to be split again at random."""

    def made(data: Path, folder: Path) -> Path:
        if first.endswith(".parquet"):
            path = folder / "all.parquet"
            parquet.write_table(pa.concat_tables([parquet.read_table(data / f) for f in (first, second)]), path)
        else:
            path = folder / "all.csv"
            pd.concat([pd.read_csv(data / f, dtype=str) for f in (first, second)]).to_csv(path, index=False)
        return path

    return made


def _without(file: str, column: str) -> Callable[[Path, Path], Path]:
    def made(data: Path, folder: Path) -> Path:
        pd.read_csv(data / file, dtype=str, keep_default_na=False).drop(columns=column).to_csv(
            folder / "part.csv", index=False
        )
        return folder / "part.csv"

    return made


def _voices(data: Path, folder: Path) -> Path:
    """Two of the ten voices in a file of their own; the others train, select and calibrate, split at random."""
    rows = pd.read_csv(data / "voice-commands/labels.csv", dtype=str)
    voices = sorted(rows.voice.unique())
    late = rows.voice.isin(voices[:: len(voices) // 2][:2])
    rows[late].to_csv(folder / "late.csv", index=False)
    rows[~late].to_csv(folder / "early.csv", index=False)
    return folder / "early.csv"


@dataclass(frozen=True)
class Task:
    """One data set, trained with all defaults."""

    name: str
    target: str
    file: Callable[[Path, Path], Path]
    """(data folder, folder to write to) -> the training file."""
    settings: Sequence[str] = ()
    """What a user has to say of the data: who belongs together, which file judges."""
    exchangeable: bool = True
    """Whether judged rows are drawn like those that calibrated."""


TASKS = (
    Task("titanic", "survived", _as_is("tables/titanic.csv")),
    Task("german-credit", "risk", _as_is("tables/german-credit.csv")),
    Task("california-housing", "MedHouseVal", _as_is("tables/california-housing.csv")),
    Task("adult", "income", _as_is("tables/adult.csv")),
    Task("BasicMotions", "label", _as_is("series/BasicMotions/BasicMotions_TRAIN.ts")),
    Task("tweets", "sentiment", _without("tweets-sentiment/tweets.csv", "confidence")),
    Task("zh-reviews", "label", _as_is("zh-reviews/reviews.jsonl")),
    Task("newsgroups", "label", _together("newsgroups/train.csv.gz", "newsgroups/test.csv.gz")),
    Task("newsgroups by date", "label", _as_is("newsgroups/train.csv.gz"),
         ("split.test_source={data}/newsgroups/test.csv.gz",), exchangeable=False),
    Task("voice-commands", "phrase", _as_is("voice-commands/labels.csv"), ("features.voice=ignore",)),
    Task("voice-commands by voice", "phrase", _as_is("voice-commands/labels.csv"),
         ("split.group=voice", "features.voice=ignore"), exchangeable=False),
    Task("voice-commands, unseen voices in a test file", "phrase", _voices,
         ("split.test_source={folder}/late.csv", "data.media_dir={data}/voice-commands", "features.voice=ignore"),
         exchangeable=False),
    Task("fashion-mnist", "label", _together("fashion-mnist/train.parquet", "fashion-mnist/test.parquet")),
)  # fmt: skip


def run(task: Task, data: Path, seed: int) -> Run:
    """Train once and read the evidence."""
    idle = _idle()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        command = [sys.executable, "-m", "trueweight", "train", str(task.file(data, folder))]
        command += ["--target", task.target, "--out", "run", "--seed", str(seed)]
        command += [word for setting in task.settings for word in ("--set", setting.format(data=data, folder=folder))]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{task.name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        path = folder / done.stdout.strip().splitlines()[-1] / "evidence.json"
        entries = json.loads(path.read_text())["entries"]
    return {
        "task": task.name, "seed": seed, "idle": idle, **_cost(entries), "flags": _flags(entries),
        "coverage": _coverage(entries), "identity": identity(),
        "machine": machine(),
        "date": datetime.now(UTC).date().isoformat(),
    }  # fmt: skip


def _idle() -> bool:
    """Whether nothing else runs, by looking for two seconds at what the kernel counts."""

    def counted() -> tuple[int, int]:
        ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
        return ticks[3], sum(ticks)

    before = counted()
    time.sleep(2)
    free, whole = (after - start for after, start in zip(counted(), before, strict=True))
    return free > IDLE * whole


def _cost(entries: Sequence[Run]) -> Run:
    """Wall and processor seconds: of fitting, of the simple models, of all that was measured, of every check."""
    found = {e["id"]: e for e in entries}
    parts = {
        work: [round(found[f"cost/{work}/{kind}_seconds"]["value"], 2) for kind in ("wall", "cpu")]
        for work in ("fit", "baselines", "judge")
    }
    checks = {
        e["id"].removeprefix("cost/check/"): [e["cost"]["seconds"], e["cost"]["cpu_seconds"]]
        for e in entries
        if e["id"].startswith("cost/check/")
    }
    return {**parts, "checks": checks}


def _flags(entries: Sequence[Run]) -> Run:
    """Which flags there are: the reason of those that speak, "" of those that looked and found nothing."""
    return {
        e["id"]: e.get("reason") or "" if e.get("value") else ""
        for e in entries
        if e["metric"].endswith("_flag") and e["status"] == "measured"
    }


def _coverage(entries: Sequence[Run]) -> Run:
    """The share covered and the ends of the band, of the one target."""
    named = {e["metric"]: e for e in entries if e["axis"] == "calibration" and not e.get("slice")}
    wanted = ("coverage", "coverage_band_low", "coverage_band_high", "set_size", "ece")
    kept = {name: round(named[name]["value"], 4) for name in wanted if named.get(name, {}).get("value") is not None}
    return kept | ({"rows": named["coverage"]["n"]} if "coverage" in kept else {})


HEAD = """# What the evidence costs, warns of and holds, with defaults

Generated by `make bench NAME=evidence_cost`; do not edit. Measured {dates} on {machines}: Trueweight {identities}.
Everything is default but what a line says. Newsgroups and fashion-mnist are their two files put together and split
again at random, unless it says *by date*. *By voice* keeps each voice on one side of the split, calibration rows
included; *unseen voices in a test file* trains, selects and calibrates on eight voices and is judged on two others.

## Seconds

Promised: all that is measured after fitting costs at most 15 % of fitting, or 5 seconds, whichever is more. *Judged* is
answering the test rows, all scores with their intervals, comparisons with the simple models, and the checks. The
promise is held against wall seconds where the machine had nothing else to do, against processor seconds where it had,
since wall seconds then tell of its other work too. Both are the median over the seeds.{notes}

| data | fitting: wall, cpu | simple models: cpu | judged: wall, cpu | allowed | kept? | {names} |
|---|---|---|---|---|---|{rule}|"""

NOTES = {
    "901997c": """ Runs of these commits had one thread each and shared two cores with other work, so that budgets of
wall seconds bought fewer processor seconds of fitting than on an idle machine, and less was allowed. Runs of 68c3f2b
(seed 0 of newsgroups, newsgroups by date, fashion-mnist and adult) had two threads and the machine to themselves.""",
}
"""What must be said of results by a commit that they were measured with."""

FLAGS = """
## Flags that speak

Every flag that was raised, in how many of the runs, and the reason given in the newest of them. Splits at random are of
one kind of rows, so a flag of shift has to stay silent there.

| data | flag | runs | what it says |
|---|---|---|---|"""

COVERAGE = """
## Sets and intervals

They should hold 90 % of the true values of rows *drawn like the calibration rows*. The band is where the share lies 99
times in 100 for such rows (exact, beta-binomial, from the counts of calibration and judged rows).

| data | like the calibration rows? | seed | rows judged | held | band | inside? | classes in a set | `shift_flag`, \
`drift_flag`, `ood_flag` |
|---|---|---|---|---|---|---|---|---|"""


def render(runs: Sequence[Run]) -> str:
    """The page: of each task and seed the newest run."""
    newest = {(r["task"], r["seed"]): r for r in runs}
    shown = [[r for (name, _), r in sorted(newest.items()) if name == task.name] for task in TASKS]
    checks = list(dict.fromkeys(check for some in shown for r in some for check in r["checks"]))
    said = {key: ", ".join(sorted({r[key] for r in newest.values()})) for key in ("date", "machine", "identity")}
    head = HEAD.format(
        dates=said["date"], machines=said["machine"], identities=said["identity"], names=" | ".join(checks),
        rule="|".join("---" for _ in checks),
        notes="".join(note for commit, note in NOTES.items() if commit in said["identity"]),
    )  # fmt: skip
    lines = [head, *(_seconds(some, checks) for some in shown if some), FLAGS]
    lines += [line for some in shown for line in _spoken(some)] + [COVERAGE]
    lines += [_held(r) for some in shown for r in some if "coverage" in r["coverage"]]
    return "\n".join(lines) + "\n"


def allowed(fit_seconds: float) -> float:
    """Seconds that the evidence may cost."""
    return max(LEAST, SHARE * fit_seconds)


def _clock(run: Run) -> int:
    """Which seconds the promise is held against: 0 wall, 1 processor."""
    return 0 if run.get("idle") else 1


def _middle(runs: Sequence[Run], read: Callable[[Run], float]) -> float:
    return float(pd.Series([read(r) for r in runs]).median())


def _seconds(runs: Sequence[Run], checks: Sequence[str]) -> str:
    fit, judge = ([_middle(runs, lambda r, w=w, k=k: r[w][k]) for k in (0, 1)] for w in ("fit", "judge"))
    cells = [f"{_middle(runs, lambda r, c=c: r['checks'].get(c, [0, 0])[1]):.1f}" for c in checks]
    kept = "yes" if all(r["judge"][_clock(r)] <= allowed(r["fit"][_clock(r)]) for r in runs) else "**no**"
    most = allowed(fit[_clock(runs[0])])
    return (
        f"| {runs[0]['task']} ({len(runs)}) | {fit[0]:.0f}, {fit[1]:.1f} | "
        f"{_middle(runs, lambda r: r['baselines'][1]):.1f} | {judge[0]:.1f}, {judge[1]:.1f} | {most:.1f} | "
        f"{kept} | {' | '.join(cells)} |"
    )


def _spoken(runs: Sequence[Run]) -> list[str]:
    names = list(dict.fromkeys(name for r in runs for name, reason in r["flags"].items() if reason))
    lines = []
    for name in names:
        up = [r["flags"][name] for r in runs if r["flags"].get(name)]
        words = up[-1].replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {runs[0]['task']} | `{name}` | {len(up)} of {len(runs)} | {words} |")
    return lines


def _held(r: Run) -> str:
    found = r["coverage"]
    low, high = (found.get(f"coverage_band_{end}") for end in ("low", "high"))
    band, inside = "not judged", ""
    if low is not None and high is not None:
        share = found["coverage"]
        band = f"{low:.3f} … {high:.3f}"
        inside = "yes" if low <= share <= high else "**below**" if share < low else "**above**"
    like = next(task.exchangeable for task in TASKS if task.name == r["task"])
    size = f"{found['set_size']:.2f}" if "set_size" in found else ""
    shift = [_state(r, word) for word in ("/shift_flag/", "drift/drift_flag/", "drift/ood_flag/")]
    return (
        f"| {r['task']} | {'yes' if like else 'no'} | {r['seed']} | {found['rows']:,} | {found['coverage']:.3f} | "
        f"{band} | {inside} | {size} | {', '.join(shift)} |"
    )


def _state(r: Run, word: str) -> str:
    found = [reason for name, reason in r["flags"].items() if word in name]
    return "not judged" if not found else "raised" if any(found) else "silent"


def main() -> None:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--task", action="append")
    parser.add_argument("--render", action="store_true", help="only write the page from the results that are kept")
    chosen = parser.parse_args()
    kept: list[Run] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    if not chosen.render:
        if chosen.data is None:
            sys.exit("say where the data sets are: make bench NAME=evidence_cost DATA=folder")
        known = {(k["task"], k["seed"], k["identity"]) for k in kept}
        for seed in range(chosen.seeds):
            for task in TASKS:
                if (chosen.task and task.name not in chosen.task) or (task.name, seed, identity()) in known:
                    continue
                kept.append(run(task, Path(chosen.data).resolve(), seed))
                write_atomic(RESULTS, (json.dumps(kept, indent=1) + "\n").encode())
                print(kept[-1], file=sys.stderr, flush=True)
    if kept:
        write_atomic(PAGE, render(kept).encode())


if __name__ == "__main__":
    main()
