"""Models that were trained elsewhere get the same evidence: scores as scikit-learn finds them, files, gates."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC

from trueweight import api
from trueweight.bundle.detached import read_folder
from trueweight.cli.main import run
from trueweight.errors import DataError, SpecError, TrueweightError
from trueweight.evidence.record import Evidence
from trueweight.files import digest_file

QUICK = ["evaluate.interval.n_resamples=100"]


def credit(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"customer": np.arange(rows) + 1000, "income": rng.normal(size=rows).round(3)})
    frame["age"] = rng.integers(20, 70, rows)
    frame["town"] = rng.choice(["Ulm", "Jena", "Bonn"], rows)
    score = frame.income + 0.03 * (frame.age - 45) + rng.normal(scale=0.7, size=rows)
    frame["default"] = np.where(score > 0, "yes", "no")
    frame["grade"] = np.select([score < -0.5, score < 0.5], ["low", "mid"], "high")
    frame["amount"] = (100 + 20 * score).round(2)
    return frame


FRAME = credit()
NUMBERS = FRAME[["income", "age"]]


def value(evidence: Evidence, target: str, metric: str) -> Any:
    return evidence.find(f"quality/{target}/{metric}/other").value


def measured(model: Any, source: Any = None, target: str = "default", **more: Any) -> Evidence:
    source = FRAME if source is None else source
    return api.evaluate(model, source, target=target, settings=[*QUICK, *more.pop("settings", [])], **more)


# --- What is asked ---------------------------------------------------------------------------------------------------


def test_an_estimator_gets_scikit_learns_own_scores() -> None:
    model = LogisticRegression().fit(NUMBERS, FRAME.default)
    found, probability = measured(model), model.predict_proba(NUMBERS)
    assert value(found, "default", "roc_auc") == pytest.approx(roc_auc_score(FRAME.default == "yes", probability[:, 1]))
    assert value(found, "default", "accuracy") == pytest.approx(accuracy_score(FRAME.default, model.predict(NUMBERS)))
    assert value(found, "default", "log_loss") == pytest.approx(log_loss(FRAME.default, probability))
    fact = found.find("quality/default/roc_auc/other")
    assert fact.interval is not None
    assert fact.n == len(FRAME)


def test_a_pipeline_over_texts_gets_its_frame_back() -> None:
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(FRAME[["town"]], FRAME.grade)
    found = measured(model, target="grade")
    assert value(found, "grade", "accuracy") == pytest.approx(
        accuracy_score(FRAME.grade, model.predict(FRAME[["town"]]))
    )
    assert value(found, "grade", "log_loss") == pytest.approx(
        log_loss(FRAME.grade, model.predict_proba(FRAME[["town"]]))
    )


def test_a_regressor_answers_numbers_however_few_there_are() -> None:
    few = FRAME.assign(stars=(FRAME.amount // 20).clip(3, 7).astype(int))
    model = Ridge().fit(NUMBERS, few.stars)
    found = measured(model, few, target="stars")
    assert value(found, "stars", "mae") == pytest.approx(mean_absolute_error(few.stars, model.predict(NUMBERS)))


def test_labels_alone_say_nothing_about_probabilities() -> None:
    model = make_pipeline(LinearSVC()).fit(NUMBERS, FRAME.default)
    found = measured(model)
    assert value(found, "default", "accuracy") == pytest.approx(accuracy_score(FRAME.default, model.predict(NUMBERS)))
    missing = found.find("quality/default/roc_auc/other")
    assert (missing.status, missing.reason) == ("not_applicable", "the model gives labels, no probabilities")
    assert not api.gate(found, [{"target": "default", "metric": "log_loss", "at_most": 9}]).passed


def test_rows_are_not_compared_with_themselves() -> None:
    """What is known of the columns comes from the judged rows: no drift between them says nothing."""
    found = measured(positive, settings=["evaluate.checks=[drift, explanation]"])
    (drift,) = found.select(axis="drift")
    assert (drift.id, drift.status) == ("drift/check/other", "not_applicable")
    assert "training rows" in (drift.reason or "")
    assert found.select(axis="explanation")
    assert not api.gate(found, [{"no_flags": "drift"}]).passed


def test_no_check_is_run_where_none_is_asked_for() -> None:
    nothing = measured(lambda frame: np.where(positive(frame) > 0.5, "yes", "no"), settings=["evaluate.checks=[]"])
    assert not nothing.select(axis="drift") + nothing.select(axis="calibration") + nothing.select(axis="slices")


def test_a_model_that_refuses_missing_values_is_measured_by_all_other_damage() -> None:
    rows = FRAME.assign(age=FRAME.age.astype(float))  # whole numbers stay whole only where none is missing
    model = LogisticRegression().fit(rows[["income", "age"]], rows.default)
    found = measured(model, rows)
    suites = {e.id: e for e in found if e.id.startswith("robustness/default/roc_auc/other/")}
    refused = {place.rsplit("/", 1)[-1]: e for place, e in suites.items() if e.status == "failed"}
    assert set(refused) == {f"numbers-missing-{severity}" for severity in (1, 2, 3)}
    words = "the model refuses rows with numbers: 5 % of the cells missing: ValueError in asking.py, line "
    assert str(refused["numbers-missing-1"].reason).startswith(words)
    # A model that never refuses is asked about all damage at once, and gets the same numbers.
    patient = measured(lambda frame: model.predict_proba(frame.fillna(0.0)), rows, features=["income", "age"])
    for place, entry in suites.items():
        twin = patient.find(place)
        assert twin.status == "measured"
        assert entry.status == "failed" or (entry.value, entry.interval) == (twin.value, twin.interval)


def test_what_a_model_says_of_a_cell_stays_out_of_the_evidence() -> None:
    def model(frame: pd.DataFrame) -> np.ndarray:
        if frame.isna().to_numpy().any():
            raise ValueError(f"cannot read {frame.income.tolist()[0]!r} of Zyxwille")
        return np.asarray(1 / (1 + np.exp(-frame.income)))

    found = measured(model, features=["income", "age"])
    assert [e for e in found if e.status == "failed"]
    assert not [e for e in found if "Zyxwille" in str(e)]


def positive(frame: Any) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(frame["income"], dtype=float)))


@pytest.mark.parametrize(
    "answer",
    [
        positive,
        lambda f: positive(f)[:, None],
        lambda f: np.stack([1 - positive(f), positive(f)], 1),
        lambda f: pd.DataFrame({"no": 1 - positive(f), "yes": positive(f)}),
        lambda f: {"default": positive(f)},
        lambda f: np.stack([1 - positive(f), positive(f)], 1).astype(np.float16),
    ],
    ids=["positive", "column", "both", "frame", "mapping", "float16"],
)
def test_a_function_may_answer_in_several_forms(answer: Callable[[Any], Any]) -> None:
    expected = roc_auc_score(FRAME.default == "yes", positive(FRAME))
    assert value(measured(answer), "default", "roc_auc") == pytest.approx(expected, abs=2e-3)


def test_columns_of_probabilities_are_in_the_order_that_was_said() -> None:
    def swapped(frame: pd.DataFrame) -> np.ndarray:
        return np.stack([positive(frame), 1 - positive(frame)], 1)

    said = value(measured(swapped, classes=["yes", "no"]), "default", "roc_auc")
    assert said == pytest.approx(roc_auc_score(FRAME.default == "yes", positive(FRAME)))
    assert value(measured(swapped), "default", "roc_auc") == pytest.approx(1 - said)


def test_a_class_that_the_rows_lack_is_known_and_one_that_the_model_lacks_is_wrong() -> None:
    two = FRAME[FRAME.grade != "high"]
    model = LogisticRegression().fit(NUMBERS, FRAME.grade)
    found = measured(model, two, target="grade")
    assert value(found, "grade", "accuracy") == pytest.approx(
        accuracy_score(two.grade, model.predict(two[NUMBERS.columns]))
    )
    fewer = LogisticRegression().fit(two[NUMBERS.columns], two.grade)
    expected = accuracy_score(FRAME.grade, fewer.predict(NUMBERS))
    assert value(measured(fewer, target="grade"), "grade", "accuracy") == pytest.approx(expected)


def test_several_targets_are_answered_by_name() -> None:
    def both(frame: pd.DataFrame) -> dict[str, Any]:
        return {"default": positive(frame), "amount": 100 + 20 * frame["income"]}

    found = api.evaluate(both, FRAME, target=["default", "amount"], settings=QUICK)
    assert value(found, "amount", "mae") == pytest.approx(mean_absolute_error(FRAME.amount, 100 + 20 * FRAME.income))
    assert value(found, "default", "roc_auc") > 0.7


@pytest.mark.parametrize("form", ["pandas", "polars", "arrays", "csv"])
def test_rows_reach_a_function_as_they_were_given(form: str, tmp_path: Path) -> None:
    source: Any = FRAME.astype({"town": "category"})
    kind: type = pd.DataFrame
    if form == "polars":
        source, kind = pl.from_pandas(FRAME), pl.DataFrame
    if form == "arrays":
        source, kind = {name: FRAME[name].to_numpy() for name in FRAME}, dict
    if form == "csv":
        FRAME.to_csv(tmp_path / "d.csv", index=False)
        source = tmp_path / "d.csv"
    seen: list[Any] = []

    def model(rows: Any) -> np.ndarray:
        seen.append(rows)
        return positive(rows)

    expected = roc_auc_score(FRAME.default == "yes", positive(FRAME))
    settings = ["data.primary_key=customer"]
    assert value(measured(model, source, settings=settings), "default", "roc_auc") == pytest.approx(expected)
    assert all(type(rows) is kind for rows in seen)
    assert list(seen[0].columns if form != "arrays" else seen[0]) == ["income", "age", "town", "grade", "amount"]
    if form == "pandas":
        assert all(rows.town.dtype == source.town.dtype for rows in seen)
        # Damaged rows have gaps, which whole numbers do not allow.
        assert all(rows.age.dtype == source.age.dtype for rows in seen if rows.age.notna().all())
    assert np.asarray(seen[0]["age"]).dtype.kind in "if"


def test_features_are_the_models_own_or_those_that_were_named() -> None:
    seen: list[list[str]] = []

    def model(rows: pd.DataFrame) -> np.ndarray:
        seen.append(list(rows))
        return positive(rows)

    measured(model, features=["age", "income"])
    assert seen[0] == ["age", "income"]
    with pytest.raises(DataError, match="no column 'incme'"):
        measured(model, features=["incme"])


class Dense:
    """A model with the interface of Keras: one matrix in, a column of sigmoids out."""

    __module__ = "keras.src.models"
    inputs = (type("Input", (), {"name": "x"}),)

    def predict(self, matrix: np.ndarray, verbose: int) -> np.ndarray:
        assert (matrix.dtype, matrix.ndim, verbose) == (np.float32, 2, 0)
        return 1 / (1 + np.exp(-matrix[:, :1]))


def test_keras_gets_a_matrix() -> None:
    expected = roc_auc_score(FRAME.default == "yes", FRAME.income)
    assert value(measured(Dense(), features=["income", "age"]), "default", "roc_auc") == pytest.approx(expected)
    with pytest.raises(DataError, match="column 'town' holds texts"):
        measured(Dense(), features=["income", "town"])


# --- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda f: np.zeros(3), "120 rows were asked about, and the output has the shape (3,)"),
        (lambda f: np.full((len(f), 2), 3.0), "row 1 sums to 6"),
        (lambda f: np.full(len(f), 7.5), "7.5 is no probability"),
        (lambda f: np.full((len(f), 3), 1 / 3), "there are 2 classes in the rows: 'no', 'yes'"),
        (lambda f: np.full(len(f), "maybe"), "the model answered 'maybe', and the classes are 'no', 'yes'"),
        (lambda f: f["nope"], "the model failed: KeyError: 'nope'"),
        (lambda f: {"other": f["age"]}, "answers nothing for 'default', only for 'other'"),
    ],
)
def test_what_is_no_answer_is_refused_with_the_value(answer: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(DataError) as raised:
        measured(answer)
    assert words in str(raised.value)


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(DataError, match="a int cannot be asked"):
        measured(7)
    with pytest.raises(SpecError, match="name what it predicts"):
        api.evaluate(positive, FRAME)
    with pytest.raises(DataError, match="no column 'defaults'"):
        measured(positive, target="defaults")
    from trueweight.data.signature import Signature
    from trueweight.model.foreign.predictor import ForeignPredictor

    with pytest.raises(TrueweightError, match="cannot be kept"):
        ForeignPredictor(Signature({}), lambda table: {}).state()


# --- What is kept ----------------------------------------------------------------------------------------------------


def test_evidence_of_a_function_is_kept_where_asked_and_can_be_judged(tmp_path: Path) -> None:
    folder = tmp_path / "credit.evidence"
    measured(positive, out=folder, by="Ann <ann@example.org>")
    (kept,) = read_folder(folder)
    assert (kept.by, kept.bundle, kept.model) == ("Ann <ann@example.org>", "", {"name": "positive", "kind": "function"})
    assert api.gate(folder, [{"target": "default", "metric": "roc_auc", "at_least": 0.5}]).passed
    assert not api.gate(folder, [{"target": "default", "metric": "roc_auc", "better_than": "linear"}]).passed


def test_metrics_and_clusters_may_be_asked_for() -> None:
    settings = ["evaluate.metrics={default: [recall]}", "evaluate.interval.cluster=town"]
    found = measured(positive, settings=settings)
    fact = found.find("quality/default/recall/other")
    assert fact.interval is None
    assert "3 groups are too few" in (fact.reason or "")


# --- ONNX ------------------------------------------------------------------------------------------------------------


def saved(
    path: Path, nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], weights: Sequence[Any]
) -> Path:
    from onnx import helper, numpy_helper

    held = [numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in weights]
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), held)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


def floats(name: str, *shape: Any) -> Any:
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


@pytest.fixture
def onnx_models(tmp_path: Path) -> dict[str, Path]:
    """The same answers (a sigmoid of the income) as Keras, as skl2onnx, and by one input a column would export them."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    weight = [("w", [[1.0], [0.0]])]
    dense = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Sigmoid", ["z"], ["p"])]
    joined = [helper.make_node("Concat", ["income", "age"], ["x"], axis=1), *dense]
    words = helper.make_node(
        "LinearClassifier", ["x"], ["label", "raw"], domain="ai.onnx.ml", coefficients=[-0.5, 0.0, 0.5, 0.0],
        intercepts=[0.0, 0.0], classlabels_strings=["no", "yes"], post_transform="SOFTMAX",
    )  # fmt: skip
    zipped = helper.make_node("ZipMap", ["raw"], ["p"], domain="ai.onnx.ml", classlabels_strings=["no", "yes"])
    label = helper.make_tensor_value_info("label", TensorProto.STRING, [None])
    one = helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    of_maps = helper.make_value_info("p", helper.make_sequence_type_proto(one))
    x, both = floats("x", None, 2), [floats("income", None, 1), floats("age", None, 1)]
    return {
        "keras": saved(tmp_path / "keras.onnx", dense, [x], [floats("p", None, 1)], weight),
        "columns": saved(tmp_path / "columns.onnx", joined, both, [floats("p", None, 1)], weight),
        "zipmap": saved(tmp_path / "zipmap.onnx", [words, zipped], [x], [label, of_maps], []),
        "plain": saved(tmp_path / "plain.onnx", [words], [x], [label, floats("raw", None, 2)], []),
    }


