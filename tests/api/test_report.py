"""``report`` on a bundle that was really trained, from Python and the command line."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import trueweight
from trueweight.cli.main import cli
from trueweight.errors import SpecError


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    import numpy as np

    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 300)).round(4)
    data = {"x": x, "z": z, "won": np.where(x > z, "yes", "no"), "cost": (10 + 3 * x).round(3)}
    folder = tmp_path_factory.mktemp("trained")
    lines = [",".join(data), *(",".join(map(str, row)) for row in zip(*data.values(), strict=True))]
    (folder / "shop.csv").write_text("\n".join(lines) + "\n")
    steps = ["model.preset=fast", "train.budget.steps=40", "train.budget.time=null"]
    bundle = trueweight.train(folder / "shop.csv", target=["won", "cost"], out=folder / "run", settings=steps)
    return bundle.path, folder / "shop.csv"


def test_the_page_is_written_beside_the_bundle(trained):
    done = CliRunner().invoke(cli, ["report", str(trained[0])])
    assert done.exit_code == 0, done.output
    page = Path(done.output.strip())
    assert page == trained[0].with_name("shop.html")
    text = page.read_text()
    assert "won" in text
    assert "ROC curve" in text
    assert "how large errors are" in text


@pytest.mark.parametrize(
    ("name", "told"),
    [("a.html", "<!doctype html>"), ("a.md", "library_name: trueweight"), ("a.cdx.json", "CycloneDX"),
     ("a.annex-iv.md", "# EU AI Act, Annex IV"), ("new/folder/A.HTML", "<!doctype html>")],
)  # fmt: skip
def test_the_names_end_decides(trained, tmp_path, name, told):
    path = trueweight.report(trained[0], tmp_path / name)
    assert told in path.read_text()[:400]


def test_other_names_and_languages_are_refused(trained, tmp_path):
    with pytest.raises(SpecError, match=r"cannot be written as 'a\.pdf'"):
        trueweight.report(trained[0], tmp_path / "a.pdf")
    with pytest.raises(SpecError, match="no report in 'de'"):
        trueweight.report(trained[0], tmp_path / "a.html", language="de")


def test_the_card_in_the_bundle_begins_with_front_matter(trained):
    card = (trained[0] / "MODEL_CARD.md").read_text()
    assert card.startswith("---\nlibrary_name: trueweight\n")
    assert "\n# Model card: " in card


def test_later_facts_are_in_it(trained, tmp_path):
    trueweight.evaluate(trained[0], trained[1], by="a <b> colleague")
    text = trueweight.report(trained[0], tmp_path / "a.html").read_text()
    assert "a &lt;b&gt; colleague, 20" in text


def test_a_bundle_of_an_older_version_is_reported(tmp_path):
    fixture = sorted((Path(__file__).parent.parent / "fixtures" / "bundles").rglob("*.bundle"))[0]
    text = trueweight.report(fixture, tmp_path / "a.html").read_text()
    assert "Not looked at" in text
    assert trueweight.report(fixture, tmp_path / "a.md").read_text().startswith("---\nlibrary_name")


def test_a_point_that_was_moved_is_noticed(trained, tmp_path, reseal: Callable[..., Path]):
    def move(entries: list[dict[str, Any]]) -> None:
        (line,) = [e for e in entries if e["id"] == "curve/won/roc/test"]
        line["curve"]["points"][1][1] += 0.02

    found = trueweight.verify(trained[0], recompute=True, data=trained[1])
    assert found.reproduced, found
    forged = reseal(trained[0], tmp_path / "forged.bundle", move)
    again = trueweight.verify(forged, recompute=True, data=trained[1])
    assert again.reproduced is False
    assert "curve/won/roc/test: a point of its curve" in str(again)


def test_scores_over_training_are_kept(trained):
    evidence = json.loads((trained[0] / "evidence.json").read_text())["entries"]
    lines = [e for e in evidence if e["id"].startswith("fit/") and "curve" in e]
    assert lines
    assert all(len(e["curve"]["points"]) == e["value"] > 2 for e in lines)


def test_rows_are_explained_where_some_are_given(trained, tmp_path):
    text = trueweight.report(trained[0], tmp_path / "a.html", examples=trained[1], rows=1).read_text()
    assert "Columns (Shapley values) · won" in text
    assert "Row 0:" in text


def test_a_chinese_page_holds_no_english_sentence(trained, tmp_path):
    """But for code: commands, ids, and parameters of methods that are no text."""
    trueweight.evaluate(trained[0], trained[1])
    page = trueweight.report(trained[0], tmp_path / "zh.html", language="zh", examples=trained[1], rows=2).read_text()
    text = re.sub("<style.*?</style>|<code.*?</code>", "", page, flags=re.DOTALL)
    shown = [*re.findall(r">([^<>]+)<", text), *re.findall(r'aria-label="([^"]+)"', text)]
    plain = [re.sub(r"\{.*", "", one) for one in shown]
    assert {one for one in plain if re.search(r"\b[a-z]{2,}( [a-z]{2,}){2,}\b", one)} == set()
    assert len(shown) > 500
