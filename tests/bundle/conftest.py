"""A small model of parts made for these tests, so that the bundle is tested apart from real models."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pytest
import torch

from trueweight.bundle.card import model_card
from trueweight.bundle.golden import make_golden
from trueweight.bundle.save import Contents, save_bundle
from trueweight.data.cells import LevelCells, NumberCells, ReadOptions
from trueweight.data.parse_numbers import read_numbers
from trueweight.data.parse_texts import read_levels
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.evidence.record import Data, Entry, Evidence, Interval
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, blend
from trueweight.model.protocols import GREEDY, Decoding, State
from trueweight.registry import registry
from trueweight.spec.base import PartSpec
from trueweight.spec.load import parse_spec

HERE = ("this process",)


class FakeNumber(PartSpec):
    type: Literal["fake_number"] = "fake_number"

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> NumberCells:
        return read_numbers(raw, options)

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        return pa.array([f"{x:.3f}" for x in rng.normal(learnt["mean"], learnt["std"], n)])

    def summary(self, learnt: Mapping[str, Any]) -> str:
        return f"mean {learnt['mean']:g}"


class FakeLevel(PartSpec):
    type: Literal["fake_level"] = "fake_level"

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> LevelCells:
        return read_levels(raw, options)

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        return pa.array(rng.choice(learnt["levels"], n).tolist())

    def summary(self, learnt: Mapping[str, Any]) -> str:
        return ", ".join(learnt["levels"])


class FakeLeft(PartSpec):
    type: Literal["fake_left"] = "fake_left"


class FakeYesNo(PartSpec):
    type: Literal["fake_yes_no"] = "fake_yes_no"

    def summary(self, learnt: Mapping[str, Any]) -> str:
        return f"{learnt['classes'][-1]} or {learnt['classes'][0]}"


class FakeAmount(PartSpec):
    type: Literal["fake_amount"] = "fake_amount"

    def summary(self, learnt: Mapping[str, Any]) -> str:
        return f"mean {learnt['mean']:g}"


@dataclass
class FakeLeaf:
    """sigmoid(weight · x + bias) for ``bought``, a multiple of it for ``cost``; missing cells are 0."""

    signature: Signature
    weight: torch.Tensor
    nudge: float = 0.0

    kind: ClassVar[str] = "fake_leaf"

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:
        x = np.zeros((len(table), 2))
        if "age" in table.names:
            x[:, 0] = [float(v) / 50 if v is not None else 0.0 for v in table.column("age").to_pylist()]
        if "colour" in table.names:
            x[:, 1] = [len(v) if v is not None else 0.0 for v in table.column("colour").to_pylist()]
        z = x @ self.weight[:2].double().numpy() + float(self.weight[2]) + self.nudge
        p = 1 / (1 + np.exp(-z))
        return {
            "bought": ClassPrediction(np.stack([1 - p, p], 1), ("no", "yes"), binary=True),
            "cost": NumberPrediction(100 + 10 * z).with_radius(5.0, 0.9),
        }

    def members(self) -> Sequence[Any]:
        return ()

    def state(self) -> State:
        return State(self.kind, {"note": "a leaf"}, {"weight": self.weight}, {"age": {"mean": 50.0}})

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "FakeLeaf":
        return cls(signature, state.tensors["weight"])


@dataclass
class FakePair:
    signature: Signature
    pair: Sequence[Any]

    kind: ClassVar[str] = "fake_pair"

    def predict(self, table: Table, *, how: Decoding = GREEDY, seed: int = 0) -> Mapping[str, Prediction]:
        answers = [member.predict(table) for member in self.pair]
        return {name: blend([a[name] for a in answers], [0.5, 0.5]) for name in answers[0]}

    def members(self) -> Sequence[Any]:
        return self.pair

    def state(self) -> State:
        return State(self.kind, members=tuple(member.state() for member in self.pair))

    @classmethod
    def from_state(cls, state: State, signature: Signature) -> "FakePair":
        return cls(signature, [FakeLeaf.from_state(member, signature) for member in state.members])


PARTS: tuple[tuple[str, str, type], ...] = (
    ("column", "fake_number", FakeNumber),
    ("column", "fake_level", FakeLevel),
    ("column", "fake_left", FakeLeft),
    ("head", "fake_yes_no", FakeYesNo),
    ("head", "fake_amount", FakeAmount),
    ("predictor", "fake_leaf", FakeLeaf),
    ("predictor", "fake_pair", FakePair),
)

SPEC = """\
# which customers buy
name: shop
data: {source: shop.csv, primary_key: customer}
features:
  age: {type: fake_number}
  colour: {type: fake_level}
