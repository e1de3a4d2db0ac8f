"""Trueweight's defaults against other tools' defaults on tables, on splits that are cut before anybody sees the file.

    make bench NAME=tables DATA=folder/with/data

Every system is a fresh process that gets ``train.csv`` and the features of ``test.csv``; its seconds are those of the
whole process or processes, start-up included. Systems take turns on each split. Results are kept in
``benchmarks/results/tables.json`` as they come in, so that the harness can be stopped and run again; rows where we
lose stay.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.kept import machine
from scipy import stats
from sklearn.metrics import roc_auc_score, root_mean_squared_error

from trueweight.files import write_atomic

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "tables.json"


@dataclass(frozen=True)
class Task:
    """One data set with the question asked of it and the promise made about it."""

    name: str
    file: str
    target: str
    metric: str
    limit_seconds: float
    rival: str
    promise: str
    key: str | None = None
    margin: float | None = None
    """Least difference to the rival that keeps the promise; None: equal within the interval."""
    bound: float | None = None
    """Instead of a rival: the error itself must be at most this."""

    @property
    def positive(self) -> str:
        return {"income": ">50K", "survived": "1"}[self.target]


TASKS = (
    Task("adult", "adult.csv", "income", "roc_auc", 180, "lightgbm", "at least LightGBM's minus 0.006", margin=-0.006),
    Task(
        "california-housing",
        "california-housing.csv",
        "MedHouseVal",
        "rmse",
        60,
        "lightgbm",
        "at most 0.50",
        bound=0.50,
    ),
    Task(
        "titanic",
        "titanic.csv",
        "survived",
        "roc_auc",
        60,
        "logistic",
        "not below logistic's by over 0.01",
        margin=-0.01,
    ),
    Task("messy-titanic", "messy-titanic.csv", "survived", "roc_auc", 60, "titanic", "equal to titanic's", "nr"),
)


def read(task: Task, folder: Path) -> pd.DataFrame:
    """All cells as text, with the row number that splits are made by."""
    frame = pd.read_csv(folder / "tables" / task.file, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    frame.insert(0, "_row", frame["nr"].astype(int) - 1 if task.key else np.arange(len(frame)))
    return frame


def cut(frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Four fifths to train, one to judge. Equal row numbers stay together, so that titanic and its messy copy match."""
    count = int(frame["_row"].max()) + 1
    judged = np.zeros(count, bool)
    judged[np.random.default_rng(seed).permutation(count)[: count // 5]] = True
    late = judged[frame["_row"]]
    test = frame[late].drop_duplicates("_row").sort_values("_row")
    return frame[~late], test


SETTINGS = ("split.test=0",)
"""The harness keeps the test rows: Trueweight gets none of them and needs none of its own."""


def trueweight(task: Task, folder: Path) -> np.ndarray:
    """Train and predict by the command line, all defaults; no test rows kept, since the harness has them."""
    command = [sys.executable, "-m", "trueweight"]
    budget = f"{0.7 * task.limit_seconds:.0f}s"
    options = ["--target", task.target, "--out", str(folder / "run"), "--budget", budget]
    options += [word for setting in SETTINGS for word in ("--set", setting)]
    if task.key:
        options += ["--set", f"data.primary_key={task.key}"]
    done = subprocess.run(
        [*command, "train", "train.csv", *options], cwd=folder, check=True, capture_output=True, text=True
    )
    bundle = done.stdout.strip().splitlines()[-1]
    subprocess.run(
        [*command, "predict", bundle, "test.csv", "-o", "answers.csv"], cwd=folder, check=True, capture_output=True
    )
    answers = pd.read_csv(folder / "answers.csv")
    return answers[task.target if task.metric == "rmse" else f"{task.target}.p[{task.positive}]"].to_numpy()


def peer(name: str) -> object:
    """A system that is a script of ours around another library, run in its own process."""

    def ask(task: Task, folder: Path) -> np.ndarray:
        script = [
            sys.executable,
            str(HERE / "peers.py"),
            name,
            task.target,
            task.metric,
            *([task.key] if task.key else []),
        ]
        subprocess.run(script, cwd=folder, check=True, capture_output=True)
        return np.loadtxt(folder / "answers.txt")

    return ask


SYSTEMS = {"trueweight": trueweight, "lightgbm": peer("lightgbm"), "logistic": peer("logistic")}


def score(task: Task, answers: np.ndarray, truth: pd.Series) -> float:
    if task.metric == "rmse":
        return float(root_mean_squared_error(truth.astype(float), answers))
    return float(roc_auc_score(truth == task.positive, answers))


def identity(system: str) -> str:
    """What was measured: our sources by their last commit, a peer by its release; and on which kind of machine."""
    if system == "trueweight":
        asked = ["git", "log", "-1", "--format=%h", "--", "src"]
        found = subprocess.run(asked, cwd=HERE.parent, capture_output=True, text=True, check=False).stdout.strip()
        name = f"{version('trueweight')} ({found or 'no commit'})"
    else:
        name = version({"logistic": "scikit-learn"}.get(system, system))
    return f"{name}, torch {version('torch')}" if system == "trueweight" else name


def runs(task: Task, data: Path, splits: int, known: set[tuple[object, ...]]) -> Iterator[dict[str, object]]:
    """Every result that is not known yet."""
    frame = read(task, data)
    for seed in range(splits):
        train, test = cut(frame, seed)
        for name, system in SYSTEMS.items():
            if (task.name, seed, name, identity(name), machine()) in known:
                continue
            if name == "logistic" and task.metric == "rmse":
                continue
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                train.drop(columns="_row").to_csv(folder / "train.csv", index=False)
                test.drop(columns=["_row", task.target]).to_csv(folder / "test.csv", index=False)
                start = time.perf_counter()
                answers = system(task, folder)  # type: ignore[operator]
                seconds = time.perf_counter() - start
            yield {
                "task": task.name,
                "split": seed,
                "system": name,
                "identity": identity(name),
                "machine": machine(),
                "date": datetime.now(UTC).date().isoformat(),
                "score": score(task, answers, test[task.target]),
                "seconds": round(seconds, 2),
                "rows": len(test),
            }


def paired(ours: np.ndarray, theirs: np.ndarray, test_share: float = 0.2) -> tuple[float, float, float]:
    """Mean difference over splits with a 95 % interval.

    Splits of one file share rows, so the variance is corrected after Nadeau and Bengio 2003, "Inference for the
    generalization error", Machine Learning 52.
    """
    difference = ours - theirs
    count = len(difference)
    error = np.sqrt((1 / count + test_share / (1 - test_share)) * difference.var(ddof=1))
    reach = stats.t.ppf(0.975, count - 1) * error
    return float(difference.mean()), float(difference.mean() - reach), float(difference.mean() + reach)


HEAD = """## Four tables, ten splits, and what was promised

Generated by `make bench NAME=tables`. Data sets of the benchmark list, which no default was chosen on.
Measured {dates} on {machines}: {identities}.
Trueweight's budget for fitting was 0.7 of the time that a run may take (126 s
for adult, 42 s for the others); everything else is default. One run at a time.

Each of {splits} splits (four fifths to train, one to judge) was cut before any system saw the file. Seconds are of
whole processes, start-up included. Differences are paired by split, with 95 % intervals corrected for splits that
share rows (Nadeau and Bengio 2003).

| data | metric | system | median | range | seconds (median, longest) | ours minus theirs |
|---|---|---|---|---|---|---|"""


def promises(runs: list[dict[str, object]]) -> list[str]:
    """The table of promises."""
    rows = pd.DataFrame(runs).drop_duplicates(["task", "split", "system"], keep="last")
    table = rows.pivot_table(index=["task", "split"], columns="system", values="score")
    return ["| promise | measured | kept? |", "|---|---|---|", *_promises(rows, table)]


def render(runs: list[dict[str, object]]) -> str:
    """A section for the docs: of each system the newest that was measured."""
    rows = pd.DataFrame(runs).drop_duplicates(["task", "split", "system"], keep="last")
    said = {name: ", ".join(sorted(set(rows[name]))) for name in ("date", "machine")}
    systems = [f"{name} {', '.join(sorted(set(part.identity)))}" for name, part in rows.groupby("system")]
    lines = [
        HEAD.format(
            splits=rows.split.nunique(), dates=said["date"], machines=said["machine"], identities="; ".join(systems)
        )
    ]
    table = rows.pivot_table(index=["task", "split"], columns="system", values="score")
    for task in TASKS:
        for name in SYSTEMS:
            part = rows[(rows.task == task.name) & (rows.system == name)]
            if part.empty:
                continue
            gap = ""
            if name != "trueweight":
                gap = _gap(table.loc[task.name]["trueweight"], table.loc[task.name][name])
            span = f"{part.score.min():.4f} … {part.score.max():.4f}"
            took = f"{part.seconds.median():.0f}, {part.seconds.max():.0f}"
            lines.append(
                f"| {task.name} | {task.metric} | {name} | {part.score.median():.4f} | {span} | {took} | {gap} |"
            )
    lines += ["", *promises(runs)]
    return "\n".join(lines) + "\n"


def _gap(ours: pd.Series, theirs: pd.Series) -> str:
    both = pd.concat([ours, theirs], axis=1).dropna()
    if len(both) < 2:
        return ""
    mean, low, high = paired(both.iloc[:, 0].to_numpy(), both.iloc[:, 1].to_numpy())
    return f"{mean:+.4f} ({low:+.4f} … {high:+.4f})"


def _promises(rows: pd.DataFrame, table: pd.DataFrame) -> Iterator[str]:
    for task in TASKS:
        if task.name not in table.index.get_level_values(0):
            continue
        ours = table.loc[task.name]["trueweight"]
        theirs = table.loc["titanic"]["trueweight"] if task.rival == "titanic" else table.loc[task.name][task.rival]
        both = pd.concat([ours, theirs], axis=1).dropna()
        mean, low, high = paired(both.iloc[:, 0].to_numpy(), both.iloc[:, 1].to_numpy())
        found = f"median {ours.median():.4f}; minus {task.rival}: {_gap(ours, theirs)}"
        if task.bound is not None:
            kept = "yes, in every split" if ours.max() <= task.bound else "no"
        elif task.margin is None:
            kept = "yes: the interval holds 0" if low <= 0 <= high else "no"
        else:
            kept = (
                "yes"
                if low >= task.margin
                else "on average; the interval reaches beyond"
                if mean >= task.margin
                else "no"
            )
        yield f"| {task.name}: {task.metric} {task.promise} | {found} | {kept} |"
        seconds = rows[(rows.task == task.name) & (rows.system == "trueweight")].seconds.max()
        within = "yes" if seconds <= task.limit_seconds else "no"
        yield f"| {task.name}: each run within {task.limit_seconds:.0f} s | longest {seconds:.0f} s | {within} |"


def main() -> None:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--task", action="append")
    parser.add_argument("--render", action="store_true", help="only write the page from the results that are kept")
    chosen = parser.parse_args()
    kept: list[dict[str, object]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    if not chosen.render:
        if chosen.data is None or not (Path(chosen.data) / "tables").is_dir():
            sys.exit("say where the data sets are: make bench NAME=tables DATA=folder (with a folder 'tables' in it)")
        measure(kept, chosen)
    from benchmarks.page import write

    write()


def measure(kept: list[dict[str, object]], chosen: argparse.Namespace) -> None:
    """Run what is missing, keeping each result as it comes in."""
    keys = ("task", "split", "system", "identity", "machine")
    RESULTS.parent.mkdir(exist_ok=True)
    for task in TASKS:
        if chosen.task and task.name not in chosen.task:
            continue
        known = {tuple(run[key] for key in keys) for run in kept}
        for result in runs(task, Path(chosen.data), chosen.splits, known):
            kept.append(result)
            write_atomic(RESULTS, (json.dumps(kept, indent=1) + "\n").encode())
            print(result, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
