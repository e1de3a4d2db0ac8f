"""Texts as targets where the spec says nothing but columns and types, as a user meets them on the command line."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from trueweight import api
from trueweight.bundle.bundle import Bundle
from trueweight.cli.main import cli
from trueweight.evidence.record import Entry

WORDS = ("none", "eins", "zwei", "drei", "vier", "fünf")


def rows(count: int = 100) -> list[tuple[str, str]]:
    rng = np.random.default_rng(0)
    digits = [" ".join(map(str, rng.integers(0, 6, 1 + n % 3))) for n in range(count)]
    return [(text, " ".join(WORDS[int(digit)] for digit in text.split()) + ".") for text in digits]


def told(*words: Any) -> Any:
    return CliRunner().invoke(cli, [str(word) for word in words])


def trained(folder: Path, features: dict[str, str]) -> tuple[Bundle, str]:
    lines = ["digits,words", *(",".join(row) for row in rows())]
    (folder / "rows.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    spec = {
        "name": "texts", "data": {"source": "rows.csv"}, "features": features, "other_features": "ignore",
        "targets": {"words": "text"}, "train": {"budget": {"steps": 12}},
    }  # fmt: skip
    (folder / "texts.yaml").write_text(json.dumps(spec))
    assert told("check", folder / "texts.yaml").exit_code == 0
    done = told("train", folder / "texts.yaml", "--out", folder / "run")
    assert done.exit_code == 0, done.output
    return api.load(folder / "run" / "texts.bundle"), done.stderr


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, str]:
    return trained(tmp_path_factory.mktemp("pairs"), {"digits": "text"})


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, str]:
    return trained(tmp_path_factory.mktemp("alone"), {})


def test_the_table_ends_with_a_verdict_for_each_baseline(pairs: tuple[Bundle, str], alone: tuple[Bundle, str]) -> None:
    expected = {
        pairs: (["chrf", "bleu", "exact_match"], ["nearest_neighbour", "copy", "constant"]),
        alone: (["bits_per_byte", "perplexity"], ["n_gram"]),
    }
    for (_, terminal), (metrics, baselines) in expected.items():
        head = next(line for line in terminal.splitlines() if line.startswith("Test: 20 rows"))
        assert head.split()[-len(baselines) :] == baselines
        for name in metrics:
            assert any(line.split()[:1] == [name] for line in terminal.splitlines())
        for name in baselines:
            assert f"  Better than {name}?  " in terminal


def test_nobody_is_warned_of_prompts_that_nobody_gave(alone: tuple[Bundle, str]) -> None:
    assert "prompt" not in alone[1]


@pytest.mark.parametrize("which", ["pairs", "alone"])
def test_every_axis_says_what_it_found_or_why_it_does_not_apply(which: str, request: pytest.FixtureRequest) -> None:
    bundle: Bundle = request.getfixturevalue(which)[0]
    found = {entry.id: entry for entry in bundle.evidence}
    assert [entry.id for entry in found.values() if entry.status == "failed"] == []
    reasons = {
        "honesty/words/leak_flag/test": "target of type text",
        "honesty/words/label_noise_flag/test": "not asked about wrong labels",
        "honesty/learning_curve/test": "no linear model",
        "slices/words/worst_slice_flag/test": "evaluate.slices",
        "fairness/check": "evaluate.sensitive",
        "calibration/words/miscalibrated_flag/test": "no probability that could be off",
        "explanation/words/importance/test": "one column" if which == "pairs" else "no column",
    }
    for name, words in reasons.items():
        entry: Entry = found[name]
        assert entry.status == "not_applicable"
        assert words in str(entry.reason)


@pytest.mark.parametrize("which", ["pairs", "alone"])
def test_answers_are_the_same_in_every_kind_of_file(which: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    bundle: Bundle = request.getfixturevalue(which)[0]
    column = "digits" if which == "pairs" else "words"
    cells = ["1 2", '"a ""b""', "", "日本 ж", "5"]
    asked = tmp_path / "asked.jsonl"
    asked.write_text("".join(json.dumps({column: cell}) + "\n" for cell in cells), encoding="utf-8")
    found = {}
    for suffix in ("csv", "jsonl", "parquet"):
        done = told("predict", bundle.path, asked, "-o", tmp_path / f"answers.{suffix}")
        assert done.exit_code == 0, done.output
    found["parquet"] = pq.read_table(tmp_path / "answers.parquet").column("words").to_pylist()
    found["jsonl"] = [json.loads(line)["words"] for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    expected = list(bundle.predict({column: cells})["words"])
    assert found["parquet"] == found["jsonl"] == expected
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        assert [row["words"] for row in csv.DictReader(file)] == expected


@pytest.mark.parametrize("which", ["pairs", "alone"])
@pytest.mark.parametrize("verb", ["show", "evaluate", "explain", "verify"])
def test_every_verb_takes_it(verb: str, which: str, request: pytest.FixtureRequest) -> None:
    bundle: Bundle = request.getfixturevalue(which)[0]
    source = bundle.path.parent.parent / "rows.csv"
    done = told(verb, bundle.path, *([source] if verb in ("evaluate", "explain") else []))
    assert done.exit_code == 0, done.output
    for simple in bundle.path.parent.glob("*.bundle"):
        assert told("show", simple).exit_code == 0
        assert told("verify", simple).exit_code == 0
