"""Rows that a language model is asked with: tables beside the plain text it was trained on, columns of other names, and
the line that ``show`` tells to try it."""

import logging
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from trueweight import api
from trueweight.bundle.bundle import Bundle
from trueweight.cli.main import cli
from trueweight.data.read import named_as_tables

PIECES = [f"The {who} {did} the {what}." for who in ("cat", "dog", "man") for did in ("saw", "sold", "hid")
          for what in ("sea", "house", "ball", "tree", "hat")]  # fmt: skip


def bundle_of(folder: Path, target: dict[str, object]) -> Bundle:
    (folder / "tales.txt").write_text("\n\n".join(PIECES))
    spec = {
        "data": {"chunks": {"by": "paragraph"}}, "other_features": "ignore", "targets": {"text": target},
        "train": {"budget": {"steps": 2}, "batch_size": 16}, "evaluate": {"checks": [], "baselines": []},
    }  # fmt: skip
    return api.train(folder / "tales.txt", spec=spec, out=folder / "run")


@pytest.fixture(scope="module")
def teller(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A language model of paragraphs."""
    decoder = {"type": "transformer", "width": 16, "heads": 2, "layers": 1}
    return bundle_of(tmp_path_factory.mktemp("teller"), {"type": "text", "decoder": decoder, "max_tokens": 24})


@pytest.fixture(scope="module")
def filler(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    encoder = {"type": "transformer", "width": 16, "heads": 2, "layers": 1}
    return bundle_of(tmp_path_factory.mktemp("filler"), {"type": "masked", "encoder": encoder, "max_tokens": 24})


def test_a_table_has_a_text_in_each_row(teller: Bundle, tmp_path: Path):
    (tmp_path / "new.csv").write_text('text\nThe cat\n""\n"Two\n\nparagraphs"\n')
    (tmp_path / "new.txt").write_text("The cat\n\nTwo\n\nparagraphs\n")
    there = api.predict(teller, tmp_path / "new.csv")["text"]
    assert list(there) == list(teller.predict({"text": ["The cat", "", "Two\n\nparagraphs"]})["text"])
    assert list(api.predict(teller, tmp_path / "new.txt")["text"]) == list(
        teller.predict({"text": ["The cat", "Two", "paragraphs"]})["text"]
    )
    assert api.evaluate(teller, tmp_path / "new.csv") is not None


def test_what_is_named_as_a_table():
    assert named_as_tables("new.csv") and named_as_tables(["a.parquet", Path("b.CSV.gz"), "c*.jsonl"])
    assert not any(map(named_as_tables, ["-", "novel.txt", ["a.csv", "b.txt"], "novels", [], None, {"text": ["a"]}]))


def test_rows_without_its_column_are_told(teller: Bundle, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert len(teller.predict({"words": ["The cat", "A dog"]})["text"]) == 2
    assert "lacks 'text': every text begins from nothing" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        teller.predict({"text": ["The cat", ""]})
    assert not caplog.text


@pytest.mark.parametrize("name", ["teller", "filler"])
def test_the_line_to_try_it_can_be_typed(name: str, request: pytest.FixtureRequest):
    line = shlex.split(api.show(request.getfixturevalue(name).path)["predict"])
    assert line[:2] == ["trueweight", "predict"] and "--prompt" in line
    done = CliRunner().invoke(cli, line[1:], catch_exceptions=False)
    assert done.exit_code == 0 and len(done.stdout.splitlines()) >= 2
