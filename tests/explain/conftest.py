"""Models whose explanations are known, and small ones that are trained."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trueweight.bundle.bundle import Bundle
from trueweight.data.cells import ReadOptions
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.explain.asked import Asked, outputs_of
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction
from trueweight.model.protocols import Predictor, State


@dataclass(frozen=True)
class Formula:
    """Answers what a function says of its columns: a number, or the probability of "yes"."""

    names: tuple[str, ...]
    function: Callable[..., np.ndarray]
    classes: bool = False

    @property
    def signature(self) -> Signature:
        levels = [0.0, 0.25, 0.5, 0.75, 1.0]
        learnt = {"levels": levels, "quantiles": [-3, -0.7, 0, 0.7, 3], "median": 0.0, "std": 1.0, "integer": False}
        facts = {n: ColumnFacts(n, "number", "feature", "", {"type": "number"}, 0, 0, learnt) for n in self.names}
        facts["y"] = ColumnFacts("y", "number", "target", "", {"type": "number"}, 0, 0, {"std": 1.0})
        return Signature(facts, ReadOptions())

    def predict(self, table: Table, **_: Any) -> Mapping[str, Prediction]:
        found = self.function(*(table.column(n).to_numpy().astype(float) for n in self.names))
        if self.classes:
            return {"y": ClassPrediction(np.stack([1 - found, found], axis=1), ("no", "yes"), binary=True)}
        return {"y": NumberPrediction(found)}

    def members(self) -> Sequence[Predictor]:
        return ()

    def state(self) -> State:
        return State("formula")


def question(predictor: Any, rows: int = 6, *, background: int = 8, seed: int = 0) -> Asked:
    rng = np.random.default_rng(seed)
    table = Table.of({name: rng.normal(size=rows + background) for name in predictor.names})
    some = np.arange(rows)
    outputs = outputs_of(predictor.predict(table.take(some))["y"])
    assert not isinstance(outputs, str)
    return Asked(predictor, "y", table, some, np.ones(rows, bool), outputs, np.arange(rows, rows + background), seed)


@pytest.fixture
def formula() -> type[Formula]:
    return Formula


@pytest.fixture
def ask() -> Callable[..., Asked]:
    return question


def rows_of(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x, z, noise = rng.normal(size=(3, count)).round(4)
    kind = rng.choice(["red", "green", "blue"], count)
    score = 1.5 * x - 0.7 * z + (kind == "red") + rng.normal(scale=0.3, size=count)
    return {"x": x, "z": z, "kind": kind, "noise": noise, "won": np.where(score > 0.3, "yes", "no"), "cost": score}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, dict[str, np.ndarray]]:
    """A network of a few steps beside a linear model, for a class and a number."""
    from trueweight import api

    net = {"type": "mlp", "hidden_sizes": [16], "members": 2}
    members = [{"name": "net", "encoder": net, "fusion": "concat", "fitter": "gradient"},
               {"name": "line", "encoder": "linear", "fusion": "concat", "fitter": "solve"}]  # fmt: skip
    spec = {
        "name": "small", "targets": {"won": "binary", "cost": "number"}, "model": {"members": members},
        "train": {"budget": {"steps": 60}}, "evaluate": {"baselines": [], "interval": {"n_resamples": 100}},
        "bundle": {"golden_rows": "real"},
    }  # fmt: skip
    folder: Path = tmp_path_factory.mktemp("explained") / "run"
    return api.train(rows_of(500), spec=spec, out=folder), rows_of(80, seed=1)
