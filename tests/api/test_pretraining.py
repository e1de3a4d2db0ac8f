"""From raw text to a classifier: what is learnt without labels begins what is learnt with them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

import trueweight
from trueweight.bundle.bundle import Bundle
from trueweight.errors import SpecError
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.nn.bodies import TokenBody, body_of
from trueweight.nn.lora import Adapted
from trueweight.registry import registry
from trueweight.train.groups import decay_groups, hidden_matrices
from trueweight.train.starting import networks_in

SHAPE = {"type": "transformer", "width": 16, "layers": 2, "heads": 2}
QUICK = {"budget": {"steps": 6}, "batch_size": 16, "step_plan": "off"}
MODEL = {"encoder": {"type": "mlp", "hidden_sizes": [8]}}


def sentences(seed: int = 0, count: int = 160) -> list[str]:
    """Colours and animals that go together, so that a gap can be filled from what is around it."""
    rng = np.random.default_rng(seed)
    pairs = ["red fox", "blue whale", "green frog", "grey wolf"]
    return [" and ".join(rng.choice(pairs, rng.integers(2, 6))) for _ in range(count)]


def raw() -> pa.Table:
    return pa.table({"note": sentences()})


def labelled() -> pa.Table:
    notes = sentences(seed=1)
    return pa.table({"note": notes, "wolf": ["yes" if "wolf" in note else "no" for note in notes]})


def pretraining(target: dict[str, Any], **train: Any) -> dict[str, Any]:
    return {
        "targets": {"note": target}, "model": MODEL, "evaluate": {"baselines": ["constant"]},
        "train": {**QUICK, **train},
    }  # fmt: skip


def classifying(start: Any, note: Any = "text", **train: Any) -> dict[str, Any]:
    return {
        "features": {"note": note}, "targets": {"wolf": "binary"}, "model": {**MODEL, "start_from": start},
        "evaluate": {"baselines": []}, "train": {**QUICK, **train},
    }  # fmt: skip


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A language model."""
    asked = pretraining({"type": "text", "decoder": SHAPE})
    return trueweight.train(raw(), spec=asked, out=tmp_path_factory.mktemp("writer") / "run")


@pytest.fixture(scope="module")
def filler(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """What has learnt to fill gaps."""
    asked = pretraining({"type": "masked", "encoder": {**SHAPE, "input_norm": False}})
    return trueweight.train(raw(), spec=asked, out=tmp_path_factory.mktemp("filler") / "run")


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[nn.Module]]:
    """Networks as they are when the first step is about to be taken."""
    import copy

    seen: list[nn.Module] = []
    before = registry("fitter")["gradient"].fit

    def fit(self: Any, job: Any) -> Any:
        seen.append(copy.deepcopy(job.network))
        return before(self, job)

    monkeypatch.setattr(registry("fitter")["gradient"], "fit", fit)
    return seen


def leaf(bundle: Bundle) -> NetworkPredictor:
    return networks_in(bundle.predictor)[0]


def body(module: nn.Module) -> TokenBody:
    found = body_of(module)
    assert found is not None
    return found