@pytest.mark.parametrize("kind", ["keras", "columns", "zipmap", "plain"])
def test_onnx_models_answer_as_their_exporters_write_them(kind: str, onnx_models: dict[str, Path]) -> None:
    path = onnx_models[kind]
    found = measured(path, features=["income", "age"])
    expected = log_loss(FRAME.default, np.stack([1 - positive(FRAME), positive(FRAME)], 1))
    assert value(found, "default", "log_loss") == pytest.approx(expected, rel=1e-5)
    (kept,) = read_folder(path.with_name(f"{kind}.evidence"))
    assert (kept.bundle, kept.model) == (digest_file(path), {"name": path.name, "kind": "onnx"})


def test_columns_that_do_not_fit_an_onnx_model_are_named(onnx_models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"takes 2 columns, and there are 5: 'customer', 'income'"):
        measured(onnx_models["keras"], FRAME.drop(columns="amount"))
    with pytest.raises(DataError, match="its largest probability is that of 'no'"):
        measured(onnx_models["plain"], features=["income", "age"], classes=["yes", "no"])
    (tmp_path / "broken.onnx").write_bytes(b"nonsense")
    with pytest.raises(SpecError, match="onnxruntime cannot run it"):
        measured(tmp_path / "broken.onnx")
    with pytest.raises(SpecError, match="no such file"):
        measured(tmp_path / "nowhere.onnx")