targets:
  bought: {type: fake_yes_no}
  cost: {type: fake_amount}
"""


@pytest.fixture(autouse=True)
def _fake_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered for one test only: suites that go through all parts must not meet them."""
    for kind, name, part in PARTS:
        monkeypatch.setitem(registry(kind)._parts, name, part)


def _column(name: str, type: str, role: str, **learnt: Any) -> ColumnFacts:
    return ColumnFacts(name, type, role, "asked for", {"type": type}, 400, 3, learnt)


@pytest.fixture
def signature() -> Signature:
    columns = [
        _column("customer", "fake_left", "key"),
        _column("age", "fake_number", "feature", mean=50.0, std=10.0),
        _column("colour", "fake_level", "feature", levels=["red", "green"], counts=[250, 147]),
        _column("bought", "fake_yes_no", "target", classes=["no", "yes"], counts=[398, 2]),
        _column("cost", "fake_amount", "target", mean=100.0, std=10.0),
    ]
    return Signature({c.name: c for c in columns}, rows=400)


@pytest.fixture
def leaf(signature: Signature) -> FakeLeaf:
    return FakeLeaf(signature, torch.tensor([0.7, -0.3, 0.1]))


@pytest.fixture
def evidence() -> Evidence:
    rows = Data("sha256:0123", "test")
    interval = Interval(0.79, 0.87, 0.95, "bootstrap")
    fixed = {"axis": "quality", "target": "bought", "n": 442, "data": rows}
    return Evidence(
        (
            Entry(id="quality/bought/roc_auc/test", metric="roc_auc", value=0.83, interval=interval, **fixed),
            Entry(id="quality/bought/log_loss/test", metric="log_loss", value=0.44, **fixed),
            Entry(id="quality/bought/accuracy/test", metric="accuracy", value=0.81, **fixed),
            Entry(id="data/rows", axis="data", metric="rows", value=442),
            Entry(id="comparison/bought", axis="comparison", metric="verdict", value="Better than linear? Not shown."),
            Entry(id="cost/train/seconds", axis="cost", metric="seconds", value=3.5, unit="s"),
        )
    )


@pytest.fixture
def contents(leaf: FakeLeaf, signature: Signature, evidence: Evidence) -> Contents:
    tree = FakePair(signature, [leaf, FakeLeaf(signature, torch.tensor([0.1, 0.2, 0.3]))])
    raw = {"name": "shop", "targets": {"bought": "fake_yes_no", "cost": "fake_amount"}}
    spec = parse_spec(raw)
    return Contents(
        name="shop",
        spec_yaml=SPEC,
        resolved_yaml=SPEC,
        plan={"steps": 100},
        signature=signature,
        predictor=tree,
        evidence=evidence,
        card=model_card(spec, signature, evidence),
        golden=make_golden(tree, seed=0),
        settings=["seed=3"],
    )


@pytest.fixture
def saved(tmp_path: Path, contents: Contents) -> Path:
    return save_bundle(tmp_path / "shop.bundle", contents)


@pytest.fixture
def forge() -> Callable[[Path], None]:
    """Makes the manifest agree with whatever the files are now, as somebody who means ill would."""
    import hashlib
    import json

    from trueweight.bundle.format import manifest_digest
    from trueweight.files import canonical_json

    def agree(path: Path, **changes: Any) -> None:
        raw = json.loads((path / "manifest.json").read_text())
        for file in path.rglob("*"):
            name = str(file.relative_to(path))
            if file.is_file() and not file.is_symlink() and name != "manifest.json":
                data = file.read_bytes()
                raw["files"][name] = {"sha256": f"sha256:{hashlib.sha256(data).hexdigest()}", "bytes": len(data)}
        raw |= changes
        raw["digest"] = manifest_digest(raw)
        (path / "manifest.json").write_text(canonical_json(raw))

    return agree