def test_gaps_of_texts_that_are_read_some_at_a_time_are_filled_alike(
    filler: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch of texts is as wide as its longest."""
    notes = {"note": [*sentences(2, 30), "red fox"]}
    whole = filler.predict(notes)
    monkeypatch.setattr("trueweight.model.predictors.portions.CHUNK_STEPS", 24)
    few = filler.predict(notes)
    assert few.keys() == whole.keys()
    assert list(few["note"]) == list(whole["note"])
    assert all(list(few[f"note.{name}"]) == list(whole[f"note.{name}"]) for name in ("hidden", "right"))


def test_a_classifier_begins_with_what_filled_the_gaps_bit_for_bit(
    filler: Bundle, begun: list[nn.Module], tmp_path: Path
) -> None:
    bundle = trueweight.train(labelled(), spec=classifying(str(filler.path)), out=tmp_path / "run")
    theirs = body(leaf(filler).network.heads["t0"])
    mine = body(begun[0].encoders["f0"])  # type: ignore[index,union-attr]
    assert mine.slots.keys() == theirs.slots.keys()
    assert all(torch.equal(slot.view, theirs.slots[name].view) for name, slot in mine.slots.items())
    # And after some steps it is another.
    moved = body(leaf(bundle).network.encoders["f0"])
    assert not torch.equal(moved.slots["0.q.weight"].view, theirs.slots["0.q.weight"].view)
    assert bundle.signature.columns["note"].learnt["merges"] == filler.signature.columns["note"].learnt["merges"]
    assert bundle.signature.columns["note"].spec["lowercase"] is False
    rows = labelled().slice(0, 5)
    assert trueweight.load(bundle.path).predict(rows).equals(bundle.predict(rows))


def test_a_reader_begins_with_what_wrote(writer: Bundle, begun: list[nn.Module], tmp_path: Path) -> None:
    trueweight.train(labelled(), spec=classifying(str(writer.path)), out=tmp_path / "run")
    theirs = body(leaf(writer).network.heads["t0"])
    mine = body(begun[0].encoders["f0"])  # type: ignore[index,union-attr]
    for name, slot in mine.slots.items():
        factor = 4.0 if name == "table" else 1.0  # the root of the width, which a decoder multiplies with later
        assert torch.equal(slot.view, theirs.slots[name].view * factor), name


def test_a_bigger_writer_begins_with_a_smaller_ones_decoder(
    writer: Bundle, begun: list[nn.Module], tmp_path: Path
) -> None:
    notes = sentences(seed=2)
    table = pa.table({"size": np.arange(len(notes)) % 7.0, "note": notes})
    asked = pretraining({"type": "text"}) | {"features": {"size": "number"}}
    asked["model"] = {**MODEL, "start_from": str(writer.path)}
    bundle = trueweight.train(table, spec=asked, out=tmp_path / "run")
    theirs, mine = body(leaf(writer).network.heads["t0"]), body(begun[0].heads["t0"])  # type: ignore[index,union-attr]
    assert all(torch.equal(slot.view, theirs.slots[name].view) for name, slot in mine.slots.items())
    lineage = bundle.manifest.lineage
    assert lineage is not None
    (copied,) = lineage.copied
    assert (copied["role"], copied["field"], copied["source"]) == ("decoder", "note", "targets.note")
    assert 0 < lineage.share < 1  # attention to what is read is new


def test_a_writer_is_adapted_by_small_matrices(writer: Bundle, tmp_path: Path) -> None:
    asked = pretraining({"type": "text"})
    asked["model"] = {**MODEL, "start_from": {"source": str(writer.path), "train": "lora", "rank": 2}}
    bundle = trueweight.train(pa.table({"note": sentences(seed=2)}), spec=asked, out=tmp_path / "run")
    theirs, mine = (body(leaf(one).network.heads["t0"]) for one in (writer, bundle))
    changed = {n.split(".")[-2] for n, s in mine.slots.items() if not torch.equal(s.view, theirs.slots[n].view)}
    assert changed == {"q", "k", "v", "out", "up", "down"}
    assert bundle.manifest.lineage is not None
    assert bundle.manifest.lineage.share == 1.0  # all that a language model is was taken over
    assert bundle.manifest.lineage.trained < 0.5


def test_lineage_is_told_without_paths(filler: Bundle, tmp_path: Path) -> None:
    bundle = trueweight.train(labelled(), spec=classifying(str(filler.path)), out=tmp_path / "run")
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    assert manifest["parent"] == manifest["lineage"]["digest"] == filler.manifest.digest
    network = leaf(bundle).network
    taken = sum({id(s.parameter): s.parameter.numel() for s in body(network.encoders["f0"]).slots.values()}.values())
    share = taken / sum(p.numel() for p in network.parameters())
    assert manifest["lineage"]["share"] == pytest.approx(share, abs=1e-6)
    told = {e.id: e.value for e in bundle.evidence if e.id.startswith("fit/start/")}
    assert told["fit/start/share"] == manifest["lineage"]["share"]
    assert told["fit/start/trained"] == 1.0
    assert str(told["fit/start/1"]).endswith(f"encoder of note, from targets.note: {share:.1%} of its weights")
    shown = trueweight.show(bundle.path)
    assert shown["lineage"]["digest"] == filler.manifest.digest
    for file in bundle.path.rglob("*"):
        assert not file.is_file() or str(filler.path.parent).encode() not in file.read_bytes(), file
    assert trueweight.load(bundle.path).manifest == bundle.manifest


def held(filler: Bundle, bundle: Bundle) -> dict[str, bool]:
    """Of each tensor of the body, whether it is what was taken over, bit for bit."""
    theirs, mine = body(leaf(filler).network.heads["t0"]), body(leaf(bundle).network.encoders["f0"])
    return {name: torch.equal(slot.view, theirs.slots[name].view) for name, slot in mine.slots.items()}


def test_what_is_frozen_stays_bit_for_bit(filler: Bundle, begun: list[nn.Module], tmp_path: Path) -> None:
    start = {"source": str(filler.path), "train": "frozen"}
    bundle = trueweight.train(labelled(), spec=classifying(start), out=tmp_path / "run")
    assert all(held(filler, bundle).values())
    before, after = dict(begun[0].named_parameters()), dict(leaf(bundle).network.named_parameters())
    assert {name for name, p in before.items() if p.requires_grad} == {n for n in after if n.startswith("heads.")}
    assert any(not torch.equal(before[name], p) for name, p in after.items())
    assert not begun[0].train().encoders["f0"].training  # type: ignore[index,union-attr]  # no dropout either
    assert begun[0].heads.training  # type: ignore[union-attr]
    assert bundle.manifest.lineage is not None
    assert bundle.manifest.lineage.trained < 0.05


@pytest.mark.parametrize("count", [1, 2])
def test_only_the_last_layers_learn(filler: Bundle, tmp_path: Path, count: int) -> None:
    start = {"source": str(filler.path), "train": "last_layers", "layers": count}
    bundle = trueweight.train(labelled(), spec=classifying(start), out=tmp_path / "run")
    for name, same in held(filler, bundle).items():
        learns = name.split(".")[0] in {str(2 - 1 - i) for i in range(count)} | {"last"}
        assert same != learns or (learns and name.endswith("k.bias")), name  # a shift of all keys changes nothing


def test_lora_trains_its_share_alone_and_leaves_nothing_of_itself(
    filler: Bundle, begun: list[nn.Module], tmp_path: Path
) -> None:
    start = {"source": str(filler.path), "train": "lora", "rank": 2, "alpha": 4}
    bundle = trueweight.train(labelled(), spec=classifying(start), out=tmp_path / "run")
    small = [module for module in begun[0].modules() if isinstance(module, Adapted)]
    assert len(small) == 2 * 4  # two layers: queries with keys and values, out, up, down
    learning = {name for name, p in begun[0].named_parameters() if p.requires_grad}
    assert all(name.endswith(("up_OK", "down_KI")) or name.startswith("heads.") for name in learning)
    given = [p for group in decay_groups(begun[0], 0.1) for p in group["params"]]  # to the optimiser
    assert {id(p) for p in given} == {id(p) for p in begun[0].parameters() if p.requires_grad}
    assert not hidden_matrices(begun[0])
    same = held(filler, bundle)
    assert {name.split(".")[1] for name, kept in same.items() if not kept} <= {"q", "k", "v", "out", "up", "down"}
    assert all(kept for name, kept in same.items() if name.endswith("bias") or name == "table")
    assert not all(same.values())
    # At most so many directions: the difference of each matrix has the rank that was asked for.
    theirs, mine = body(leaf(filler).network.heads["t0"]), body(leaf(bundle).network.encoders["f0"])
    change = (mine.slots["1.up.weight"].view - theirs.slots["1.up.weight"].view).double()
    assert torch.linalg.matrix_rank(change, rtol=1e-4) <= 2
    state = leaf(bundle).network.state_dict()
    assert not [name for name in state if "up_OK" in name or "base" in name]
    assert trueweight.load(bundle.path).predict(labelled().slice(0, 4)).num_rows == 4


def test_every_mismatch_is_told_at_once(filler: Bundle, tmp_path: Path) -> None:
    note = {"type": "text", "encoder": {**SHAPE, "width": 24, "layers": 3, "heads": 4, "hidden": 64, "qk_norm": True}}
    with pytest.raises(SpecError) as error:
        trueweight.train(labelled(), spec=classifying(str(filler.path), note), out=tmp_path / "run")
    assert error.value.where == "model.start_from"
    assert error.value.problem == "\n  ".join([
        "nothing of model.bundle fits what this spec builds",
        *(f"features.note.encoder: {line} (targets.note)" for line in (
            "width is 24 here and 16 there", "layers is 3 here and 2 there", "heads is 4 here and 2 there",
            "qk_norm is true here and false there", "input_norm is true here and false there",
        )),
    ])  # fmt: skip
    assert "leave the encoder or decoder out" in error.value.hint


def test_a_vocabulary_of_another_size_is_refused(filler: Bundle, tmp_path: Path) -> None:
    note = {"type": "text", "vocabulary_size": 300}
    with pytest.raises(SpecError) as error:
        trueweight.train(labelled(), spec=classifying(str(filler.path), note), out=tmp_path / "run")
    assert error.value.where == "features.note.vocabulary_size"
    tokens = len(filler.signature.columns["note"].learnt["merges"]) + 258
    assert error.value.problem == f"300 tokens are asked for, and model.bundle has {tokens}"


def test_letters_read_otherwise_are_refused(filler: Bundle, tmp_path: Path) -> None:
    note = {"type": "text", "lowercase": True}
    with pytest.raises(SpecError, match="lowercase is true here and false in model.bundle") as error:
        trueweight.train(labelled(), spec=classifying(str(filler.path), note), out=tmp_path / "run")
    assert error.value.where == "features.note.lowercase"


def test_more_last_layers_than_there_are(filler: Bundle, tmp_path: Path) -> None:
    start = {"source": str(filler.path), "train": "last_layers", "layers": 3}
    with pytest.raises(SpecError, match="3 last layers of targets.note, which has 2"):
        trueweight.train(labelled(), spec=classifying(start), out=tmp_path / "run")


@pytest.mark.parametrize("how", ["whole", "frozen", "lora"])
def test_a_killed_run_ends_at_the_same_weights(
    filler: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    asked = classifying({"source": str(filler.path), "train": how}, budget={"steps": 12})
    whole = trueweight.train(labelled(), spec=asked, out=tmp_path / "whole")
    from trueweight.train.descent import Descent

    before, steps = Descent.after, []

    def after(self: Any, step: Any) -> None:
        before(self, step)
        steps.append(step.number)
        if step.number == 7:
            self.saved.save(self.checkpoint())
            raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(Descent, "after", after)
        with pytest.raises(RuntimeError, match="killed"):
            trueweight.train(labelled(), spec=asked, out=tmp_path / "cut")
    assert steps == list(range(1, 8))
    resumed = trueweight.train(labelled(), spec=asked, out=tmp_path / "cut", resume=True)
    mine, theirs = (leaf(bundle).network.state_dict() for bundle in (resumed, whole))
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], tensor) for name, tensor in theirs.items())


def test_filling_gaps_is_judged_beside_the_most_frequent_token(filler: Bundle) -> None:
    found = {e.id: e for e in filler.evidence}
    for name in ("masked_accuracy", "masked_bits"):
        for start in ("quality", "baseline/constant"):
            entry = found[f"{start}/note/{name}/test"]
            assert entry.interval is not None
            assert entry.interval.low <= entry.value <= entry.interval.high  # type: ignore[operator]
    assert found["comparison/note/masked_bits/constant"].interval is not None
    # The constant by hand: how often the most frequent token of training stands in the test rows' texts.
    from trueweight.data.bpe import tokens_of

    learnt = filler.signature.columns["note"].learnt
    merges = tuple((left, right) for left, right in learnt["merges"])
    usual = int(np.argmax(learnt["shares"]))
    all_tokens = tokens_of(sentences(), merges).value_MC
    share = float((all_tokens == usual).mean())
    assert found["baseline/constant/note/masked_accuracy/test"].value == pytest.approx(share, abs=0.05)


def test_gaps_are_filled_from_what_is_around_them(tmp_path: Path) -> None:
    """After some hundred steps a colour is known from its animal, which no single token tells."""
    encoder = {**SHAPE, "width": 32, "input_norm": False}
    asked = pretraining({"type": "masked", "encoder": encoder}, budget={"steps": 250})
    bundle = trueweight.train(pa.table({"note": sentences(count=400)}), spec=asked, out=tmp_path / "run")
    found = {e.id: e for e in bundle.evidence}
    ours, theirs = (found[f"{start}/note/masked_accuracy/test"] for start in ("quality", "baseline/constant"))
    assert ours.interval is not None
    assert theirs.interval is not None
    assert ours.interval.low > theirs.interval.high
    answer = bundle.predict(pa.table({"note": sentences(seed=9, count=40)}))
    assert set(answer.column_names) == {"note", "note.hidden", "note.right"}
    hidden, right = (sum(answer[f"note.{name}"].to_pylist()) for name in ("hidden", "right"))
    assert right / hidden > theirs.interval.high  # type: ignore[operator]


def test_an_encoder_that_pools_cannot_fill_gaps(tmp_path: Path) -> None:
    asked = pretraining({"type": "masked", "encoder": {**SHAPE, "pooling": "mean"}})
    with pytest.raises(SpecError, match="does not give back every token of a text") as error:
        trueweight.train(raw(), spec=asked, out=tmp_path / "run")
    assert error.value.hint == "use a transformer with pooling: none"


def test_columns_that_nothing_would_read_are_refused(tmp_path: Path) -> None:
    asked = pretraining({"type": "masked", "encoder": {**SHAPE, "input_norm": False}})
    with pytest.raises(SpecError, match="nothing reads 'wolf'") as error:
        trueweight.train(labelled(), spec=asked, out=tmp_path / "run")
    assert error.value.hint == "set other_features: ignore, and name no features"


def test_what_learns_from_itself_alone_is_checked_for_copies(writer: Bundle, filler: Bundle) -> None:
    for bundle in (writer, filler):
        assert not [entry.id for entry in bundle.evidence if entry.status == "failed"]
        assert any("near_duplicates" in entry.id for entry in bundle.evidence)


def test_memory_is_told_of_what_is_taken_over(filler: Bundle, tmp_path: Path) -> None:
    from pyarrow import parquet

    parquet.write_table(labelled(), tmp_path / "labelled.parquet")
    totals = {}
    for how in ("whole", "frozen"):
        asked = classifying({"source": str(filler.path), "train": how}) | {"data": {"source": "labelled.parquet"}}
        (tmp_path / f"{how}.yaml").write_text(json.dumps(asked))
        (member,) = trueweight.api.memory(tmp_path / f"{how}.yaml")
        encoder = leaf(filler).network.heads["t0"].encoder
        assert member["parameters"] == sum(p.numel() for p in encoder.parameters()) + 17
        totals[how] = member["optimizer"] + member["gradients"]
    assert totals["frozen"] < 0.05 * totals["whole"]


def test_the_estimator_starts_from_a_bundle_too(filler: Bundle) -> None:
    asked = classifying({"source": str(filler.path), "train": "frozen"})
    del asked["targets"], asked["evaluate"]
    table = labelled().to_pandas()
    found = trueweight.Estimator(spec=asked).fit(table[["note"]], table["wolf"])
    theirs = body(leaf(filler).network.heads["t0"])
    mine = body(networks_in(found.predictor_)[0].network.encoders["f0"])
    assert all(torch.equal(slot.view, theirs.slots[name].view) for name, slot in mine.slots.items())


def test_what_is_read_as_ngrams_is_left_as_it_is_asked_for(filler: Bundle, tmp_path: Path) -> None:
    """Letters are read as the older model reads them only where its tokens are."""
    table = labelled().append_column("other", pa.array(sentences(seed=5)))
    asked = classifying(str(filler.path)) | {
        "features": {"note": "text", "other": {"type": "text", "encoder": "linear"}}
    }
    bundle = trueweight.train(table, spec=asked, out=tmp_path / "run")
    assert bundle.signature.columns["note"].spec["lowercase"] is False
    assert bundle.signature.columns["other"].spec["lowercase"] is True
    assert bundle.signature.columns["other"].spec["encoder"]["type"] == "linear"


def test_a_bundle_without_any_text_is_the_wrong_one(tmp_path: Path) -> None:
    table = pa.table({"size": np.arange(60.0), "cost": np.arange(60.0) % 7})
    asked = {"targets": {"cost": "number"}, "model": MODEL, "evaluate": {"baselines": []}, "train": QUICK}
    older = trueweight.train(table, spec=asked, out=tmp_path / "older")
    note = {"type": "text", "encoder": SHAPE}
    with pytest.raises(SpecError, match="no encoder fits: this model has transformer, that one mlp"):
        trueweight.train(labelled(), spec=classifying(str(older.path), note), out=tmp_path / "run")
