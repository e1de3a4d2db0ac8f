"""Rows as a whole: usual ones are told from strange ones, by the very distance that SciPy computes."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.spatial.distance import mahalanobis

from trueweight.data.cells import ReadOptions
from trueweight.data.learn import blank_signature, learn_signature
from trueweight.data.roles import Role
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.data.together import _places, strangeness
from trueweight.registry import registry

TYPES = {"x": "number", "y": "number", "kind": "category", "tags": "set", "place": "vector"}


def rows(seed: int, n: int = 1200) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return {
        "x": x, "y": np.where(rng.random(n) < 0.1, np.nan, x + 0.1 * rng.normal(size=n)),
        "kind": rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
        "tags": [[t for t in "pq" if rng.random() < 0.5] for _ in range(n)], "place": rng.normal(size=(n, 2)).tolist(),
    }  # fmt: skip


@pytest.fixture(scope="module")
def signature() -> Signature:
    table = Table(pa.table(rows(0)))
    parts = {name: registry("column")[kind].model_validate({"type": kind}) for name, kind in TYPES.items()}  # type: ignore[attr-defined]
    roles = [Role(name, "feature", part, "") for name, part in parts.items()]
    every = np.arange(len(table))
    return learn_signature(blank_signature(table, roles, ReadOptions(), every), table, every, min_group=10)


def above(signature: Signature, data: dict[str, Any]) -> float:
    found = strangeness(signature, Table(pa.table(data)))
    assert found is not None
    return float((found > signature.together["threshold"]).mean())


def test_of_rows_of_the_same_kind_one_in_a_hundred_is_strange(signature: Signature) -> None:
    assert 0.002 < above(signature, rows(1, 4000)) < 0.025


def test_values_that_never_go_together_are_strange(signature: Signature) -> None:
    data = rows(1)
    assert above(signature, data | {"y": np.random.default_rng(3).permutation(data["y"])}) > 0.1


def test_far_values_are_strange(signature: Signature) -> None:
    data = rows(1)
    assert above(signature, data | {"x": data["x"] + 1e30, "y": data["y"] + 1e30}) == 1.0


def test_distances_are_those_of_mahalanobis(signature: Signature) -> None:
    table, facts = Table(pa.table(rows(2, 20))), signature.together
    width = len(facts["mean"])
    covariance = np.zeros((width, width))
    covariance[np.tril_indices(width)] = facts["covariance"]
    covariance = covariance + np.tril(covariance, -1).T + 0.01 * np.eye(width)
    inverse = np.linalg.inv(covariance)
    expected = [mahalanobis(row, facts["mean"], inverse) for row in _places(signature, table)]
    assert strangeness(signature, table) == pytest.approx(expected, rel=1e-8)


def test_it_survives_json_and_is_nobodys_row(signature: Signature) -> None:
    again = Signature.from_json(signature.to_json())
    assert again.together == signature.together
    assert signature.together["rows"] == 600
    assert signature.together["above"] >= 1


def test_bundles_without_it_have_no_score(signature: Signature) -> None:
    raw = {key: value for key, value in signature.to_json().items() if key != "together"}
    assert strangeness(Signature.from_json(raw), Table(pa.table(rows(1, 5)))) is None
