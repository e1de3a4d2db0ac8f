"""Sound in, text out: a language of three tones, learnt, asked, and given what it cannot bear."""

import base64
import io
import json
import logging
import wave
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trueweight import api
from trueweight.bundle.bundle import Bundle
from trueweight.data.frames import from_frame
from trueweight.errors import DataError, SpecError
from trueweight.spec.load import parse_spec
from trueweight.train.prepare import prepare

RATE = 8000
WORDS = {"do": 400, "mi": 900, "so": 2000}
SECONDS = 0.2
"""Of each tone; as much silence lies around it."""


def address(sample_N: np.ndarray, rate: int = RATE) -> str:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes((np.clip(sample_N, -1, 1) * 32767).astype("<i2").tobytes())
    return f"data:audio/wav;base64,{base64.b64encode(file.getvalue()).decode()}"


def spoken(words: list[str], rng: np.random.Generator) -> str:
    quiet_N = np.zeros(int(SECONDS * RATE))
    time_N = np.arange(len(quiet_N)) / RATE
    parts = [quiet_N]
    for word in words:
        parts += [0.3 * np.sin(2 * np.pi * WORDS[word] * rng.uniform(0.95, 1.05) * time_N), quiet_N]
    whole_N = np.concatenate(parts)
    return address(whole_N + 0.003 * rng.normal(size=len(whole_N)))


@cache
def rows(count: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    said = [rng.choice(list(WORDS), int(rng.integers(1, 4))).tolist() for _ in range(count)]
    return pd.DataFrame({"sound": [spoken(words, rng) for words in said], "text": [" ".join(words) for words in said]})


SPEC: dict[str, Any] = {
    "features": {"sound": {"type": "audio", "sample_rate": RATE, "n_mels": 20, "augment": []}},
    "targets": {"text": {"type": "text"}},
    "train": {
        "budget": {"steps": 130},
        "batch_size": 16,
        "optimizer": {"type": "adamw", "learning_rate": 3e-3},
    },
    "evaluate": {"checks": []},
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return api.train(rows(), spec=SPEC, out=tmp_path_factory.mktemp("speech") / "run")


def test_reads_words_it_has_learnt_by_default_without_an_option(bundle: Bundle):
    head = bundle.resolved.targets["text"].model_dump()
    assert (head["decoder"]["type"], head["tokens"]) == ("ctc", "characters")
    found = {entry.id: entry.value for entry in bundle.evidence.entries}
    assert bundle.resolved.evaluate.baselines == ["nearest_neighbour", "constant"]
    ours, nearest, constant = (
        found[f"{one}/text/word_error_rate/test"]
        for one in ("quality", "baseline/nearest_neighbour", "baseline/constant")
    )
    assert ours < 0.1
    assert ours < nearest < constant
    assert not (bundle.path.parent / "nearest_neighbour.bundle").exists()


def test_says_when_words_were_said(bundle: Bundle):
    said = ["do", "so", "mi"]
    table = pd.DataFrame({"sound": [spoken(said, np.random.default_rng(5))]})
    answers = api.predict(bundle, table, times=True)
    assert answers["text"].tolist() == ["do so mi"]
    times = json.loads(answers["text.times"][0])
    assert [word for word, _, _ in times] == said
    for number, (_, start, end) in enumerate(times):
        began = SECONDS * (1 + 2 * number)
        # Letters may be told anywhere within what the network hears of their tone: no further than the silence goes.
        assert began - SECONDS < start < end < began + 2 * SECONDS


def test_silence_says_little_and_nothing_nothing(bundle: Bundle):
    table = pd.DataFrame({"sound": [address(np.zeros(RATE)), None, address(np.zeros(1))]})
    answers = api.predict(bundle, table, times=True)
    assert all(isinstance(text, str) for text in answers["text"])
    assert np.isfinite(answers["text.logp"]).all()
    assert [len(json.loads(times)) for times in answers["text.times"]] == [len(t.split()) for t in answers["text"]]


def hour() -> str:
    return address(np.random.default_rng(0).normal(size=3_600_000) * 0.01, 1000)


def test_an_hour_is_read_up_to_where_sounds_are_cut_and_told(bundle: Bundle, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        api.predict(bundle, pd.DataFrame({"sound": [hour()]}))
    (told,) = [record.message for record in caplog.records]
    assert told.startswith("sound: 1 row longer than 60 seconds, of which only the beginning was read: cut such sounds")


def test_sounds_that_are_cut_do_not_teach():
    table = pd.concat([rows(40), pd.DataFrame({"sound": [hour()], "text": ["do mi"]})])
    ready = prepare(from_frame(table), parse_spec(SPEC))
    assert 40 not in ready.cases.rows
    assert "1 row left out whose sound in 'sound' is longer than 60 seconds (max_seconds)" in ready.cases.notes


def test_nothing_but_hours_is_refused_with_what_to_do():
    table = pd.DataFrame({"sound": [hour()] * 3, "text": ["do", "mi", "so"]})
    with pytest.raises(DataError) as caught:
        prepare(from_frame(table), parse_spec(SPEC))
    assert "every sound in column 'sound' is longer than 60 seconds" in caught.value.problem
    assert "cut sounds and texts into pieces of a sentence or two" in caught.value.hint
    assert "3,600 s, takes about" in caught.value.hint


def test_empty_transcripts_are_rows_without_a_label():
    table = rows(40).copy()
    table.loc[3, "text"] = ""
    ready = prepare(from_frame(table), parse_spec(SPEC))
    assert 3 not in ready.cases.rows
    assert "1 row without any label left out" in ready.cases.notes


def test_times_of_what_has_none_are_refused(tmp_path):
    table = pd.DataFrame({"size": range(40), "kind": ["a", "b"] * 20})
    spec = {"targets": {"kind": "category"}, "model": {"preset": "fast"}, "evaluate": {"checks": []}}
    other = api.train(table, spec=spec, out=tmp_path / "run")
    with pytest.raises(SpecError, match="knows no times: only texts that are read off sounds have them"):
        api.predict(other, table, times=True)


def test_beams_with_a_language_model_read_the_same_words(tmp_path):
    decoder = {"type": "ctc", "ngrams": 3, "ngram_weight": 0.3, "length_bonus": 0.2}
    spec = SPEC | {"targets": {"text": {"type": "text", "tokens": "characters", "beams": 4, "decoder": decoder}}}
    spec["train"] = SPEC["train"] | {"budget": {"steps": 90}}
    found = api.train(rows(), spec=spec, out=tmp_path / "run")
    table = pd.DataFrame({"sound": [spoken(["so", "do"], np.random.default_rng(8))]})
    assert api.predict(found, table)["text"].tolist() == ["so do"]
    grams = found.signature.columns["text"].learnt["ngrams"]
    assert grams and all(gram[-1] >= 10 for gram in grams)
