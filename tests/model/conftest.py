"""A small table through the real data room: signature, field, encoded rows, and a network on top."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from trueweight.data.cells import ReadOptions
from trueweight.data.feed import Feed
from trueweight.data.field import Field
from trueweight.data.learn import blank_signature, learn_signature
from trueweight.data.reading import cells_of, column_part
from trueweight.data.roles import Role
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.model.network import Network, build_network
from trueweight.model.predictors.network import NetworkPredictor, learnt_targets
from trueweight.registry import registry
from trueweight.spec.base import PartSpec


def part(kind: str, raw: str | dict[str, Any]) -> PartSpec:
    raw = {"type": raw} if isinstance(raw, str) else raw
    return registry(kind)[raw["type"]].model_validate(raw)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Problem:
    table: Table
    signature: Signature
    fields: dict[str, Field]

    def feed(self) -> Feed:
        facts, options = self.signature.columns, self.signature.options
        inputs, targets = {}, {}
        for name, field in self.fields.items():
            arrays = field.encode({c: cells_of(self.table, facts[c], options) for c in field.codecs})
            inputs[name] = {key: torch.from_numpy(a) for key, a in arrays.items()}
        for name, (head, learnt) in learnt_targets(self.signature).items():
            arrays = head.encode(cells_of(self.table, facts[name], options), learnt)
            targets[name] = {key: torch.from_numpy(a) for key, a in arrays.items()}
        return Feed(torch.arange(len(self.table)), inputs, targets)

    def network(self, encoder: str | dict[str, Any], *, solving: bool = False, seed: int = 0) -> Network:
        encoders = dict.fromkeys(self.fields, part("encoder", encoder))
        targets = learnt_targets(self.signature)
        return build_network(encoders, part("fusion", "concat"), self.fields, targets, solving=solving, seed=seed)

    def predictor(self, encoder: str | dict[str, Any], *, solving: bool = False, seed: int = 0) -> NetworkPredictor:
        network = self.network(encoder, solving=solving, seed=seed)
        encoders = dict.fromkeys(self.fields, part("encoder", encoder))
        return NetworkPredictor(self.signature, self.fields, network, encoders, part("fusion", "concat"), solving)

    def solved(self) -> NetworkPredictor:
        """The linear model, solved on all rows."""
        predictor = self.predictor("linear", solving=True)
        rows = self.feed()

        for target in predictor.network.targets:

            def again(target: str = target):
                for batch in rows.batches(64):
                    yield predictor.network.encode(batch), batch.targets[target], batch.weight_B

            list(predictor.network.head(target).solve(again, again))
        return predictor


def problem(
    columns: dict[str, Any], features: dict[str, Any], targets: dict[str, Any], *, per_field: bool = False
) -> Problem:
    table = Table(pa.table(columns))
    roles = [Role(n, "feature", part("column", raw), "") for n, raw in features.items()]
    roles += [Role(n, "target", part("head", raw), "") for n, raw in targets.items()]
    rows = np.arange(len(table))
    blank = blank_signature(table, roles, ReadOptions(("", "?")), rows)
    signature = learn_signature(blank, table, rows, min_group=1)
    codecs = {f.name: column_part(f).codec(f.name, f.learnt) for f in signature.features()}  # type: ignore[attr-defined]
    groups = {name: [name] for name in codecs} if per_field else {"table": list(codecs)} if codecs else {}
    fields = {
        group: Field(group, {n: codecs[n] for n in names}, {n: signature.columns[n].type for n in names})
        for group, names in groups.items()
    }
    return Problem(table, signature, fields)


@pytest.fixture
def make_problem() -> Callable[..., Problem]:
    """Any table; see ``problem``."""
    return problem


@pytest.fixture
def mixed() -> Problem:
    """300 rows, three features, five targets of all types, some cells missing."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=300) * 5 + 20, rng.normal(size=300)
    kind = rng.choice(["a", "b", "c"], size=300)
    signal = x / 5 - 4 + z + (kind == "a")
    tags = ["|".join(t for t, on in zip("pqr", row, strict=True) if on) for row in rng.random((300, 3)) < 0.4]
    columns = {
        "x": [None if i % 11 == 0 else f"{v:.3f}" for i, v in enumerate(x)],
        "z.dotted": z,
        "kind": kind,
        "cost": np.exp(signal),
        "fraud": np.where(signal + rng.normal(size=300) > 0, "yes", "no"),
        "class": rng.choice(["low", "mid", "high"], size=300),
        "tags": tags,
        "position": [[float(v), float(w)] for v, w in zip(x, z, strict=True)],
    }
    columns["fraud"] = [None if i % 13 == 0 else v for i, v in enumerate(columns["fraud"])]
    features = {"x": "number", "z.dotted": "number", "kind": "category"}
    targets = {
        "cost": {"type": "number", "transform": "log1p"}, "fraud": "binary", "class": "category",
        "tags": {"type": "set", "separator": "|"}, "position": "vector",
    }  # fmt: skip
    return problem(columns, features, targets)
