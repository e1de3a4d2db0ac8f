"""Small honest worlds that faults are planted into, and what a planted fault is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from trueweight.data.table import Table
from trueweight.evaluate.checks import CHECKS
from trueweight.evaluate.judging import Check, Judging, Training, judging_of
from trueweight.evaluate.quality import Ask
from trueweight.evidence.record import Data, Entry
from trueweight.model.protocols import Predictor
from trueweight.spec.load import parse_spec
from trueweight.train.build import fit
from trueweight.train.prepare import Prepared, prepare

__all__ = [
    "LINEAR", "ROWS", "Fault", "World", "check", "clean", "clean_costs", "costs", "flagged", "people", "some", "world",
]  # fmt: skip

ROWS = 1500

LINEAR = {"members": [{"name": "linear", "encoder": {"type": "linear"}, "fusion": {"type": "concat"},
                       "fitter": {"type": "solve"}}]}  # fmt: skip
"""A model that is solved in a tenth of a second: the checks are on trial here, not the model."""


@dataclass(frozen=True)
class World:
    """Rows, a fitted model, and the part of the rows that judges."""

    columns: Mapping[str, np.ndarray]
    ready: Prepared
    predictor: Predictor

    def judged(self, changed: Mapping[str, np.ndarray] | None = None, predictor: Predictor | None = None) -> Judging:
        """The test rows, with some columns changed after the model was fitted, or with another model."""
        rows = self.ready.split.test
        table = self.ready.table.take(rows)
        if changed:
            table = Table.of({name: changed.get(name, self.columns[name])[rows] for name in self.columns})
        ask = Ask(self.ready.spec.evaluate, self.ready.spec.seed, Data("sha256:0", "test"))
        return judging_of(predictor or self.predictor, table, ask, None, Training(self.ready, rows))


@dataclass(frozen=True)
class Fault:
    """One kind of fault."""

    name: str
    """In plain words, for the table."""
    check: str
    """Which check is there for it."""
    strengths: Sequence[float]
    """Weakest first."""
    unit: str
    """What a strength is."""
    found: Callable[[int, float], bool]
    """(seed, strength) -> whether the check speaks up. Strength 0 is the clean twin."""
    seeds: int = 100
    """Of the benchmark: fewer where one costs seconds."""


def flagged(entries: Iterable[Entry], *names: str) -> bool:
    """Whether any of these flags is raised."""
    return any(e.metric in names and e.value == 1 for e in entries)


def check(name: str) -> Check:
    """One of the checks by its name."""
    return CHECKS[name]


def people(seed: int, rows: int = ROWS, certain: float = 1.0) -> dict[str, np.ndarray]:
    """A yes-no target that five numbers and a category tell with an accuracy of about 0.85, or more where it is more
    certain; one of three regions, which has no say."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5))
    kind, region = rng.choice(["red", "green", "blue", "grey"], rows), rng.choice(["north", "south", "west"], rows)
    score = x @ [1.6, -1.2, 0.8, 0.4, 0.0] + 1.5 * (kind == "red") - 0.8 * (kind == "blue")
    won = rng.random(rows) < 1 / (1 + np.exp(-1.3 * certain * score))
    columns = {f"x{i}": x[:, i] for i in range(5)}
    return columns | {"kind": kind, "region": region, "won": np.where(won, "yes", "no")}


def costs(seed: int, rows: int = ROWS) -> dict[str, np.ndarray]:
    """A number that the same features tell, with normal noise."""
    columns = people(seed, rows)
    rng = np.random.default_rng([seed, 1])
    told = 2 * columns["x0"] - columns["x1"] + (columns["kind"] == "red")
    del columns["won"]
    return columns | {"cost": 10 + told + rng.normal(size=rows)}


def world(columns: Mapping[str, np.ndarray], targets: Mapping[str, str], seed: int, **more: Any) -> World:
    """A fitted linear model over these rows."""
    wish = {"targets": dict(targets), "model": LINEAR, "seed": seed, "train": {"budget": {"time": 20}}} | more
    ready = prepare(Table.of(columns), parse_spec(wish))
    return World(columns, ready, fit(ready, None, None).predictor)


@lru_cache(maxsize=4)
def clean(seed: int) -> World:
    """The honest world of a seed."""
    return world(people(seed), {"won": "binary"}, seed)


@lru_cache(maxsize=4)
def clean_costs(seed: int) -> World:
    """The honest world with a number to predict."""
    return world(costs(seed), {"cost": "number"}, seed)


def some(seed: int, rows: int, share: float) -> np.ndarray:
    """bool, (rows,): about this share of them."""
    return np.asarray(np.random.default_rng([seed, 7]).random(rows) < share)
