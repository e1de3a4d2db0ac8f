"""Models that write, as a user asks them: from Python and on the command line."""

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from trueweight import api
from trueweight.bundle.bundle import Bundle
from trueweight.cli.main import cli
from trueweight.errors import SpecError
from trueweight.model.predictors import network, portions
from trueweight.nn.decoding import Decoding, decoding
from trueweight.progress import Progress, listen

WORDS = ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
DECODER = {"type": "transformer", "width": 16, "layers": 1, "heads": 2, "dropout": 0.0}
SPEC: dict[str, Any] = {
    "other_features": "ignore",
    "evaluate": {"checks": [], "baselines": []},
    "model": {
        "members": [
            {"name": "net", "encoder": {"type": "mlp", "hidden_sizes": [8]}, "fusion": "concat", "fitter": "gradient"}
        ]
    },
    "train": {"budget": {"steps": 30}, "batch_size": 16},
}


def said(digits: str) -> str:
    return " ".join(WORDS[int(digit)] for digit in digits)


def rows(count: int) -> dict[str, list[str]]:
    rng = np.random.default_rng(0)
    digits = ["".join(map(str, rng.integers(0, 10, 1 + i % 3))) for i in range(count)]
    return {"digits": digits, "words": [said(d) for d in digits]}


def trained(folder: Path, spec: dict[str, Any]) -> Bundle:
    return api.train(rows(120), spec=SPEC | spec, out=folder / "run")


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A language model of number words."""
    target = {"words": {"type": "text", "decoder": DECODER, "max_tokens": 16}}
    return trained(tmp_path_factory.mktemp("speaker"), {"features": {"digits": "ignore"}, "targets": target})


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """From digits to words."""
    text = {"type": "text", "encoder": {"type": "gru", "hidden_size": 16}}
    target = {"words": {"type": "text", "decoder": {"type": "lstm", "width": 16}, "max_tokens": 16}}
    return trained(tmp_path_factory.mktemp("translator"), {"features": {"digits": text}, "targets": target})


def test_writing_that_takes_a_while_is_told_of(translator: Bundle, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(network, "_QUIET", 0.0)
    monkeypatch.setattr(portions, "CHUNK_ROWS", 4)
    monkeypatch.setattr(portions, "SLICE_MEDIA", 6)
    heard: list[Progress] = []
    with listen(heard.append):
        api.predict(translator, {"digits": ["1", "23", "4"] * 4})
    told = [(event.done, event.total) for event in heard if event.task == "writing words"]
    assert told[0] == (4, 12)
    assert told[-1] == (12, 12)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.fixture(params=["speaker", "translator"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    found: Bundle = request.getfixturevalue(request.param)
    return found


def asked(bundle: Bundle) -> dict[str, list[str]]:
    """Rows of very different lengths."""
    if bundle.signature.features():
        return {"digits": ["1", "", "12345678901234567890", "7", "日本"]}
    return {"words": ["eins", "", "acht neun", "日本 ж", "e"]}


HOW = {
    "greedy": decoding(),
    "drawn": decoding(temperature=1.3, top_k=50, top_p=0.9),
    "penalised": decoding(repetition_penalty=1.5),
    "beams": decoding(beams=3, length_penalty=0.7),
    "samples": decoding(samples=3),
    "best": decoding(beams=4, samples=2, repetition_penalty=1.2),
    "stopped": decoding(temperature=1.0, stop=["ei", "n v"]),
    "stopped beams": decoding(beams=2, stop=[" "]),
}


@pytest.mark.parametrize("how", HOW.values(), ids=HOW)
def test_a_row_alone_is_answered_as_among_others(bundle: Bundle, how: Decoding) -> None:
    table = asked(bundle)
    together = bundle.predict(table, how=how, seed=3)
    name = next(iter(table))
    # What is drawn belongs to a row's place: so the others are changed, not taken away.
    for row in range(5):
        others = {name: [cell if i == row else "acht 99 acht"[: 2 + i] for i, cell in enumerate(table[name])]}
        alone = bundle.predict(others, how=how, seed=3)
        for column, values in together.items():
            if isinstance(values[row], str | None):
                assert alone[column][row] == values[row]
            else:
                assert alone[column][row] == pytest.approx(values[row], abs=1e-4)
    first = bundle.predict({name: table[name][:1]}, how=how, seed=3)
    assert first["words"][0] == together["words"][0]


def test_what_is_streamed_is_what_is_answered(bundle: Bundle) -> None:
    table = asked(bundle)
    for how in (HOW["greedy"], HOW["drawn"], HOW["stopped"]):
        pieces = list(api.stream(bundle, table, how=how, seed=5))
        texts = {row: "".join(p.text for p in some) for row, some in groupby(pieces, key=lambda p: p.row)}
        assert list(texts.values()) == list(bundle.predict(table, how=how, seed=5)["words"])
        assert sum(piece.ends for piece in pieces) == 5
    name = next(iter(table))
    assert "".join(bundle.stream({name: "eins"})) == bundle.predict({name: ["eins"]})["words"][0]
    assert "".join(bundle.stream("eins")) == bundle.predict({name: ["eins"]})["words"][0]


def test_stops_end_texts_before_them(bundle: Bundle) -> None:
    free = bundle.predict(asked(bundle), how=decoding(temperature=1.0), seed=1)["words"]
    held = bundle.predict(asked(bundle), how=decoding(temperature=1.0, stop=["ei", "n"]), seed=1)["words"]
    for text, short in zip(free, held, strict=True):
        assert text.startswith(short)
        assert short == text.split("ei")[0].split("n")[0]
    assert any(len(short) < len(text) for text, short in zip(free, held, strict=True))


def test_the_seed_and_nothing_else_decides_what_is_drawn(bundle: Bundle) -> None:
    how = decoding(temperature=2.0)
    once, again, other = (list(bundle.predict(asked(bundle), how=how, seed=s)["words"]) for s in (1, 1, 2))
    assert once == again != other


def test_candidates_stand_in_columns_the_likeliest_first(bundle: Bundle) -> None:
    found = bundle.predict(asked(bundle), how=decoding(samples=3, temperature=1.5))
    names = ["words", "words.logp", "words.other[2]", "words.other[2].logp", "words.other[3]", "words.other[3].logp"]
    assert list(found) == names
    assert (found["words.logp"] >= found["words.other[2].logp"]).all()
    assert (found["words.other[2].logp"] >= found["words.other[3].logp"]).all()
    one = bundle.predict(asked(bundle), how=decoding(temperature=1.5))
    every = [found[name] for name in names[::2]]
    assert all(any(texts[row] == text for texts in every) for row, text in enumerate(one["words"]))


def test_a_long_prompt_keeps_its_end_and_says_so(speaker: Bundle, caplog: pytest.LogCaptureFixture) -> None:
    long = "eins zwei drei vier " * 30
    found = speaker.predict({"words": [long, "eins"]})["words"]
    assert "1 of 2 prompts are longer than the 8 tokens there are before an answer" in caplog.text
    # What was cut away is not read: another beginning changes nothing.
    assert found[0] == speaker.predict({"words": ["sieben " * 50 + long]})["words"][0]


def test_max_tokens_is_the_most_that_is_written(bundle: Bundle) -> None:
    found = bundle.predict(asked(bundle), how=decoding(max_tokens=2, temperature=2.0))["words"]
    assert all(len(text.encode()) <= 2 * 32 for text in found)
    short, long = (bundle.predict(asked(bundle), how=decoding(max_tokens=n, temperature=2.0))["words"] for n in (1, 9))
    assert sum(map(len, short)) < sum(map(len, long))


def test_all_wrong_options_are_refused_at_once() -> None:
    with pytest.raises(SpecError) as error:
        decoding(beams=0, temperature=-1.0, top_k=-2, top_p=1.5, repetition_penalty=0.0, stop=[""], samples=0,
                 max_tokens=0, length_penalty=float("nan"))  # fmt: skip
    text = str(error.value)
    for name in ("beams", "temperature", "top_k", "top_p", "repetition_penalty", "stop", "samples", "max_tokens"):
        assert name in text
    assert "length_penalty" in text


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"beams": 3, "temperature": 0.5}, "leave one out"),
        ({"top_k": 3, "temperature": 0.0}, "needs a temperature above 0"),
        ({"samples": 4, "beams": 2}, "at least as many beams"),
        ({"samples": 4, "temperature": 0.0}, "need a temperature above 0"),
    ],
)
def test_options_that_would_mean_nothing_are_refused(wishes: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        decoding(**wishes)


def test_beams_and_samples_cannot_be_streamed(bundle: Bundle) -> None:
    for how, words in ((decoding(beams=2), "2 beams"), (decoding(samples=2), "several samples")):
        with pytest.raises(SpecError, match=words):
            list(bundle.stream("eins", how=how))


# --- On the command line ---------------------------------------------------------------------------------------------


def told(*words: str) -> Any:
    return CliRunner().invoke(cli, ["predict", *words], catch_exceptions=True)


def lines(text: str) -> Iterator[dict[str, Any]]:
    return (json.loads(line) for line in text.splitlines())


def test_prompts_on_the_command_line(speaker: Bundle, translator: Bundle) -> None:
    done = told(str(speaker.path), "--prompt", "eins", "--prompt", "acht", "--format", "jsonl", "--beams", "2")
    expected = speaker.predict({"words": ["eins", "acht"]}, how=decoding(beams=2))["words"]
    assert [row["words"] for row in lines(done.stdout)] == list(expected)
    done = told(str(translator.path), "--prompt", "12", "--format", "jsonl")
    assert next(lines(done.stdout))["words"] == translator.predict({"digits": ["12"]})["words"][0]


def test_a_stream_that_is_no_terminal_is_json_lines(translator: Bundle, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("digits\n12\n345\n")
    options = ("--temperature", "1.2", "--seed", "4", "--max-tokens", "12")
    done = told(str(translator.path), str(tmp_path / "new.csv"), "--stream", *options)
    found = list(lines(done.stdout))
    how = decoding(temperature=1.2, max_tokens=12)
    expected = api.predict(translator, tmp_path / "new.csv", how=how, seed=4)["words"]
    for row in (0, 1):
        mine = [line for line in found if line["row"] == row]
        assert mine[-1] == {"row": row, "end": True}
        assert "".join(line["piece"] for line in mine[:-1]) == expected[row]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "name a SOURCE of rows"),
        (("new.csv", "--prompt", "a"), "not both"),
        (("--prompt", "a", "--stream", "-o", "x.csv", "--ood"), "leave -o, --ood out"),
    ],
)
def test_words_that_contradict_each_other(speaker: Bundle, words: tuple[str, ...], problem: str) -> None:
    done = told(str(speaker.path), *words)
    assert done.exit_code == 2
    assert problem in done.output


def test_a_model_that_writes_nothing_refuses_options_of_writing(tmp_path: Path) -> None:
    data = {"x": list(range(60)), "y": [float(3 * i) for i in range(60)]}
    numbers = api.train(data, target="y", out=tmp_path / "run", settings=["train.budget.steps=5", "evaluate.checks=[]"])
    with pytest.raises(SpecError, match="writes no text: 'y' is a number"):
        numbers.predict({"x": [1]}, how=decoding(beams=3))
    with pytest.raises(SpecError, match="writes no text"):
        list(numbers.stream("1"))
