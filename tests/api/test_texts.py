"""Tables with texts through the whole path: train, bundle, verify, predict."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from trueweight import api
from trueweight.data.table import Table

GOOD, BAD = ["lovely", "great", "warm", "soft"], ["awful", "cheap", "broken", "cold"]
REST = ["the coat", "this hat", "it was", "and very", "I think", "on Monday"]
SECRETS = ["Rumpelstilzchen", "Nebelmoor"]


def texts(rows: int, seed: int = 0) -> tuple[list[str | None], list[str]]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows)
    found: list[str | None] = [
        " ".join(rng.permutation([*rng.choice(REST, 4), *rng.choice(GOOD if good else BAD, 2)])) for good in label
    ]
    return found, ["yes" if good else "no" for good in label]


@pytest.fixture
def table() -> Table:
    cells, label = texts(400)
    for row, odd in enumerate(["", None, "\x00\u200b", "👍" * 40, "a" * 300_000, "我喜欢", *[SECRETS[0] * 90] * 8]):
        cells[row] = odd
    cells[50] = f"{SECRETS[1]} " * 500
    size = np.random.default_rng(1).normal(size=400)
    return Table(pa.table({"note": cells, "size": size, "good": label}))


SPEC: dict[str, Any] = {
    "name": "notes",
    "features": {"note": "text", "size": "number"},
    "targets": {"good": "binary"},
    "train": {"budget": {"epochs": 4}},
    "evaluate": {"interval": {"n_resamples": 100}},
}


def test_a_blend_learns_from_texts_and_its_bundle_keeps_no_secret(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, find_planted: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = api.train(table, spec=SPEC)
    accuracy = next(entry for entry in bundle.evidence.entries if entry.metric == "accuracy")
    assert accuracy.value > 0.9
    assert find_planted(bundle.path, SECRETS) == []
    assert api.verify(bundle.path).ok
    cells, label = texts(60, seed=7)
    answers = api.predict(bundle.path, {"note": [*cells, None, "", "ЖЖЖ"], "size": [0.0] * 63})
    assert np.mean(np.asarray(answers["good"])[:60] == np.array(label)) > 0.9
    without = api.predict(bundle.path, {"size": [0.0, 1.0]})
    assert len(without["good"]) == 2


@pytest.mark.parametrize("rows", [24, 60])
def test_texts_in_which_nothing_repeats_teach_nothing_and_stop_nothing(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    letters = np.random.default_rng(0).integers(0x400, 0x1000, (rows, 40))
    cells = ["".join(map(chr, row)) for row in letters]
    data = Table(pa.table({"note": cells, "good": ["yes", "no"] * (rows // 2)}))
    spec = {**SPEC, "features": {"note": "text"}, "train": {"budget": {"steps": 3}}}
    assert api.train(data, spec=spec).path.is_dir()


def test_numbers_can_be_predicted_from_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trueweight.nn import rows as storage

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(storage, "WIDE", 64)  # as if there were tens of thousands of n-grams
    monkeypatch.setattr(storage, "WORTHWHILE", 16)
    cells, label = texts(300)
    value = [float(word == "yes") * 10 + len(cell or "") / 10 for word, cell in zip(label, cells, strict=True)]
    spec = {**SPEC, "features": {"note": "text"}, "targets": {"value": "number"}, "model": {"preset": "fast"}}
    bundle = api.train(Table(pa.table({"note": cells, "value": value})), spec=spec)
    assert next(entry for entry in bundle.evidence.entries if entry.metric == "r2").value > 0.8