def test_the_command_measures_keeps_and_judges(
    onnx_models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trueweight.cli.evaluate.prepare_torch", lambda: None)
    FRAME[["customer", "income", "age", "default"]].to_csv(tmp_path / "d.csv", index=False)
    model, rows = str(onnx_models["zipmap"]), str(tmp_path / "d.csv")
    assert run(["evaluate", "--model", model, "--data", rows, "--target", "default", "--id", "customer"]) == 0
    told = capsys.readouterr()
    assert "Data: 120 rows" in told.out
    assert "zipmap.evidence" in told.err
    (tmp_path / "p.yaml").write_text("gates: [{target: default, metric: roc_auc, at_least: 0.99}]\n")
    assert run(["gate", str(tmp_path / "zipmap.evidence"), str(tmp_path / "p.yaml")]) == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["evaluate"], "give BUNDLE and SOURCE, or --model FILE --data FILE --target COLUMN"),
        (["evaluate", "b.bundle", "x.csv", "--id", "k"], "--id is for --model"),
        (["evaluate", "b.bundle", "--model", "m.onnx"], "are two models"),
        (["evaluate", "--model", "m.onnx", "--data", "x.csv"], "needs --data FILE and --target COLUMN"),
    ],
)
def test_a_command_that_mixes_both_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert words in " ".join(capsys.readouterr().err.split())
