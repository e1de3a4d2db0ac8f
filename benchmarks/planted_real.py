"""Planted faults in real data: does a check find in rows that nobody generated what it is there for?

    make bench NAME=planted_real DATA=folder/with/data

Five real tables of at most 2,000 rows, five seeds each (of the rows that are drawn, of the split and of the fault), a
weak and a full strength, and the table as it is. A flag on the table as it is need not be a false alarm: nobody knows
whether real rows hold such a fault. Results go to ``benchmarks/results/planted_real.json`` and into
``docs/planted-faults.md``.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.faults import Bent, narrower, surer
from benchmarks.worlds import World, check, flagged, some, world

from trueweight.bundle.verify import compare_evidence
from trueweight.evaluate.duplicates import duplicates
from trueweight.evaluate.label_noise import label_noise
from trueweight.evaluate.leakage import leaks
from trueweight.evaluate.quality import quality
from trueweight.evaluate.refits import Refits
from trueweight.evidence.record import Evidence
from trueweight.files import write_atomic

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "planted_real.json"

ROWS, SEEDS = 2000, 5

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Real:
    """One table."""

    name: str
    target: str
    group: str
    """Column one of whose parts is broken."""
    number: str
    """Column that moves."""
    file: str | None = None
    """In the data folder; None: scikit-learn's breast cancer."""
    kind: str = "binary"

    def rows(self, data: Path, seed: int) -> Columns:
        """At most ROWS of them, in random order; gaps as they are."""
        if self.file is None:
            from sklearn.datasets import load_breast_cancer

            frame = load_breast_cancer(as_frame=True).frame.rename(columns=lambda c: c.replace(" ", "_"))
            frame["target"] = np.where(frame["target"] == 1, "benign", "malignant")
            frame["large"] = np.where(frame["mean_radius"] > frame["mean_radius"].median(), "yes", "no")
        else:
            frame = pd.read_csv(data / self.file)
        frame = frame.sample(min(ROWS, len(frame)), random_state=seed)
        return {
            name: cells.to_numpy(np.float64) if pd.api.types.is_numeric_dtype(cells) and name != self.target
            else cells.to_numpy(np.float64) if self.kind == "number" and name == self.target
            else cells.fillna("").astype(str).to_numpy()
            for name, cells in frame.items()
        }  # fmt: skip


SETS = (
    Real("breast_cancer", "target", "large", "mean_texture"),
    Real("german-credit", "risk", "housing", "credit_amount", "tables/german-credit.csv"),
    Real("titanic", "survived", "embarked", "fare", "tables/titanic.csv"),
    Real("adult", "income", "gender", "age", "tables/adult.csv"),
    Real("california-housing", "MedHouseVal", "", "MedInc", "tables/california-housing.csv", "number"),
)


@lru_cache(maxsize=2)
def _clean(real: Real, data: Path, seed: int) -> World:
    return world(real.rows(data, seed), {real.target: real.kind}, seed)


def _leaked(real: Real, data: Path, seed: int, strength: float) -> bool:
    """A column filled in afterwards: which class it is, or which tenth of the numbers."""
    columns = real.rows(data, seed)
    truth = columns[real.target]
    if real.kind == "number":
        truth = np.digitize(truth, np.quantile(truth, np.linspace(0.02, 0.98, 49))).astype(str)
    told = some(seed, len(truth), strength)
    if strength:
        columns["status"] = np.where(told, truth, np.random.default_rng([seed, 3]).permutation(truth))
    return flagged(leaks(world(columns, {real.target: real.kind}, seed).judged()), "leak_flag")


def _twice(real: Real, data: Path, seed: int, strength: float) -> bool:
    """Test rows that are training rows with noise in the seventh digit."""
    columns = {name: values.copy() for name, values in real.rows(data, seed).items()}
    split, rows = _clean(real, data, seed).ready.split, len(columns[real.target])
    rng = np.random.default_rng([seed, 5])
    test = split.test[some(seed, len(split.test), strength)]
    source = rng.choice(split.train, len(test))
    for values in columns.values():
        copied = values[source]
        values[test] = copied * (1 + 1e-6 * rng.normal(size=len(test))) if values.dtype.kind == "f" else copied
    place = np.full(rows, "train", dtype=object)
    place[split.validation], place[split.calibration], place[split.test] = "validation", "calibration", "test"
    columns["part"] = place.astype(str)
    found = world(columns, {real.target: real.kind}, seed, split={"method": "column", "column": "part"})
    return flagged(duplicates(found.judged()), "near_duplicates_flag")


def _flipped(real: Real, data: Path, seed: int, strength: float) -> bool:
    columns = real.rows(data, seed)
    truth, wrong = columns[real.target], some(seed, len(columns[real.target]), strength)
    first, second = np.unique(truth)
    columns[real.target] = np.where(wrong, np.where(truth == first, second, first), truth)
    found = world(columns, {real.target: real.kind}, seed)
    return flagged(label_noise(found.judged(), Refits.of(found.ready))[0], "label_noise_flag")


def _surer(real: Real, data: Path, seed: int, strength: float) -> bool:
    found = _clean(real, data, seed)
    bent = Bent(found.predictor, surer(1 + strength))
    return flagged(check("calibration")(found.judged(predictor=bent)), "miscalibrated_flag")


