"""``report`` on models that were trained elsewhere: an estimator, an ONNX file; and what is not known of them."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.linear_model import LogisticRegression

import trueweight
from trueweight.cli.main import cli
from trueweight.errors import SpecError, VerifyError
from trueweight.files import digest_file

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"income": RNG.normal(size=160).round(3), "age": RNG.integers(18, 80, 160)})
FRAME["default"] = np.where(FRAME.income + RNG.normal(size=160) > 0, "yes", "no")
QUICK = ["evaluate.checks=[calibration]", "evaluate.interval.n_resamples=200"]


def told(page: Path) -> str:
    """Text of the page, without markup."""
    return " ".join(re.sub("<style.*?</style>|<[^>]+>", " ", page.read_text(), flags=re.DOTALL).split())


@pytest.fixture(scope="module")
def estimated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("credit") / "credit.evidence"
    model = LogisticRegression().fit(FRAME[["income", "age"]], FRAME.default)
    settings = [*QUICK, "card.owner=Risk team"]
    trueweight.evaluate(model, FRAME, target="default", out=folder, by="Ann <a@example.org>", settings=settings)
    return folder


@pytest.fixture
def onnx(tmp_path: Path) -> Path:
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from onnx import helper, numpy_helper

    x, p = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, (None, k)) for n, k in (("x", 2), ("p", 1)))
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Sigmoid", ["z"], ["p"])]
    weights = [numpy_helper.from_array(np.array([[1.0], [0.0]], np.float32), "w")]
    graph = helper.make_graph(nodes, "g", [x], [p], weights)
    path = tmp_path / "credit.onnx"
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(made.SerializeToString())
    trueweight.evaluate(path, FRAME, target="default", settings=QUICK)
    return path


def test_an_estimators_page_says_what_cannot_be_known(estimated: Path) -> None:
    page = trueweight.report(estimated)
    assert page == estimated.with_name("credit.html")
    text = told(page)
    for words in (
        "Trained elsewhere; measured from outside on 160 rows by Ann &lt;a@example.org&gt;", "of the given rows",
        "Simple models are fitted on the training rows, which are not known here.", "Cannot be told",
        "Only if you trust its maker", "trueweight.evaluate(MODEL, SOURCE, target='default'",
        "that they took no part in its training is the word of whoever measured", "in these rows",
    ):  # fmt: skip
        assert words in text, words
    for wrong in ("golden rows", "learnt from 160", "trueweight verify", "holds no code", "Files of the model"):
        assert wrong not in text, wrong
    assert "who answers for the model" not in text  # card.owner says it


def test_other_forms_claim_no_more_than_is_known(estimated: Path, tmp_path: Path) -> None:
    bill = json.loads(trueweight.report(estimated, tmp_path / "a.cdx.json").read_text())
    model = bill["metadata"]["component"]
    assert "hashes" not in model
    assert bill["components"] == []
    assert "architectureFamily" not in model["modelCard"]["modelParameters"]
    assert model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    card = trueweight.report(estimated, tmp_path / "MODEL_CARD.md").read_text()
    assert card.startswith("---\ntags:\n- trueweight")
    assert "model-index:" in card
    assert "It was trained elsewhere" in card
    assert "Owner: Risk team." in card
    annex = trueweight.report(estimated, tmp_path / "a.annex-iv.md").read_text()
    assert "nothing: it was trained elsewhere" in annex


def test_an_onnx_file_is_held_against_its_digest(onnx: Path, tmp_path: Path) -> None:
    evidence = onnx.with_suffix(".evidence")
    digest = digest_file(onnx)
    text = told(trueweight.report(evidence, tmp_path / "same.html"))
    assert "credit.onnx beside the evidence has the digest of the file that was measured" in text
    assert "trueweight evaluate --model credit.onnx --data SOURCE --target default" in text
    bill = json.loads(trueweight.report(evidence, tmp_path / "a.cdx.json").read_text())
    assert bill["metadata"]["component"]["hashes"][0]["content"] == digest.removeprefix("sha256:")
    onnx.write_bytes(onnx.read_bytes() + b"\0")
    changed = told(trueweight.report(evidence, tmp_path / "changed.html"))
    assert "No, the file is another one" in changed
    onnx.unlink()
    gone = told(trueweight.report(evidence, tmp_path / "gone.html"))
    assert "Compare its digest" in gone
    assert digest.removeprefix("sha256:") in gone
    assert trueweight.gate(evidence, [{"target": "default", "metric": "roc_auc", "at_least": 0.5}]).passed


def test_the_command_reports_it_and_earlier_facts_are_added(onnx: Path) -> None:
    trueweight.evaluate(onnx, FRAME, target="default", settings=QUICK, by="Ben")
    done = CliRunner().invoke(cli, ["report", str(onnx.with_suffix(".evidence")), "--language", "zh"])
    assert done.exit_code == 0, done.output
    text = told(Path(done.output.strip()))
    assert "由 Ben 在" in text
    assert "同一文件夹中的其他测量" in text


def test_what_no_page_can_be_made_of_is_refused(estimated: Path, tmp_path: Path) -> None:
    evidence = trueweight.evaluate(lambda f: (f["income"] > 0) * 1.0, FRAME, target="default", settings=QUICK)
    with pytest.raises(SpecError, match="facts in memory"):
        trueweight.report(evidence)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="only a bundle can be asked to explain"):
        trueweight.report(estimated, examples=FRAME)
    (tmp_path / "empty.evidence").mkdir()
    with pytest.raises(VerifyError, match="holds no evidence"):
        trueweight.report(tmp_path / "empty.evidence")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raw: raw.pop("model"), "is about a bundle"),
        (lambda raw: raw.pop("about"), "needs to know its columns"),
        (lambda raw: raw["about"].update(command=7), "command"),
        (lambda raw: raw["about"]["signature"].pop("columns"), "does not hold a signature"),
        (lambda raw: raw["about"].update(spec={"name": "x", "targets": {}, "nope": 1}), "nope"),
    ],
)
def test_facts_that_lack_something_are_refused(estimated: Path, tmp_path: Path, change: Any, words: str) -> None:
    (source,) = estimated.glob("*.json")
    raw = json.loads(source.read_text())
    change(raw)
    (tmp_path / "x.evidence").mkdir()
    (tmp_path / "x.evidence" / "1.json").write_text(json.dumps(raw))
    with pytest.raises((SpecError, VerifyError)) as refused:
        trueweight.report(tmp_path / "x.evidence")
    assert words in str(refused.value)
