"""The estimators, as scikit-learn's own checks and its users see them."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import trueweight
from trueweight import Estimator, Regressor
from trueweight.data.frames import from_frame

FAST = {"preset": "fast"}
TINY = {"preset": "standard", "spec": {"train": {"budget": {"steps": 30}}}}

CANNOT_APPLY: dict[str, str] = {}
"""Checks of scikit-learn that cannot apply, with the reason. Empty: all of them pass or skip themselves."""

SKIP_THEMSELVES = {"check_array_api_input": "needs an array API library besides numpy; we take those through numpy"}
"""Checks that scikit-learn itself skips here, and why that is right."""


def expected(_: Any) -> dict[str, str]:
    return CANNOT_APPLY


@parametrize_with_checks([Estimator(**FAST), Regressor(**FAST)], expected_failed_checks=expected)
def test_what_scikit_learn_expects(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks([Estimator(**TINY), Regressor(**TINY)], expected_failed_checks=expected)
def test_what_scikit_learn_expects_of_the_default_blend(estimator: Any, check: Any) -> None:
    check(estimator)


def claims(rows: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    size, kind = rng.normal(size=rows), rng.choice(["fire", "water", "theft"], size=rows)
    risk = size + (kind == "fire") + 0.3 * rng.normal(size=rows)
    frame = pd.DataFrame({"size": size, "kind": kind, "day": pd.Timestamp("2024-01-01"), "risk": risk})
    frame["fraud"] = np.where(risk > 0.3, "yes", "no")
    frame.loc[::9, "size"] = np.nan
    frame.loc[::11, "kind"] = None
    return frame


X = claims().drop(columns=["risk", "fraud"])


@pytest.mark.parametrize("kind", [lambda f: f, pl.from_pandas, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"])
def test_frames_with_texts_and_gaps(kind: Any) -> None:
    y = claims()["fraud"]
    model = Estimator(**FAST).fit(kind(X), y)
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.n_features_in_ == 3
    probability = model.predict_proba(kind(X))
    assert probability.shape == (120, 2)
    np.testing.assert_allclose(probability.sum(1), 1)
    answers = model.predict(kind(X))
    assert answers.tolist() == model.classes_[probability.argmax(1)].tolist()
    assert (answers == y).mean() > 0.8


@pytest.mark.parametrize("kind", [lambda f: f, pl.from_pandas, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"])
def test_the_target_may_be_a_column(kind: Any) -> None:
    frame = claims().drop(columns="risk")
    apart = Estimator(**FAST).fit(kind(X), frame["fraud"])
    within = Estimator("fraud", **FAST).fit(kind(frame))
    assert within.n_features_in_ == 3
    np.testing.assert_array_equal(apart.predict_proba(kind(X)), within.predict_proba(kind(X)))
    # Rows that still have the column may be asked and scored as they are.
    np.testing.assert_array_equal(within.predict(kind(frame)), within.predict(kind(X)))
    assert within.score(kind(frame)) == apart.score(kind(X), frame["fraud"])


def test_a_target_given_twice_is_not_learnt_from() -> None:
    frame = claims().drop(columns="risk")
    model = Estimator("fraud", **FAST).fit(frame, frame["fraud"])
    assert "fraud" not in model.feature_names_in_


def test_a_target_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no column 'fruad', and no y was given"):
        Estimator("fruad", **FAST).fit(claims())


@pytest.mark.parametrize("labels", [[2, 1, 0], [10, 9, 100], ["b", "a", "c"], [True, False, True]])
def test_probabilities_follow_classes(labels: list[Any]) -> None:
    rng = np.random.default_rng(0)
    place = rng.integers(0, 3, 90)
    y = np.array(labels)[place]
    x = np.eye(3)[place] + 0.1 * rng.normal(size=(90, 3))
    model = Estimator(**FAST).fit(x, y)
    assert model.classes_.tolist() == sorted(set(labels))
    assert model.classes_[model.predict_proba(x).argmax(1)].tolist() == y.tolist()
    assert model.predict(x).dtype == y.dtype


def test_regression() -> None:
    frame = claims()
    model = Regressor(**FAST).fit(X, frame["risk"])
    assert model.predict(X).shape == (120,)
    assert model.score(X, frame["risk"]) > 0.5
    assert Regressor("risk", **FAST).fit(frame.drop(columns="fraud")).score(frame.drop(columns="fraud")) > 0.5


def test_as_good_as_a_linear_model_should_be() -> None:
    assert cross_val_score(Estimator(**FAST), *load_breast_cancer(return_X_y=True), cv=3).mean() > 0.95
    assert cross_val_score(Regressor(**FAST), *load_diabetes(return_X_y=True), cv=3).mean() > 0.45


def test_within_pipelines_and_searches() -> None:
    x, y = load_diabetes(return_X_y=True)
    assert make_pipeline(StandardScaler(), Regressor(**FAST)).fit(x, y).score(x, y) > 0.45
    search = GridSearchCV(Regressor(**FAST), {"random_state": [0, 1]}, cv=2).fit(x, y)
    assert search.best_params_["random_state"] in (0, 1)


def test_parameters() -> None:
    model = Estimator("fraud", preset="fast", budget="5s", random_state=3, spec={"split": {"validation": 0.3}})
    assert clone(model).get_params() == model.get_params()
    assert set(model.get_params()) == {"target", "preset", "budget", "random_state", "spec"}
    assert model.set_params(budget=7.0).budget == 7.0
    assert repr(Estimator()) == "Estimator()"


@pytest.mark.parametrize("kind", [Estimator, Regressor])
def test_every_parameter_is_documented(kind: type) -> None:
    words = inspect.getdoc(kind) or ""
    for name in inspect.signature(kind).parameters:
        assert f"    {name}: " in words
    fitted = kind(**FAST).fit(X, np.arange(120) % 2 if kind is Estimator else np.arange(120.0))
    for name in vars(fitted):
        if name.endswith("_") and name != "feature_names_in_":
            assert f"    {name}: " in words


def test_the_spec_is_used_and_left_alone() -> None:
    spec = {"train": {"budget": {"steps": 7}}, "model": {"encoder": {"type": "mlp", "hidden_sizes": [4]}}}
    before = repr(spec)
    model = Regressor(spec=spec, budget="50s").fit(X, claims()["risk"])
    assert model.n_iter_ == 7
    assert repr(spec) == before


def test_a_seed_decides_everything() -> None:
    y = claims()["risk"]
    first, again, other = (
        Regressor(**(TINY | {"random_state": s})).fit(X, y).predict(X) for s in (0, np.random.RandomState(5), 1)
    )
    np.testing.assert_array_equal(first, Regressor(**(TINY | {"random_state": None})).fit(X, y).predict(X))
    assert (first != other).any()
    assert (first != again).any()


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (["yes", None] * 60, "60 of 120 labels are missing"),
        (["yes"] * 120, "only one class"),
        (["yes", "no"] * 59, "inconsistent numbers of samples"),
    ],
)
def test_labels_that_cannot_be_learnt(y: list[Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Estimator(**FAST).fit(X, np.array(y, dtype=object))


def test_a_mistake_in_the_spec_is_a_value_error_in_words() -> None:
    with pytest.raises(ValueError, match="did you mean 'validation'"):
        Estimator(**FAST, spec={"split": {"validatoin": 0.2}}).fit(X, claims()["fraud"])


def test_fitting_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CACHE", "STATE"):
        monkeypatch.setenv(f"TRUEWEIGHT_{name}", str(tmp_path / name))
    Regressor(**TINY).fit(X, claims()["risk"]).predict(X)
    assert list(tmp_path.rglob("*")) == []


def test_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.base", None)
    monkeypatch.delitem(sys.modules, "trueweight.estimator")
    with pytest.raises(ImportError, match=r"pip install 'trueweight\[sklearn\]'"):
        _ = trueweight.Estimator


def test_scikit_learn_is_imported_only_when_asked_for() -> None:
    program = "import sys, trueweight, trueweight.api; assert 'sklearn' not in sys.modules\n"
    program += "trueweight.Estimator; assert 'sklearn' in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_split_of_ones_own_keeps_no_test_rows_either():
    rows = from_frame({"x": np.arange(100.0)})
    raw = Estimator(spec={"split": {"validation": 0.25}})._run_spec(rows, {"type": "binary"}, numeric=True)
    assert (raw.split.test, raw.split.validation) == (0, 0.25)
    asked = Estimator(spec={"split": {"test": 0.1}})._run_spec(rows, {"type": "binary"}, numeric=True)
    assert asked.split.test == 0.1


def test_paths_start_where_the_spec_says(tmp_path: Path) -> None:
    for level in range(40):
        Image.new("L", (4, 4), 5 * level).save(tmp_path / f"{level}.png")
    frame = pd.DataFrame({"photo": [str(tmp_path / f"{level}.png") for level in range(40)]})
    dark = [level < 20 for level in range(40)]
    made = Estimator(preset="fast", spec={"data": {"media_dir": str(tmp_path)}}).fit(frame, dark)
    assert (made.predict(frame) == dark).mean() > 0.9
    with pytest.raises(ValueError, match=r"data\.media_dir"):
        Estimator(preset="fast").fit(frame, dark)
