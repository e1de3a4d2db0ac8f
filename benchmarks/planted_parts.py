"""How often the flags of slices, fairness and drift are raised: on faults of five strengths, and where there are none.

    python -m benchmarks planted_parts --seeds 100 [--only "clean, number"]

Data is generated, at most 2,000 rows; each seed fits its own models (solved, so in a moment). Prints a line for each
fault and strength: how many of the seeds raised the flag, with Wilson's 95 % interval.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from benchmarks.planted_faults import wilson

from trueweight.data.table import Table
from trueweight.evaluate.checks import CHECKS
from trueweight.evaluate.judging import Judging, Training, judging_of
from trueweight.evaluate.quality import Ask
from trueweight.evidence.record import Data
from trueweight.spec.load import parse_spec
from trueweight.train.build import fit
from trueweight.train.prepare import prepare

ROWS = 2000
Columns = dict[str, Any]


def people(seed: int, rows: int = ROWS, *, cluster: bool = False, notes: bool = False) -> Columns:
    """Yes or no and an amount, from numbers, kinds and a day; groups and notes that do not matter."""
    rng = np.random.default_rng(seed)
    group = np.arange(rows) // 8 if cluster else np.arange(rows)
    of_group = rng.normal(size=(4, rows))[:, group]
    x, z, u, v = of_group if cluster else rng.normal(size=(4, rows))
    kind = rng.choice(["red", "green", "blue", "grey"], rows, p=[0.4, 0.3, 0.2, 0.1])
    score = 2 * x - z + 0.5 * x * z + (kind == "red") + rng.normal(size=rows) * 0.7
    words = np.array(["wire", "roof", "water", "theft", "glass", "door", "car", "tree"])
    note = [" ".join(rng.choice(words, rng.integers(2, 9))) for _ in range(rows)] if notes else np.zeros(rows)
    found = {
        "x": x, "z": np.where(rng.random(rows) < 0.05, np.nan, z), "u": np.exp(u), "v": np.round(2 * v),
        "kind": kind, "region": rng.choice(["north", "south", "east"], rows), "note": note,
        "day": np.datetime64("2024-01-01") + rng.integers(0, 700, rows).astype("timedelta64[D]"),
        "gender": rng.choice(["f", "m"], rows), "who": group,
        "won": np.where(score > 0.3, "yes", "no"), "cost": 10 + 3 * score + rng.normal(size=rows),
    }  # fmt: skip
    return found if notes else {name: values for name, values in found.items() if name != "note"}


@lru_cache(maxsize=2)
def usual(seed: int, notes: bool = False) -> Judging:
    """A model of clean data, for everything that goes wrong later."""
    return judged(people(seed, notes=notes), "won")


def spec_of(target: str, **more: Any) -> Mapping[str, Any]:
    kind = {"won": "binary", "cost": "number", "kind": "category"}[target]
    left = dict.fromkeys({"won", "cost", "who"} - {target}, "ignore")
    base = {"targets": {target: kind}, "features": left, "model": {"preset": "fast"}}
    return base | {"evaluate": {"sensitive": {"columns": ["gender"]}, "interval": {"n_resamples": 100}}} | more


def judged(columns: Columns, target: str, **more: Any) -> Judging:
    """As train judges: a part of the rows, drawn at random."""
    ready = prepare(Table(pa.table(columns)), parse_spec(spec_of(target, **more)))
    rows = ready.split.test
    ask = Ask(ready.spec.evaluate, ready.spec.seed, Data("sha256:0", "test"))
    cluster = None if ready.cluster_N is None else ready.cluster_N[rows]
    return judging_of(fit(ready, None, None).predictor, ready.table.take(rows), ask, cluster, Training(ready, rows))


def later(judging: Judging, columns: Columns) -> Judging:
    """As evaluate judges: rows that came later."""
    return judging_of(judging.predictor, Table(pa.table(columns)), judging.ask)


def flags(judging: Judging, names: tuple[str, ...] = ("slices", "fairness", "drift")) -> dict[str, int]:
    entries = [entry for name in names for entry in CHECKS[name](judging)]
    assert not [entry for entry in entries if entry.status == "failed"]
    return {e.metric: int(e.value) for e in entries if e.metric.endswith("_flag") and isinstance(e.value, int)}


def flipped(columns: Columns, rows: np.ndarray, share: float, seed: int) -> Columns:
    hit = rows & (np.random.default_rng(seed + 1).random(len(rows)) < share)
    other = np.where(columns["won"] == "yes", "no", "yes")
    return columns | {"won": np.where(hit, other, columns["won"])}


# --- Faults: what is flagged, at strengths 1 to 5 -------------------------------------------------------------------


def broken_kind(seed: int, strength: int) -> Judging:
    columns = people(seed)
    return judged(flipped(columns, columns["kind"] == "blue", strength / 10, seed), "won")


def broken_pair(seed: int, strength: int) -> Judging:
    columns = people(seed)
    pair = (columns["kind"] == "red") & (columns["region"] == "north")
    return judged(flipped(columns, pair, strength / 10, seed), "won")


def broken_number(seed: int, strength: int) -> Judging:
    columns, rng = people(seed), np.random.default_rng(seed + 1)
    noise = rng.normal(size=ROWS) * columns["cost"].std() * strength / 3
    return judged(columns | {"cost": columns["cost"] + noise * (columns["kind"] == "blue")}, "cost")


def broken_tail(seed: int, strength: int) -> Judging:
    """Later, a feature is measured wrongly above some value of another."""
    new = people(seed + 10_000, 800)
    wrong = new["u"] > np.quantile(new["u"], 0.8)
    x = np.where(wrong, (1 - strength / 2.5) * new["x"], new["x"])
    return later(usual(seed), new | {"x": x})


def unfair(seed: int, strength: int) -> Judging:
    columns, rng = people(seed), np.random.default_rng(seed + 1)
    hit = (columns["gender"] == "f") & (rng.random(ROWS) < strength / 5)
    return judged(columns | {"x": np.where(hit, columns["x"] - 1.5, columns["x"])}, "won")


def unfair_number(seed: int, strength: int) -> Judging:
    columns = people(seed)
    return judged(columns | {"cost": columns["cost"] + strength * (columns["gender"] == "f")}, "cost")


def shifted_number(seed: int, strength: int) -> Judging:
    new = people(seed + 10_000, 400)
    return later(usual(seed), new | {"x": new["x"] + strength / 5})


def shifted_kind(seed: int, strength: int) -> Judging:
    new, rng = people(seed + 10_000, 400), np.random.default_rng(seed)
    kind = np.where(rng.random(400) < strength / 10, "grey", new["kind"])
    return later(usual(seed), new | {"kind": kind})


def shifted_missing(seed: int, strength: int) -> Judging:
    new, rng = people(seed + 10_000, 400), np.random.default_rng(seed)
    return later(usual(seed), new | {"u": np.where(rng.random(400) < strength / 25, np.nan, new["u"])})


def shifted_words(seed: int, strength: int) -> Judging:
    new, rng = people(seed + 10_000, 400, notes=True), np.random.default_rng(seed)
    note = [n.replace("tree", "car").replace("door", "car") if rng.random() < strength / 5 else n for n in new["note"]]
    return later(usual(seed, notes=True), new | {"note": note})


def strange_rows(seed: int, strength: int) -> Judging:
    """Values that are usual one by one and never go together."""

    def tied(columns: Columns) -> Columns:
        noise = np.random.default_rng(len(columns["x"])).normal(size=len(columns["x"])) * 0.2
        return columns | {"u": np.exp(columns["x"] + noise)}

    new, rng = tied(people(seed + 10_000, 400)), np.random.default_rng(seed)
    loose = rng.random(400) < strength / 10
    return later(judged(tied(people(seed)), "won"), new | {"u": np.where(loose, rng.permutation(new["u"]), new["u"])})


FAULTS: Mapping[str, tuple[Callable[[int, int], Judging], str, str]] = {
    "broken kind": (broken_kind, "slices", "worst_slice_flag"),
    "broken pair of kinds": (broken_pair, "slices", "worst_slice_flag"),
    "noisy number of a kind": (broken_number, "slices", "worst_slice_flag"),
    "feature wrong in a band": (broken_tail, "slices", "worst_slice_flag"),
    "feature low for one gender": (unfair, "fairness", "fairness_flag"),
    "number off for one gender": (unfair_number, "fairness", "fairness_flag"),
    "shifted number": (shifted_number, "drift", "drift_flag"),
    "more of one kind": (shifted_kind, "drift", "drift_flag"),
    "more missing": (shifted_missing, "drift", "drift_flag"),
    "other words": (shifted_words, "drift", "drift_flag"),
    "strange rows": (strange_rows, "drift", "ood_flag"),
}

CLEAN: Mapping[str, Callable[[int], Judging]] = {
    "yes or no": lambda seed: judged(people(seed), "won"),
    "number": lambda seed: judged(people(seed), "cost"),
    "category": lambda seed: judged(people(seed), "kind"),
    "in groups": lambda seed: judged(people(seed, cluster=True), "won", split={"group": "who"}),
    "later rows": lambda seed: later(usual(seed, notes=True), people(seed + 10_000, 400, notes=True)),
    "few rows": lambda seed: judged(people(seed, 500), "won"),
    "weighted": lambda seed: judged(
        people(seed) | {"w": np.random.default_rng(seed).gamma(2, size=ROWS)}, "won", data={"sample_weight": "w"}
    ),
}


def lines(seeds: int, only: str) -> Iterator[str]:
    for name, make in CLEAN.items():
        if only in f"clean, {name}":
            raised: dict[str, int] = {}
            for seed in range(seeds):
                for flag, value in flags(make(seed)).items():
                    raised[flag] = raised.get(flag, 0) + value
            yield f"clean, {name}: " + ", ".join(f"{flag} {_told(hits, seeds)}" for flag, hits in raised.items())
    for name, (plant, check, flag) in FAULTS.items():
        if only in name:
            found = [0] * 5
            for seed in range(seeds):
                for strength in range(5):
                    found[strength] += flags(plant(seed, strength + 1), (check,))[flag]
            yield f"{name} ({flag}): " + ", ".join(_told(hits, seeds) for hits in found)


def _told(hits: int, of: int) -> str:
    low, high = wilson(hits, of)
    return f"{hits}/{of} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--only", default="", help="those whose name holds this")
    asked = parser.parse_args()
    for line in lines(asked.seeds, asked.only):
        print(line, flush=True)
