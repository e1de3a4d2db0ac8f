"""Unique values are planted into the data, and looked for in everything that a whole run writes."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from trueweight.cli.main import run

SPEC = """\
name: rows
data: {source: rows.csv, primary_key: number}
split: {method: group, group: customer}
targets: {won: {type: binary}, cost: {type: number}}
model:
  members:
    - {name: line, encoder: linear, fusion: concat, fitter: solve}
    - {name: net, encoder: {type: mlp, hidden_sizes: [8], members: 2}, fusion: concat, fitter: gradient}
train: {budget: {steps: 30}}
evaluate: {interval: {n_resamples: 100, cluster: branch}}
"""

Find = Callable[[Path, Any], list[str]]


@pytest.fixture
def secrets() -> list[str | float]:
    words = ["Zyxwille-rare", "Quvonde-note", "PK-8813-Ombrel", "Kundin-Trollhave", "Filiale-Nebelmoor"]
    return [*words, 987_123.4567, -777_654.321, 654_987.125, -543_876.25]


@pytest.fixture
def planted(tmp_path: Path, make_csv: Any, make_table: Any, secrets: list[str | float]) -> Path:
    rare, note, key, customer, branch, huge, tiny, dearest, cheapest = secrets
    data: dict[str, Any] = {name: list(column) for name, column in make_table(240).items()}
    rows = np.arange(240)
    data["kind"] = [f"{rare} {i}" if i < 27 and i % 9 else data["kind"][i] for i in rows]
    data["note"] = [f"{note} {i} wrote a few words of their own" for i in rows]
    data["number"] = [f"{key}-{i}" for i in rows]
    data["customer"] = [f"{customer} {i // 4}" for i in rows]
    data["branch"] = [f"{branch} {i // 30}" for i in rows]
    data["x"][5], data["x"][6] = huge, tiny
    data["cost"][40:44] = [dearest, dearest, cheapest, cheapest]  # one customer's, who trains; even twice is too few
    folder = tmp_path / "people of Trollhave"
    folder.mkdir()
    make_csv(folder / "rows.csv", data)
    (folder / "rows.yaml").write_text(SPEC)
    return folder


def test_nothing_planted_is_written_anywhere(
    planted: Path, tmp_path: Path, secrets: list[str | float], find_planted: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", str(planted / "rows.yaml")]) == 0
    assert find_planted(tmp_path / "runs", [*secrets, "people of Trollhave"]) == []
    home = Path(os.environ["TRUEWEIGHT_CACHE"]).parent
    words = [secret for secret in secrets if isinstance(secret, str)]
    assert any((home / "cache").rglob("*.bin"))
    assert find_planted(home, words) == []  # blocks hold numbers: standardised, and for their owner alone
    assert stat.S_IMODE((home / "cache").stat().st_mode) == 0o700


def test_checkpoints_hold_weights_only(planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", str(planted / "rows.yaml")]) == 0
    (saved,) = (tmp_path / "runs" / "rows-01" / "checkpoints").rglob("*.safetensors")
    tensors = safetensors.numpy.load_file(saved)
    assert tensors
    assert all(240 not in tensor.shape for tensor in tensors.values())  # nothing has a place for every row


def test_predictions_keep_the_key_and_no_more(
    planted: Path, tmp_path: Path, secrets: list[str | float], find_planted: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", str(planted / "rows.yaml"), "--set", "model.members=null", "--set", "model.preset=fast"]) == 0
    out = tmp_path / "out"
    out.mkdir()
    command = ["predict", "runs/rows-01/rows.bundle", str(planted / "rows.csv"), "-o", str(out / "answers.csv")]
    assert run(command) == 0
    found = find_planted(out, secrets)
    assert found == [f"answers.csv: {secrets[2]}"]
