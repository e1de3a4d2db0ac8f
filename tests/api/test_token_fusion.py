"""A fusion of tokens in a whole run: columns with encoders of their own beside a table."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import trueweight
from trueweight.errors import SpecError

MLP = {"type": "mlp", "hidden_sizes": [8], "embedding_size": 4, "dropout": 0.0}
FUSION = {"type": "transformer", "width": 8, "layers": 1, "heads": 2, "dropout": 0.0}


def rows() -> pa.Table:
    rng = np.random.default_rng(0)
    size, height = rng.normal(size=(2, 300))
    kind = rng.choice(["a", "b"], size=300)
    return pa.table({"size": size, "height": height, "kind": kind, "cost": size * np.where(kind == "a", 1, -1)})


def spec(**model: Any) -> dict[str, Any]:
    features = {"size": {"type": "number", "encoder": MLP}, "height": {"type": "number", "encoder": MLP}}
    return {
        "features": {**features, "kind": "category"}, "targets": {"cost": "number"}, "evaluate": {"baselines": []},
        "model": {"fusion": FUSION, **model}, "split": {"test": 0.1},
        "train": {"budget": {"steps": 150}, "batch_size": 32, "optimizer": {"type": "adam", "learning_rate": 0.01}},
    }  # fmt: skip


def test_tokens_of_several_fields_look_at_each_other(tmp_path: Path) -> None:
    bundle = trueweight.train(rows(), spec=spec(encoder=MLP), out=tmp_path / "run")
    assert bundle.resolved.model.members[0].fusion.type == "transformer"
    # The sign of one field's effect is another field's: a sum of both could not say it.
    found = bundle.predict(rows())["cost"]
    truth = rows()["cost"].to_numpy()
    assert np.mean((found - truth) ** 2) < 0.3 * np.var(truth)


def test_the_default_network_becomes_a_single_one_for_it(tmp_path: Path) -> None:
    asked = spec()
    asked["train"]["budget"] = {"steps": 2}
    bundle = trueweight.train(rows(), spec=asked, out=tmp_path / "run")
    _, member = bundle.resolved.model.members
    assert member.encoder.members == 1


def test_several_networks_in_one_are_refused_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="the encoder of 'table' holds 4: set its members to 1") as error:
        trueweight.train(rows(), spec=spec(encoder={**MLP, "members": 4}), out=tmp_path / "run")
    assert error.value.where == "model.fusion"
