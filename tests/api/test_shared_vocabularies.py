"""Whole runs of columns that share their tokens: one table, before and behind the bundle."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

import trueweight
from trueweight.errors import SpecError
from trueweight.train.starting import networks_in

NAMES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SMALL = {"type": "transformer", "width": 16, "layers": 1, "heads": 2, "dropout": 0.0}


def pairs() -> pa.Table:
    numbers = range(200)
    words = [f"{NAMES[n // 10 % 10]} {NAMES[n % 10]}" for n in numbers]
    return pa.table({"words": words, "back": [" ".join(word.split()[::-1]) for word in words]})


def reversing(encoder: dict[str, Any], decoder: dict[str, Any], like: str = "words") -> dict[str, Any]:
    return {
        "features": {"words": {"type": "text", "encoder": encoder}}, "name": "reversing",
        "targets": {"back": {"type": "text", "like": like, "decoder": decoder}}, "evaluate": {"baselines": []},
        "train": {"budget": {"steps": 6}, "batch_size": 32, "step_plan": "off"},
    }  # fmt: skip


DECODER = {"type": "transformer", "width": 16, "layers": 1, "heads": 2, "dropout": 0.0}


@pytest.mark.parametrize(
    ("encoder", "decoder"),
    [(SMALL, DECODER), ({"type": "lstm", "embedding_size": 16, "hidden_size": 8}, {"type": "lstm", "width": 16})],
    ids=["transformer", "lstm"],
)
def test_one_table_is_read_and_written_with(tmp_path: Path, encoder: dict[str, Any], decoder: dict[str, Any]):
    bundle = trueweight.train(pairs(), spec=reversing(encoder, decoder), out=tmp_path)
    columns = bundle.signature.columns
    assert columns["words"].learnt["merges"] == columns["back"].learnt["merges"]
    assert columns["back"].spec["like"] == "words"
    again = trueweight.load(bundle.path)
    rows = pairs().select(["words"]).slice(0, 20)
    assert again.predict(rows) == bundle.predict(rows)
    for model in (bundle, again):
        (leaf,) = [n for n in networks_in(model.predictor) if not n.solving]
        tables = [m for m in leaf.network.modules() if isinstance(m, torch.nn.Embedding) and m.num_embeddings > 258]
        assert len(tables) == 2 and tables[0].weight is tables[1].weight
    apart = dict(zip(rows.column("words").to_pylist(), _texts(bundle.predict(rows)), strict=True))
    alone = _texts(bundle.predict(rows.slice(3, 1)))
    assert alone == [apart[rows.column("words")[3].as_py()]]  # whatever fills up a batch is not read


def _texts(answers: Any) -> list[str]:
    return list(answers["back"]) if isinstance(answers, dict) else answers.column("back").to_pylist()


def test_tables_of_other_widths_cannot_be_one(tmp_path: Path):
    with pytest.raises(SpecError, match=r"that of 'back' is 24 wide and that of 'words' is 16 wide"):
        trueweight.train(pairs(), spec=reversing(SMALL, {**DECODER, "width": 24}), out=tmp_path)


def test_two_columns_that_are_read_share_theirs(tmp_path: Path):
    both = pairs().append_column("same", pa.array(["yes" if n % 11 == 0 else "no" for n in range(200)]))
    features = {
        "words": {"type": "text", "encoder": SMALL},
        "back": {"type": "text", "encoder": SMALL, "like": "words"},
    }
    spec = {**reversing(SMALL, DECODER), "features": features, "targets": {"same": "binary"}}
    spec["model"] = {"encoder": {"type": "mlp"}}
    bundle = trueweight.train(both, spec=spec, out=tmp_path)
    (leaf,) = [n for n in networks_in(bundle.predictor) if not n.solving]
    tables = [m for m in leaf.network.modules() if isinstance(m, torch.nn.Embedding) and m.num_embeddings > 258]
    assert len(tables) == 2 and tables[0].weight is tables[1].weight


def test_a_name_that_leads_nowhere_makes_no_folder(tmp_path: Path):
    with pytest.raises(SpecError, match="there is no column 'word'; did you mean 'words'"):
        trueweight.train(pairs(), spec=reversing(SMALL, DECODER, like="word"), out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
