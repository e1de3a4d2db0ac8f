"""Members that climb through whole runs: what is told of them, and that a plan is replayed without deciding again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trueweight import api
from trueweight.cli.tables import members_table
from trueweight.data.table import Table

NET = {"type": "mlp", "hidden_sizes": [8], "members": 1, "dropout": 0.0}
CLIMBING = {"encoder": NET, "fusion": "concat", "fitter": "gradient", "climbs": True}
SPEC: dict[str, Any] = {
    "name": "notes",
    "features": {"note": {"type": "text", "encoder": {"type": "bag", "width": 4}, "tokens": True}},
    "targets": {"good": "binary"},
    "model": {
        "members": [
            {"name": "linear", "encoder": "linear", "fusion": "concat", "fitter": "solve"},
            {"name": "bag", **CLIMBING},
            {"name": "order", **CLIMBING, "encoders": {"note": {"type": "gru", "hidden_size": 8}}},
        ]
    },
    "train": {"budget": {"epochs": 2}},
    "evaluate": {"interval": {"n_resamples": 100}, "checks": []},
}


def notes(rows: int, *, order: bool) -> Table:
    """What no bag of words tells: which of two words comes last, if that says anything; one letter between them."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, rows)
    said = label if order else rng.integers(0, 2, rows)
    more = rng.integers(0, 3, rows)
    texts = [
        ("so warm, and soft" if one else "so soft, and warm") + " indeed" * k for one, k in zip(said, more, strict=True)
    ]
    return Table(pa.table({"note": texts, "good": np.where(label, "yes", "no")}))


def test_what_was_not_begun_is_told_and_not_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Callable[[Path], dict[str, bytes]]
) -> None:
    monkeypatch.chdir(tmp_path)
    table = notes(300, order=False)
    bundle = api.train(table, spec=SPEC, out="one")
    told = {entry.metric: entry for entry in bundle.evidence if entry.id.startswith("fit/climb/")}
    assert told["climb to bag"].value.endswith("no more than noise")
    assert (told["climb to order"].status, told["climb to order"].reason) == ("not_run", "bag was no gain")
    assert "order" in members_table(bundle.evidence)
    again = api.train(table, spec=SPEC, out="two", plan="one/plan.json")
    assert weights(again.path) == weights(bundle.path)
    assert api.verify(bundle.path).ok


def test_a_member_reads_a_column_with_an_encoder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    members = [{**SPEC["model"]["members"][2], "climbs": False}]
    spec = SPEC | {"model": {"members": members}, "train": {"budget": {"epochs": 30}}}
    bundle = api.train(notes(300, order=True), spec=spec)
    accuracy = next(entry.value for entry in bundle.evidence if entry.metric == "accuracy")
    assert accuracy > 0.9
    assert bundle.predict({"note": ["so warm, and soft"]}) is not None
