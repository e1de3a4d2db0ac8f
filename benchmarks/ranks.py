"""Trueweight's defaults ranked among other systems on many tables, by the same five folds for all.

    make rivals rivals-autogluon
    make bench NAME=ranks DATA=folder/with/data

Every system is a fresh process that gets ``train.csv`` and the features of ``test.csv``, the same number of cores and
at most ``--seconds`` (180) for all it does; ours gets 0.7 of them as its budget for fitting. Systems take turns on each
fold. One that fails or takes too long is the last on that table. Results are kept in ``benchmarks/results/ranks.json``
as they come in, by versions, table, fold and machine, so that the harness can be stopped and run again.
"""

import argparse
import hashlib
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks import rank_peers
from benchmarks.kept import HERE, RESULTS, Entry, Kept, ours, pins
from benchmarks.lists import CALIBRATION
from benchmarks.process import run
from benchmarks.rank_sets import SETS, USUAL, Set, folds
from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error

KEPT = RESULTS / "ranks.json"
PYTHON = Path(os.environ.get("RIVALS", HERE.parent / ".venv-rivals")) / "bin" / "python"
GLUED = Path(os.environ.get("RIVALS_AUTOGLUON", HERE.parent / ".venv-rivals-autogluon")) / "bin" / "python"

OURS, BOOSTED = "trueweight", "trueweight-boosted"
OTHER = "(the other class)"
CORE = (OURS, "lightgbm", "xgboost", "catboost", "random-forest", "linear", "sklearn-mlp", "keras-mlp")
MORE = (
    "lightgbm-expert", "xgboost-expert", "catboost-expert", "random-forest-expert", "linear-expert",
    "sklearn-mlp-expert", "keras-mlp-expert", "catboost-tuned", "autogluon", "autogluon-expert",
)  # fmt: skip

PACKAGES = {
    "random-forest": ("scikit-learn",), "linear": ("scikit-learn",), "sklearn-mlp": ("scikit-learn",),
    "keras-mlp": ("keras", "jax"), "xgboost": ("xgboost-cpu",), "autogluon": ("autogluon.tabular", "torch"),
}  # fmt: skip


def identity(system: str, boosting: Sequence[str]) -> str:
    """Versions, and the first digits of the digest of our script; of ours the commit."""
    if system in (OURS, BOOSTED):
        return ours() + (f", {' '.join(boosting)}" if system == BOOSTED else "")
    name = system.removesuffix("-expert").removesuffix("-tuned")
    found = pins(GLUED if name == "autogluon" else PYTHON, PACKAGES.get(name, (name,)))
    digest = hashlib.sha256(inspect.getsource(rank_peers.PEERS[system]).encode()).hexdigest()[:8]
    return f"{found} (script {digest})" if found else "not installed"


