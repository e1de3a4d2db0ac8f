"""Copying from what is read, as a user meets it: words that no training text has are written all the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trueweight
from trueweight.bundle.bundle import Bundle
from trueweight.data.feed import Feed
from trueweight.data.reading import column_part
from trueweight.errors import SpecError
from trueweight.nn.encoding import Form

TRANSFORMER = (
    {"type": "transformer", "width": 32, "layers": 1, "heads": 2, "dropout": 0.0},
    {"type": "transformer", "width": 32, "layers": 1, "heads": 2, "dropout": 0.0},
)
LSTM = (
    {"type": "lstm", "embedding_size": 32, "hidden_size": 16, "bidirectional": True},
    {"type": "lstm", "width": 32, "dropout": 0.0},
)


def rows(count: int = 460) -> dict[str, list[str]]:
    """Made-up names, each in one row: the second of two is to be greeted."""
    rng = np.random.default_rng(0)

    def name() -> str:
        letters = zip(rng.choice(list("bcdfghklmnprstvwz"), 3), rng.choice(list("aeiou"), 3), strict=True)
        return "".join(a + b for a, b in letters)

    pairs = [(name(), name()) for _ in range(count)]
    return {
        "said": [f"{one} met {other} here" for one, other in pairs], "who": [f"hello {other}" for _, other in pairs],
        "part": ["train"] * (count - 60) + ["validation"] * 20 + ["test"] * 40,
    }  # fmt: skip


def greeting(parts: tuple[dict[str, Any], dict[str, Any]], steps: int = 90, **target: Any) -> dict[str, Any]:
    encoder, decoder = parts
    return {
        "features": {"said": {"type": "text", "encoder": encoder, "max_tokens": 20}}, "other_features": "ignore",
        "targets": {"who": {"type": "text", "decoder": decoder, "label_smoothing": 0.0, **target}},
        "split": {"method": "column", "column": "part"}, "evaluate": {"checks": [], "baselines": []},
        "train": {
            "budget": {"steps": steps}, "batch_size": 32, "step_plan": "off",
            "optimizer": {"type": "adamw", "learning_rate": 0.003},
        },
    }  # fmt: skip


def exact(bundle: Bundle, **how: Any) -> float:
    asked = rows()
    answers = bundle.predict({"said": asked["said"][-40:]}, how=trueweight.decoding(**how))["who"]
    return float(np.mean([a == b for a, b in zip(answers, asked["who"][-40:], strict=True)]))


@pytest.fixture(scope="module")
def copier(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return trueweight.train(rows(), spec=greeting(TRANSFORMER), out=tmp_path_factory.mktemp("copier"))


def test_names_that_were_never_seen_are_written(copier: Bundle):
    learnt = copier.signature.columns["who"].learnt
    assert learnt["copied_from"] == "said"
    assert learnt["copied"] == pytest.approx(0.5, abs=0.02)
    assert learnt["merges"] == copier.signature.columns["said"].learnt["merges"]
    assert exact(copier) >= 0.9
    assert exact(copier, beams=3) >= 0.9
    assert exact(trueweight.load(copier.path)) == exact(copier)


def test_answers_are_the_same_however_many_steps_are_read_at_once(copier: Bundle, monkeypatch: pytest.MonkeyPatch):
    said = [" ".join(rows()["said"][row : row + 1 + row % 3]) for row in range(24)]  # of unlike lengths
    whole = copier.predict({"said": said})
    seen: list[int] = []
    chunks = Feed.chunks

    def counted(feed: Feed, *most: Any) -> Any:
        for place, batch in chunks(feed, *most):
            seen.append(len(place))
            yield place, batch

    monkeypatch.setattr("trueweight.model.predictors.portions.CHUNK_STEPS", 40)
    monkeypatch.setattr(Feed, "chunks", counted)
    few = copier.predict({"said": said})
    assert sum(seen) == 24 and max(seen) <= 4
    assert list(few["who"]) == list(whole["who"])
    np.testing.assert_allclose(few["who.logp"], whole["who.logp"], rtol=1e-4, atol=1e-5)


def test_without_copying_they_are_not_and_nothing_of_it_is_there(tmp_path: Path):
    bundle = trueweight.train(rows(), spec=greeting(TRANSFORMER, copying=False), out=tmp_path)
    assert exact(bundle) == 0.0
    assert not [key for key in bundle.signature.columns["who"].learnt if key.startswith("copied")]


def test_a_recurrent_pair_copies_too(tmp_path: Path):
    assert exact(trueweight.train(rows(), spec=greeting(LSTM, copying=True), out=tmp_path)) >= 0.9


def test_pieces_of_a_stream_are_the_answer(copier: Bundle):
    asked = {"said": [rows()["said"][-1]]}
    assert "".join(copier.stream(asked["said"][0])) == copier.predict(asked)["who"][0]


def test_a_text_that_says_little_again_is_written_as_before(tmp_path: Path):
    table = rows(120)
    table["who"] = ["hello you" if n % 2 else "good day" for n in range(120)]
    bundle = trueweight.train(table, spec=greeting(TRANSFORMER, steps=3), out=tmp_path)
    learnt = bundle.signature.columns["who"].learnt
    assert (learnt["copied"], learnt["copied_by_chance"]) == (0.0, 0.0)
    assert "copied_from" not in learnt
    assert learnt["merges"] != bundle.signature.columns["said"].learnt["merges"]


def test_what_lost_its_tokens_on_the_way_cannot_be_copied_from(tmp_path: Path):
    pooled = ({**TRANSFORMER[0], "pooling": "mean"}, TRANSFORMER[1])
    with pytest.raises(SpecError, match="what is read of 'said' has lost its tokens") as caught:
        trueweight.train(rows(120), spec=greeting(pooled, steps=3, copying=True), out=tmp_path)
    assert "pooling: none" in caught.value.hint


def test_a_bundle_from_before_there_was_copying_answers(copier: Bundle, tmp_path: Path):
    """Its spec and signature have no word of it: no copying then, whatever the default is."""
    plain = trueweight.train(rows(120), spec=greeting(TRANSFORMER, steps=3, copying=False), out=tmp_path)
    facts = plain.signature.columns["who"]
    spec = {key: value for key, value in facts.spec.items() if key != "copying"}
    old: Any = column_part(replace(facts, spec=spec))
    assert old.copying == "auto"
    form = Form(32, grid_rank=1, coded=True)
    assert old.build(form, facts.learnt).copying is None
    assert old.build(form, copier.signature.columns["who"].learnt).copying is not None
