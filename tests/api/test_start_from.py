"""``model.start_from``: an older bundle lends its encoders' weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import trueweight
from trueweight.data.column import Sense
from trueweight.data.field import Layout
from trueweight.errors import SpecError, VerifyError
from trueweight.nn.concat import Concat
from trueweight.registry import registry
from trueweight.train.start import Copied, start

MLP = {"type": "mlp", "hidden_sizes": [8], "embedding_size": 4, "dropout": 0.0}


def rows() -> pa.Table:
    rng = np.random.default_rng(0)
    size = rng.normal(size=120)
    kind = ["abc"[i % 3] for i in range(120)]
    return pa.table({"size": size, "kind": kind, "cost": 3 * size + 1, "weight": -size + rng.normal(size=120)})


def spec(target: str, **model: Any) -> dict[str, Any]:
    return {
        "features": {"size": "number", "kind": "category"}, "other_features": "ignore", "targets": {target: "number"},
        "split": {"method": "random"}, "model": {"encoder": MLP, **model}, "evaluate": {"baselines": []},
        "train": {"budget": {"steps": 5}, "batch_size": 16, "optimizer": "adam"},
    }  # fmt: skip


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trueweight.train(rows(), spec=spec("cost"), out=tmp_path_factory.mktemp("older") / "run").path


def test_the_new_model_begins_where_the_old_one_ended(
    older: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, torch.Tensor]] = []
    before = registry("fitter")["gradient"].fit

    def fit(self: Any, job: Any) -> Any:
        seen.append({name: t.clone() for name, t in job.network.encoders.state_dict().items()})
        return before(self, job)

    monkeypatch.setattr(registry("fitter")["gradient"], "fit", fit)
    asked = spec("weight", start_from=older.name)
    bundle = trueweight.train(rows(), spec=asked, out=tmp_path / "run", base=older.parent)
    donor = trueweight.load(older)
    lent = donor.predictor.members()[0] if donor.predictor.members() else donor.predictor
    expected = lent.network.encoders.state_dict()
    assert seen[0].keys() == expected.keys()
    assert all(torch.equal(seen[0][name], t) for name, t in expected.items())
    assert bundle.manifest.parent == donor.manifest.digest
    entry = next(e for e in bundle.evidence if e.id == "fit/start/1")
    assert entry.value == f"{len(expected)} of {len(expected)} tensors of mlp's encoder of table"
    assert f"start_from: {older.name}" in (bundle.path / "resolved.yaml").read_text()


def test_nothing_fits_is_refused_with_what_there_is(older: Path, tmp_path: Path) -> None:
    asked = spec("weight", start_from=str(older))
    asked["model"]["encoder"] = {**MLP, "hidden_sizes": [9]}
    with pytest.raises(SpecError, match="no encoder fits: this model has mlp, that one mlp") as error:
        trueweight.train(rows(), spec=asked, out=tmp_path / "run")
    assert error.value.where == "model.start_from"


def test_other_columns_do_not_fit(older: Path, tmp_path: Path) -> None:
    asked = spec("weight", start_from=str(older))
    asked["features"] = {"cost": "number", "kind": "category"}
    with pytest.raises(SpecError, match="no encoder fits"):
        trueweight.train(rows(), spec=asked, out=tmp_path / "run")


def test_what_is_no_bundle_is_told(tmp_path: Path) -> None:
    with pytest.raises(VerifyError, match=r"no bundle '.*nowhere'"):
        trueweight.train(rows(), spec=spec("cost", start_from=str(tmp_path / "nowhere")), out=tmp_path / "run")


class Words:
    """A field of texts, as far as starting asks."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def layout(self) -> Layout:
        return Layout({"token": 1}, senses={"token": Sense(ragged=True, vocabulary=len(self.words), length=9)})

    def to_json(self) -> dict[str, Any]:
        return {"columns": [{"name": "text", "codec": self.words}]}


class Leaf:
    """A network predictor, as far as starting asks."""

    solving = False

    def __init__(self, name: str, words: list[str], seed: int, **options: Any) -> None:
        from trueweight.model.network import Network

        torch.manual_seed(seed)
        part = registry("encoder")["transformer"].model_validate(
            {"type": "transformer", "width": 8, "layers": 1, "heads": 2, "positions": "learned", **options}
        )
        self.encoders, self.fields = {name: part}, {name: Words(words)}
        body = part.build(self.fields[name].layout())
        self.network = Network({name: body}, Concat({name: body.form}), {})

    def state(self) -> dict[str, torch.Tensor]:
        return {name: t.clone() for name, t in self.network.encoders["f0"].state_dict().items()}


@pytest.mark.parametrize(
    ("words", "left"), [(["", "?", "a", "b"], 0), (["", "?", "a", "c"], 1), (["", "?", "a", "b", "c"], 1)]
)
def test_words_that_are_others_begin_afresh(words: list[str], left: int) -> None:
    donor, leaf = Leaf("text", ["", "?", "a", "b"], 1), Leaf("title", words, 2)
    before, lent = leaf.state(), donor.state()
    (copied,) = start({"t": leaf}, [donor])  # type: ignore[dict-item, list-item]
    assert copied == Copied("t", "title", len(lent) - left, len(lent))
    table = next(name for name in lent if "embedding" in name)
    for name, tensor in leaf.state().items():
        kept = name == table and left
        assert torch.equal(tensor, before[name] if kept else lent[name]), name


def test_an_encoder_asked_for_otherwise_lends_nothing() -> None:
    donor, leaf = Leaf("text", ["", "?"], 1), Leaf("text", ["", "?"], 2, causal=True)
    with pytest.raises(SpecError, match="no encoder fits: this model has transformer, that one transformer"):
        start({"t": leaf}, [donor])  # type: ignore[dict-item, list-item]