class Bench:
    """What is measured how."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self.data = Path(chosen.data).resolve()
        self.seconds, self.threads, self.rows = chosen.seconds, chosen.threads, chosen.rows
        self.boosting: list[str] = chosen.boosting
        self.kept = Kept(chosen.results, retry=chosen.retry)

    def table(self, asked: Set) -> pd.DataFrame:
        """The rows as text, as every system reads them."""
        with tempfile.TemporaryDirectory() as place:
            command = [PYTHON, HERE / "rank_sets.py", asked.name, self.data, "table.csv"]
            done = run(command, Path(place), limit=300, threads=self.threads)
            if done.code != 0:
                sys.exit(f"{asked.name} cannot be read: {done.reason}\n{done.errors}")
            return pd.read_csv(Path(place) / "table.csv", dtype=str, keep_default_na=False)

    def fold(self, asked: Set, rows: pd.DataFrame, fold: int, system: str) -> Entry:
        """One system on one fold, unless it is known."""
        key = {"set": asked.name, "fold": fold, "system": system, "identity": identity(system, self.boosting),
               "limit": self.seconds, "threads": self.threads, "used": self.rows}  # fmt: skip
        if known := self.kept.find(**key):
            return known
        learn, judge = folds(asked, rows)[fold]
        if self.rows:
            learn = learn[:: max(1, len(learn) // self.rows)]
        features = rows.drop(columns=[asked.order], errors="ignore")
        train, test = features.iloc[learn], features.iloc[judge]
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            train.to_csv(folder / "train.csv", index=False)
            test.drop(columns=asked.target).to_csv(folder / "test.csv", index=False)
            (folder / "task.json").write_text(json.dumps({"target": asked.target, "metric": asked.metric}))
            found = self._ours(asked, folder, system) if system in (OURS, BOOSTED) else self._peer(folder, system)
            if not found["reason"]:
                found |= scored(asked, folder, train[asked.target], test[asked.target])
        found |= {"metric": asked.metric, "rows": len(train), "columns": train.shape[1] - 1,
                  "calibration": asked.name in CALIBRATION}  # fmt: skip
        sys.stderr.write(f"{asked.name}, fold {fold}: {system} {found['score']}, {found['seconds']} s, "
                         f"{found['peak_mb']} MB{', ' + found['reason'] if found['reason'] else ''}\n")  # fmt: skip
        return self.kept.add(found, **key)

    def _peer(self, folder: Path, system: str) -> Entry:
        python = GLUED if system.startswith("autogluon") else PYTHON
        command = [python, HERE / "rank_peers.py", system, str(self.seconds), str(self.threads)]
        try:
            done = run(command, folder, limit=1.1 * self.seconds, threads=self.threads)
        except OSError as error:
            return {"score": None, "seconds": 0.0, "peak_mb": 0.0, "reason": f"not installed: {error.strerror}"}
        return {"score": None, "seconds": round(done.seconds, 2), "peak_mb": done.peak_mb, "reason": done.reason}

    def _ours(self, asked: Set, folder: Path, system: str) -> Entry:
        """Train and predict by the command line, all defaults."""
        settings = ["split.test=0", *(self.boosting if system == BOOSTED else [])]
        options = [word for setting in settings for word in ("--set", setting)]
        command = [sys.executable, "-m", "trueweight"]
        env = {"XDG_CACHE_HOME": str(folder / "cache"), "TRUEWEIGHT_CACHE": str(folder / "cache")}
        train = [*command, "train", "train.csv", "--target", asked.target, "--out", "run", *options]
        train += ["--budget", f"{0.7 * self.seconds:.0f}s"]
        first = run(train, folder, limit=1.1 * self.seconds, threads=self.threads, env=env)
        found: Entry = {"score": None, "seconds": round(first.seconds, 2), "peak_mb": first.peak_mb,
                        "reason": first.reason}  # fmt: skip
        if first.reason:
            return found
        ask = [*command, "predict", first.out.strip().splitlines()[-1], "test.csv", "-o", "ours.csv"]
        second = run(ask, folder, limit=1.1 * self.seconds - first.seconds, threads=self.threads, env=env)
        found |= {"seconds": round(first.seconds + second.seconds, 2), "reason": second.reason,
                  "peak_mb": max(first.peak_mb, second.peak_mb)}  # fmt: skip
        if not second.reason:
            own_answers(asked, pd.read_csv(folder / "ours.csv")).to_csv(folder / "answers.csv", index=False)
        return found


def own_answers(asked: Set, written: pd.DataFrame) -> pd.DataFrame:
    """Our file of answers in the form that all systems use: of two classes, it holds the chance of one."""
    if asked.metric == "rmse":
        return written[[asked.target]].set_axis(["y"], axis=1)
    start = f"{asked.target}.p["
    chances = written[[name for name in written if name.startswith(start)]]
    chances = chances.rename(columns=lambda name: name.removeprefix(start).removesuffix("]"))
    return chances.assign(**{OTHER: 1 - chances.iloc[:, 0]}) if chances.shape[1] == 1 else chances


def scored(asked: Set, folder: Path, known: pd.Series, true: pd.Series) -> Entry:
    """The score of answers.csv, or why it has none."""
    answers = pd.read_csv(folder / "answers.csv")
    if not np.isfinite(answers.to_numpy()).all():
        return {"reason": "an answer is not a finite number"}
    if asked.metric == "rmse":
        return {"score": float(root_mean_squared_error(true.astype(float), answers["y"]))}
    classes = sorted(known.unique())
    if OTHER in answers:
        answers = answers.rename(columns={OTHER: next(name for name in classes if name not in answers)})
    chances = answers[classes].to_numpy()
    if asked.metric == "roc_auc":
        return {"score": float(roc_auc_score(true == classes[1], chances[:, 1]))}
    chances = np.clip(chances, 1e-7, 1)
    return {"score": float(log_loss(true, chances / chances.sum(1, keepdims=True), labels=classes))}


def chosen_sets(names: Sequence[str]) -> list[Set]:
    """The usual ones, all, or those that are named."""
    if not names:
        return list(SETS[:USUAL])
    unknown = set(names) - {one.name for one in SETS} - {"all"}
    if unknown:
        sys.exit(f"no table is called {', '.join(sorted(unknown))}; there are: {', '.join(s.name for s in SETS)}")
    return [one for one in SETS if "all" in names or one.name in names]


def main() -> None:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    parser.add_argument("--sets", nargs="+", default=[], help="names, or all; else the first twelve")
    parser.add_argument("--systems", nargs="+", default=list(CORE), choices=[*CORE, BOOSTED, *MORE])
    parser.add_argument("--folds", type=int, default=5, help="so many of the five folds")
    parser.add_argument("--seconds", type=float, default=180, help="that each process may take")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--boosting", nargs="+", default=[], metavar="SETTING",
                        help=f"settings that make {BOOSTED} of {OURS}")  # fmt: skip
    parser.add_argument("--retry", action="store_true", help="run again what failed or was stopped before")
    parser.add_argument("--rows", type=int, help="learn from about so many rows only, to try the scripts")
    parser.add_argument("--results", type=Path, default=KEPT, help="another file, so that the page is not written")
    chosen = parser.parse_args()
    if chosen.data is None:
        sys.exit("say where the data sets are: make bench NAME=ranks DATA=folder (with a folder 'tables' in it)")
    if pins(PYTHON, ("numpy",)) is None:
        sys.exit("the rivals are not installed: make rivals")
    bench = Bench(chosen)
    for asked in chosen_sets(chosen.sets):
        rows = bench.table(asked)
        for fold in range(chosen.folds):
            for system in chosen.systems:
                bench.fold(asked, rows, fold, system)
    if chosen.results == KEPT:
        from benchmarks.page import write

        write()


if __name__ == "__main__":
    main()
