"""A whole training with wrong labels: flags in the bundle, rows beside it, and the same again when measured again."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from trueweight import api
from trueweight.bundle.detached import evidence_folder, read_detached

ROWS = 900


def rows(wrong: float) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, ROWS))
    won = rng.random(ROWS) < 1 / (1 + np.exp(-5 * x + 4 * z))
    won ^= rng.random(ROWS) < wrong
    return {"key": [f"customer-{i:05}" for i in range(ROWS)], "x": x, "z": z, "won": np.where(won, "yes", "no")}


def test_suspicious_rows_are_beside_the_bundle_and_never_in_it(tmp_path: Path, find_planted: Any) -> None:
    data, columns = tmp_path / "rows.csv", rows(0.12)
    pa.csv.write_csv(pa.table(columns), data)
    spec = {"targets": {"won": "binary"}, "data": {"primary_key": "key"}, "model": {"preset": "fast"},
            "evaluate": {"interval": {"n_resamples": 100}, "checks": ["honesty"]}}  # fmt: skip
    bundle = api.train(data, spec=spec, out=tmp_path / "run")
    assert bundle.evidence.find("honesty/won/label_noise_flag/test").value == 1
    file = evidence_folder(bundle.path) / "suspicious-rows.csv"
    named = [line.split(",")[0] for line in file.read_text().splitlines()[1:]]
    assert named
    assert set(named) <= set(columns["key"])
    assert find_planted(bundle.path, named) == []
    assert read_detached(bundle.path) == []
    found = api.verify(bundle.path, recompute=True, data=data)
    assert found.reproduced, found.lines
    later = api.evaluate(bundle.path, data)
    assert later.find("honesty/near_duplicates_flag/other").status == "not_applicable"