def _narrower(real: Real, data: Path, seed: int, strength: float) -> bool:
    found = _clean(real, data, seed)
    bent = Bent(found.predictor, narrower(1 - strength))
    return flagged(check("calibration")(found.judged(predictor=bent)), "shift_flag")


def _broken_group(real: Real, data: Path, seed: int, strength: float) -> bool:
    """In one part of the rows all other columns arrive from another row of that part."""
    found = _clean(real, data, seed)
    cells = found.columns[real.group]
    level = sorted(set(cells), key=list(cells).count)[-1]
    hit = (cells == level) & some(seed, len(cells), strength)
    order = np.random.default_rng([seed, 9]).permutation(np.flatnonzero(hit))
    changed = {}
    for name, values in found.columns.items():
        if name not in (real.group, real.target):
            changed[name] = values.copy()
            changed[name][hit] = values[order]
    return flagged(check("slices")(found.judged(changed)), "worst_slice_flag")


def _shifted(real: Real, data: Path, seed: int, strength: float) -> bool:
    found = _clean(real, data, seed)
    values = found.columns[real.number]
    return flagged(check("drift")(found.judged({real.number: values + strength * np.nanstd(values)})), "drift_flag")


def _overstated(real: Real, data: Path, seed: int, strength: float) -> bool:
    judging = _clean(real, data, seed).judged()
    fresh = Evidence(tuple(quality(judging.answers, judging.truths, judging.ask)))
    metric = "accuracy" if real.kind == "binary" else "r2"
    told = [
        replace(e, value=e.value + strength / e.n) if e.metric == metric and isinstance(e.value, float) and e.n else e
        for e in fresh
    ]
    return bool(compare_evidence(Evidence(tuple(told)), fresh))


Plant = Callable[[Real, Path, int, float], bool]

FAULTS: Sequence[tuple[str, str, Plant, tuple[float, float], str]] = (
    ("leaked column", "binary number", _leaked, (0.95, 1.0), "of rows it tells"),
    ("near-duplicates across splits", "binary number", _twice, (0.05, 0.1), "of test rows"),
    ("flipped labels", "binary", _flipped, (0.05, 0.2), "of labels"),
    ("miscalibrated head", "binary", _surer, (1.5, 3.0), "more log odds"),
    ("broken coverage", "number", _narrower, (0.2, 0.5), "narrower"),
    ("broken group", "binary", _broken_group, (0.6, 1.0), "of the group's rows"),
    ("shifted test rows", "binary number", _shifted, (0.5, 1.0), "standard deviations"),
    ("overstated metric", "binary number", _overstated, (1, 20), "rows"),
)
"""Name, kinds of target, how it is planted, a weak and the full strength, and their unit."""


def run(kept: dict[str, int], data: Path) -> None:
    """Fill in what is missing, by "fault | set | seed | strength"."""
    for real in SETS:
        for seed in range(SEEDS):
            for name, kinds, plant, strengths, _ in FAULTS:
                if real.kind not in kinds:
                    continue
                for strength in (0.0, *strengths):
                    if (key := f"{name} | {real.name} | {seed} | {strength:g}") not in kept:
                        kept[key] = int(plant(real, data, seed, strength))
            write_atomic(RESULTS, (json.dumps(kept, indent=1) + "\n").encode())
            sys.stderr.write(f"{real.name}: seed {seed}\n")


def section(kept: Mapping[str, int]) -> list[str]:
    """Lines of the page."""
    names = ", ".join(real.name for real in SETS)
    lines = [
        "## In real tables", "",
        f"The same faults in five real tables ({names}; {ROWS:,} rows at most),",
        f"{SEEDS} seeds each: in how many of them the check spoke up. A flag on the table as it is need not be a false",
        "alarm: nobody knows that such rows hold no such fault. Of full strength some are still small here: in titanic",
        "rows are alike by chance, so copies do not stand out; where features tell few labels, wrong ones look like",
        "the others; a model of breast_cancer is so often right that it may be surer; and its parts are too few rows.",
        "",
        "| planted fault | table | weak | full | as it is |", "|---|---|---|---|---|",
    ]  # fmt: skip
    total = {"weak": [0, 0], "full": [0, 0], "clean": [0, 0]}
    for name, kinds, _, strengths, unit in FAULTS:
        for real in SETS:
            if real.kind not in kinds:
                continue
            cells = []
            for column, strength in zip(total, (*strengths, 0.0), strict=True):
                keys = [f"{name} | {real.name} | {seed} | {strength:g}" for seed in range(SEEDS)]
                hits = [kept[key] for key in keys if key in kept]
                total[column][0] += sum(hits)
                total[column][1] += len(hits)
                cells.append(f"{sum(hits)} of {len(hits)}" + (f" ({strength:g} {unit})" if strength else ""))
            lines.append(f"| {name} | {real.name} | {' | '.join(cells)} |")
    sums = [f"**{hits} of {n}**" for hits, n in total.values()]
    return [*lines, f"| **all together** | | {' | '.join(sums)} |", ""]


def main() -> None:
    """Run what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA"))
    chosen = parser.parse_args()
    if chosen.data is None:
        sys.exit("say where the data sets are: make bench NAME=planted_real DATA=folder")
    kept: dict[str, int] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    run(kept, chosen.data.resolve())
    from benchmarks import planted_faults

    planted_faults.render(json.loads(planted_faults.RESULTS.read_text()))


if __name__ == "__main__":
    main()
