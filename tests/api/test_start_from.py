"""``model.start_from``: an older bundle lends its encoders' weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

import trueweight
from trueweight.errors import SpecError, VerifyError
from trueweight.registry import registry

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
    told = f"{len(expected)} of {len(expected)} tensors of mlp's encoder of table, from features.size: "
    assert str(entry.value).startswith(told)
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


def reviews(words: str) -> pa.Table:
    rng = np.random.default_rng(1)
    rows = [" ".join(rng.choice(words.split(), 6)) for _ in range(120)]
    return pa.table({"note": rows, "good": ["yes" if words.split()[0] in row else "no" for row in rows]})


def of_words(encoder: Any, **model: Any) -> dict[str, Any]:
    return {
        "features": {"note": {"type": "text", "encoder": encoder, "augment": []}}, "other_features": "ignore",
        "targets": {"good": "binary"}, "model": {"encoder": MLP, **model}, "evaluate": {"baselines": []},
        "train": {"budget": {"steps": 2}, "batch_size": 16, "optimizer": "adam"},
    }  # fmt: skip


@pytest.mark.parametrize(("words", "left"), [("red blue cat dog", 0), ("grün weiß Hund Katze", 1)])
def test_ngrams_that_are_others_begin_afresh(tmp_path: Path, words: str, left: int) -> None:
    """Tokens are taken over with the vocabulary, n-grams are learnt: their table is lent where they are the same."""
    bag = {"type": "bag", "width": 8}
    first = trueweight.train(reviews("red blue cat dog"), spec=of_words(bag), out=tmp_path / "a")
    asked = of_words(bag, start_from=str(first.path))
    bundle = trueweight.train(reviews(words), spec=asked, out=tmp_path / "b")
    assert bundle.manifest.lineage is not None
    (copied,) = bundle.manifest.lineage.copied
    assert copied["field"] == "note"
    assert copied["tensors"] == 3 - left  # the table, and a layer behind it


def test_a_recurrent_reader_is_lent_with_its_words(tmp_path: Path) -> None:
    lstm = {"type": "lstm", "hidden_size": 8, "embedding_size": 8}
    first = trueweight.train(reviews("red blue cat dog"), spec=of_words(lstm), out=tmp_path / "a")
    second = trueweight.train(
        reviews("grün weiß Hund Katze"), spec=of_words(lstm, start_from=str(first.path)), out=tmp_path / "b"
    )
    assert second.manifest.lineage is not None
    (copied,) = second.manifest.lineage.copied
    assert copied["source"] == "features.note"
    theirs, mine = (bundle.signature.columns["note"].learnt["merges"] for bundle in (first, second))
    assert mine == theirs


def test_an_encoder_asked_for_otherwise_lends_nothing(tmp_path: Path) -> None:
    lstm = {"type": "lstm", "hidden_size": 8}
    first = trueweight.train(reviews("red blue cat dog"), spec=of_words(lstm), out=tmp_path / "a")
    asked = of_words(lstm | {"bidirectional": True}, start_from=str(first.path))
    with pytest.raises(SpecError, match="no encoder fits: this model has lstm, that one lstm"):
        trueweight.train(reviews("red blue cat dog"), spec=asked, out=tmp_path / "b")


def test_last_layers_need_layers(older: Path, tmp_path: Path) -> None:
    asked = spec("weight", start_from={"source": str(older), "train": "last_layers"})
    with pytest.raises(SpecError, match="what was taken over from features.size is not made of layers"):
        trueweight.train(rows(), spec=asked, out=tmp_path / "run")
