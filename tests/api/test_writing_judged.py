"""Models that write, judged and kept: from the table to the bundle and back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import trueweight
from trueweight import api
from trueweight.bundle.bundle import Bundle
from trueweight.errors import TrueweightError
from trueweight.evidence.ledger import LEDGER
from trueweight.files import read_json

WORDS = ("nix", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun")
DECODER = {"type": "transformer", "width": 16, "layers": 1, "heads": 2, "dropout": 0.0}
MODEL = {
    "members": [
        {"name": "net", "encoder": {"type": "mlp", "hidden_sizes": [8]}, "fusion": "concat", "fitter": "gradient"}
    ]
}
DIGITS = {"type": "text", "encoder": {"type": "gru", "hidden_size": 16}}


def rows(count: int = 160) -> dict[str, list[Any]]:
    rng = np.random.default_rng(0)
    digits = [" ".join(map(str, rng.integers(0, 10, 1 + i % 3))) for i in range(count)]
    words = [" ".join(WORDS[int(digit)] for digit in text.split()) for text in digits]
    return {"digits": digits, "side": ["left", "right"] * (count // 2), "words": words}


def spec(*, reads: bool, most: int = 16, **more: Any) -> dict[str, Any]:
    features = {"digits": DIGITS, "side": "category"} if reads else {"digits": "ignore", "side": "ignore"}
    target = {"words": {"type": "text", "decoder": DECODER, "max_tokens": most}}
    steps = {"budget": {"steps": 20}, "batch_size": 16}
    return {"features": features, "targets": target, "model": MODEL, "train": steps} | more


def written(folder: Path, table: dict[str, list[Any]]) -> Path:
    file = folder / "rows.csv"
    lines = [",".join(table), *(",".join(map(str, row)) for row in zip(*table.values(), strict=True))]
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("source"), rows())


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Bundle:
    """With every check there is."""
    checked = {"slices": ["side"], "sensitive": {"columns": ["side"], "min_group": 10}}
    asked = spec(reads=True, evaluate=checked)
    return api.train(source, spec=asked, out=tmp_path_factory.mktemp("translator") / "run")


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Bundle:
    return api.train(source, spec=spec(reads=False), out=tmp_path_factory.mktemp("speaker") / "run")


@pytest.fixture(params=["translator", "speaker"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    found: Bundle = request.getfixturevalue(request.param)
    return found


def test_metrics_and_baselines_follow_from_what_is_read(translator: Bundle, speaker: Bundle) -> None:
    asked = translator.resolved.evaluate
    assert asked.metrics == {"words": ["chrf", "bleu", "exact_match"]}
    assert asked.baselines == ["nearest_neighbour", "copy", "constant"]
    asked = speaker.resolved.evaluate
    assert asked.metrics == {"words": ["bits_per_byte", "perplexity"]}
    assert asked.baselines == ["n_gram"]


def test_every_score_has_an_interval_and_every_baseline_a_verdict(bundle: Bundle) -> None:
    found = bundle.evidence
    baselines = bundle.resolved.evaluate.baselines or []
    for name in (bundle.resolved.evaluate.metrics or {})["words"]:
        score = found.find(f"quality/words/{name}/test")
        assert score.status == "measured"
        assert score.interval is not None or "same value" in str(score.reason)
        for rival in baselines:
            assert found.find(f"baseline/{rival}/words/{name}/test").status == "measured"
            gap = found.find(f"comparison/words/{name}/{rival}").value
            theirs = found.find(f"baseline/{rival}/words/{name}/test").value
            assert gap == pytest.approx(score.value - theirs)
    for rival in baselines:
        assert f"Better than {rival}?" in found.find(f"verdict/words/{rival}").value


def test_no_check_fails_or_keeps_silent(bundle: Bundle) -> None:
    assert [entry for entry in bundle.evidence if entry.status == "failed"] == []
    assert all(entry.reason for entry in bundle.evidence if entry.status == "not_applicable")
    axes = {entry.axis for entry in bundle.evidence}
    assert {"calibration", "slices", "fairness", "drift", "robustness", "honesty", "explanation"} <= axes


def test_typos_in_what_is_read_are_told_by_chrf(translator: Bundle) -> None:
    found = translator.evidence.find("robustness/words/chrf_change/test/texts-typos-3")
    assert found.status == "measured"
    assert -1 <= found.value <= 1


def test_a_text_that_was_read_is_copied_and_kept(translator: Bundle) -> None:
    copy = api.load(translator.path.parent / "copy.bundle")
    asked = ["7 Ab", "", "9"]
    assert list(copy.predict({"digits": asked})["words"]) == asked
    assert api.verify(copy.path).ok
    mine = translator.evidence.find("baseline/copy/words/chrf/test").value
    assert copy.evidence.find("quality/words/chrf/test").value == mine


@pytest.mark.parametrize("name", ["nearest_neighbour", "n_gram"])
def test_baselines_that_hold_training_texts_are_kept_only_beside_real_rows(
    name: str, translator: Bundle, speaker: Bundle, source: Path, tmp_path: Path
) -> None:
    reads = name == "nearest_neighbour"
    assert not ((translator if reads else speaker).path.parent / f"{name}.bundle").exists()
    asked = spec(reads=reads, bundle={"golden_rows": "real"}, evaluate={"checks": []})
    trained = api.train(source, spec=asked, out=tmp_path / "run")
    kept = api.load(trained.path.parent / f"{name}.bundle")
    assert api.verify(kept.path, recompute=True, data=source).ok
    metric = "chrf" if reads else "bits_per_byte"
    theirs = trained.evidence.find(f"baseline/{name}/words/{metric}/test").value
    assert api.evaluate(kept, source).find(f"quality/words/{metric}/other").status == "measured"
    assert kept.evidence.find(f"quality/words/{metric}/test").value == theirs
    if reads:
        table = rows()
        answers = kept.predict({"digits": table["digits"][:20]})["words"]
        assert set(answers) <= set(table["words"])


def test_it_is_verified_and_measured_again(bundle: Bundle, source: Path) -> None:
    found = api.verify(bundle.path, recompute=True, data=source)
    assert found.ok, found.lines
    assert found.answers
    assert found.reproduced


def test_golden_rows_hold_likelihoods_and_no_text_that_was_written(bundle: Bundle) -> None:
    stored = read_json(bundle.path / "golden" / "answers.json")["targets"]["words"]
    assert stored["columns"] == {}
    lines = [json.loads(line) for line in (bundle.path / "golden" / "rows.jsonl").read_text().splitlines()]
    texts = [line["words"] for line in lines]
    assert texts[-1] is None
    assert not set(texts) & set(rows()["words"])
    assert len({tuple(score) for score in stored["scores"]}) > len(texts) // 2


def test_golden_rows_notice_other_weights(bundle: Bundle) -> None:
    import torch

    from trueweight.bundle.golden import check_golden, make_golden
    from trueweight.model.predictors.tree import predictor_from_state

    golden = make_golden(bundle.predictor)
    assert check_golden(bundle.predictor, golden).ok
    changed = predictor_from_state(bundle.predictor.state(), bundle.signature)
    leaf: Any = changed
    while leaf.members():
        leaf = leaf.members()[0]
    with torch.no_grad():
        for weight in leaf.network.parameters():
            weight.mul_(1.01)
    assert not check_golden(changed, golden).ok


@pytest.mark.parametrize("language", ["en", "zh"])
def test_it_is_reported(bundle: Bundle, language: str, tmp_path: Path) -> None:
    page = api.report(bundle, tmp_path / "page.html", language=language).read_text()
    expected = {"en": ("nearest neighbour", "n-gram model"), "zh": ("最近邻", "n 元模型")}[language]
    assert expected[0 if bundle.signature.features() else 1] in page


@pytest.mark.parametrize("language", ["en", "zh"])
def test_examples_of_given_rows_are_told(bundle: Bundle, language: str, tmp_path: Path) -> None:
    given = {"digits": ["7 9 1"], "side": ["left"], "words": ["Q<uite> another truth"]}
    page = api.report(bundle, tmp_path / "page.html", language=language, examples=given).read_text()
    if bundle.signature.features():
        assert "<p>digits" in page
        assert "7 9 1" in page
        assert "<td>Q&lt;uite&gt; another truth</td>" in page
        assert f"<td>{bundle.predict({'digits': ['7 9 1'], 'side': ['left']})['words'][0]}</td>" in page
    else:  # the first third is what it goes on from
        assert "<p>Q&lt;uite&gt;</p>" in page
        assert "<td>another truth</td>" in page


def test_the_page_shows_no_row_unless_it_may(translator: Bundle, source: Path, tmp_path: Path) -> None:
    private = api.report(translator, tmp_path / "private.html").read_text()
    asked = spec(reads=True, bundle={"golden_rows": "real"}, evaluate={"checks": []})
    open_one = api.train(source, spec=asked, out=tmp_path / "run")
    public = api.report(open_one, tmp_path / "public.html").read_text()
    title = "what it wrote</th>"
    assert title not in private
    assert title in public
    assert any(f"<td>{text}</td>" in public for text in set(rows()["words"]))


def test_texts_are_written_and_scored_through_scikit_learn() -> None:
    import pandas as pd
    from sklearn.base import clone

    frame = pd.DataFrame(rows())
    asked = spec(reads=True)
    asked = {name: asked[name] for name in ("features", "model", "train")}
    model = clone(trueweight.Writer("words", spec=asked, head={"decoder": DECODER, "max_tokens": 16})).fit(frame)
    found = model.predict(frame.drop(columns="words"))
    assert found.shape == (160,)
    assert all(isinstance(text, str) for text in found)
    assert 0 <= model.score(frame) <= 1
    apart = model.score(frame.drop(columns="words"), frame["words"])
    assert apart == model.score(frame)
    with pytest.raises(ValueError, match="1 of 160 values of y are no texts"):
        model.fit(frame.drop(columns="words"), [None, *frame["words"][1:]])


def test_a_text_has_nothing_to_take_apart(translator: Bundle) -> None:
    found = [one for one in api.explain(translator, rows(), rows=2) if one.method == "shapley"]
    assert found[0].status == "not_applicable"
    assert "a text has no one number" in found[0].reason


def test_unseen_scripts_are_gone_on_from(speaker: Bundle) -> None:
    found = speaker.predict({"words": ["日本語", "ж", "\U0001f600", "\x00"]})["words"]
    assert all(isinstance(text, str) for text in found)


def test_later_rows_are_judged(bundle: Bundle, tmp_path: Path) -> None:
    later = written(tmp_path, rows(40))
    found = api.evaluate(bundle, later)
    name = (bundle.resolved.evaluate.metrics or {})["words"][0]
    assert found.find(f"quality/words/{name}/other").status == "measured"
    assert [entry for entry in found if entry.status == "failed"] == []


def test_answers_are_the_same_from_every_kind_of_file(translator: Bundle, tmp_path: Path) -> None:
    asked = {"digits": ["1 2", "", "日本 9"], "side": ["left", "right", None]}
    expected = list(translator.predict(asked)["words"])
    pq.write_table(pa.table(asked), tmp_path / "new.parquet")
    (tmp_path / "new.csv").write_text("digits,side\n1 2,left\n,right\n日本 9,\n")
    lines = [json.dumps(dict(zip(asked, row, strict=True))) for row in zip(*asked.values(), strict=True)]
    (tmp_path / "new.jsonl").write_text("\n".join(lines) + "\n")
    for name in ("new.parquet", "new.csv", "new.jsonl"):
        assert list(api.predict(translator, tmp_path / name)["words"]) == expected


def test_two_models_of_texts_are_compared(bundle: Bundle, source: Path) -> None:
    found = api.diff(bundle, bundle, data=source)
    paired = [line for line in found.lines if line.target == "words"]
    assert paired
    assert all(line.difference == 0 for line in paired if line.difference is not None)


def test_gates_judge_texts(bundle: Bundle, source: Path, tmp_path: Path) -> None:
    rival = (bundle.resolved.evaluate.baselines or [])[0]
    metric = (bundle.resolved.evaluate.metrics or {})["words"][0]
    wish = {"target": "words", "metric": metric, "better_than": rival}
    (tmp_path / "policy.yaml").write_text(json.dumps({"gates": [wish]}))
    outcome = bundle.evidence.find(f"verdict/words/{rival}").value
    assert api.gate(bundle, tmp_path / "policy.yaml").passed == ("Yes" in outcome)


def test_of_many_rows_a_sample_is_written_and_the_bundle_says_so(tmp_path: Path) -> None:
    written(tmp_path, rows(40)).rename(tmp_path / "test.csv")
    source = written(tmp_path, rows(120))
    split = {"method": "files", "test_source": "test.csv"}
    asked = spec(reads=True, evaluate={"checks": [], "written_rows": 10}, split=split, data={"source": "rows.csv"})
    bundle = api.train(spec=asked, base=tmp_path, out=tmp_path / "run")
    assert bundle.evidence.find("quality/words/chrf/test").n == 10
    assert str(bundle.evidence.find("data/note/judged").value).startswith("10 of 40 test rows are judged")
    assert api.verify(bundle.path, data=source, recompute=True).reproduced
    api.evaluate(bundle, tmp_path / "test.csv")
    looks = [json.loads(line)["digest"] for line in (tmp_path / LEDGER).read_text().splitlines()]
    assert len(looks) == 3  # training, verifying, and all rows of the file: one set of test rows
    assert len(set(looks)) == 1


# --- Bad input -------------------------------------------------------------------------------------------------------


def test_texts_longer_than_the_context_are_cut_counted_and_scored_as_far_as_they_go(tmp_path: Path) -> None:
    table = rows(120)
    table["words"] = [f"{text} " * 6 for text in table["words"]]
    bundle = api.train(table, spec=spec(reads=False, most=4, evaluate={"checks": []}), out=tmp_path / "run")
    cut = bundle.evidence.find("data/cut/words/test")
    assert cut.value == cut.n > 0
    assert "only their first 4 tokens" in str(cut.reason)
    assert any(e.metric.startswith("longer than what is kept and cut in words") for e in bundle.evidence)
    answer: Any = bundle.predictor.predict(_table(table), how=_forced())["words"]
    whole = np.array([len(text.encode()) for text in table["words"]])
    assert (answer.truth_bytes_N < whole).all()
    assert (answer.truth_bytes_N > 0).all()


def _table(columns: dict[str, list[Any]]) -> Any:
    from trueweight.data.table import Table

    return Table.of(columns)


def _forced() -> Any:
    from trueweight.model.protocols import FORCED

    return FORCED


def test_a_text_that_is_read_is_cut_and_counted_too(translator: Bundle, tmp_path: Path) -> None:
    """What features keep is told by the same entry, of the rows that are judged."""
    found = translator.evidence.find("data/cut/digits/test")
    assert found.value == 0
    long = rows(40) | {"digits": ["1 2 3 " * 50] * 40}
    entry = api.evaluate(translator, written(tmp_path, long)).find("data/cut/digits/other")
    assert entry.value == entry.n == 40
    assert "tokens are read" in str(entry.reason)


def test_empty_texts_among_others_are_left_out(tmp_path: Path) -> None:
    table = rows(120)
    table["words"] = ["" if i % 4 == 0 else text for i, text in enumerate(table["words"])]
    table["digits"] = ["" if i % 5 == 0 else text for i, text in enumerate(table["digits"])]
    bundle = api.train(table, spec=spec(reads=True, evaluate={"checks": []}), out=tmp_path / "run")
    used = sum(e.value for e in bundle.evidence.select(axis="data") if e.id.startswith("data/rows/"))
    assert used == 90
    assert any("30 rows" in str(e.value) for e in bundle.evidence.select(axis="data"))
    assert len(bundle.predict({"digits": ["", "1"], "side": ["left", None]})["words"]) == 2


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize(("count", "blank"), [(40, True), (1, False)], ids=["all empty", "one row"])
def test_nothing_to_learn_is_said(reads: bool, count: int, blank: bool, tmp_path: Path) -> None:
    table = {name: cells[:count] for name, cells in rows(40).items()}
    table["words"] = [""] * count if blank else table["words"]
    with pytest.raises(TrueweightError) as error:
        api.train(table, spec=spec(reads=reads), out=tmp_path / "run")
    assert error.value.exit_code in (2, 3)
    assert not list(tmp_path.glob("run/*.bundle"))


@pytest.mark.parametrize(
    ("reads", "name", "words"),
    [(False, "copy", "needs one text"), (False, "nearest_neighbour", "no feature is one"), (True, "gbdt", "cannot")],
)
def test_baselines_that_cannot_be_are_refused_first(reads: bool, name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(TrueweightError, match=words):
        api.train(rows(40), spec=spec(reads=reads, evaluate={"baselines": [name]}), out=tmp_path / "run")


def test_a_language_model_is_not_scored_on_what_it_did_not_write(source: Path, tmp_path: Path) -> None:
    asked = {"metrics": {"words": ["chrf", "bits_per_byte"]}, "checks": []}
    bundle = api.train(source, spec=spec(reads=False, evaluate=asked), out=tmp_path / "run")
    found = bundle.evidence.find("quality/words/chrf/test")
    assert found.status == "not_applicable"
    assert "not asked to write" in str(found.reason)


# --- Kept apart, and together with other targets ----------------------------------------------------------------------


@pytest.mark.parametrize("reads", [True, False])
def test_no_text_of_a_row_is_in_any_bundle(reads: bool, tmp_path: Path) -> None:
    table = rows(120)
    planted = {"digits": "zqxv4711 wkpt", "words": "jbmd0815 hnfr"}
    for name, text in planted.items():
        table[name][7] = text
    trained = api.train(table, spec=spec(reads=reads), out=tmp_path / "run")
    files = [file for bundle in trained.path.parent.glob("*.bundle") for file in bundle.rglob("*") if file.is_file()]
    assert files
    for file in files:
        content = file.read_bytes()
        assert not [text for texts in planted.values() for text in texts.split() if text.encode() in content], file


def test_a_text_beside_a_number(tmp_path: Path) -> None:
    table = rows(120) | {"count": [float(len(text)) for text in rows(120)["digits"]]}
    asked = spec(reads=True, evaluate={"checks": []})
    asked["targets"] = asked["targets"] | {"count": {"type": "number"}}
    source = written(tmp_path, table)
    bundle = api.train(source, spec=asked, out=tmp_path / "run")
    found = bundle.evidence
    assert found.find("quality/count/rmse/test").status == "measured"
    assert found.find("baseline/constant/count/rmse/test").status == "measured"
    assert found.find("verdict/words/nearest_neighbour").value
    assert not [entry for entry in found if entry.id.startswith(("baseline/copy/count", "verdict/count/copy"))]
    assert api.verify(bundle.path, recompute=True, data=source).ok
    copy = api.load(bundle.path.parent / "copy.bundle")
    assert set(copy.predict({"digits": ["1 2"]})) >= {"words", "count"}
