"""One real model of each library whose models we say we can judge, against scores worked out beside it.

A library that is not installed is skipped: they are in ``requirements/test.txt``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss, mean_absolute_error

from trueweight import api
from trueweight.evidence.record import Evidence

CHECKS = {"slices", "drift", "robustness", "honesty", "explanation"}
COLUMNS = ["income", "age"]


def rows_of(seed: int, rows: int = 300) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"income": rng.normal(size=rows), "age": rng.integers(20, 70, rows) / 50})
    score = frame.income + 1.5 * (frame.age - 0.9) + rng.normal(scale=0.7, size=rows)
    return frame.assign(default=np.where(score > 0, "yes", "no"), amount=100 + 20 * score)


TRAINING, LATER = rows_of(0), rows_of(1)


def judged(model: Any, target: str = "default", **more: Any) -> Evidence:
    """Evidence of a model, complete: each check looked, or says why it did not."""
    found = api.evaluate(
        model, LATER, target=target, features=COLUMNS, settings=["evaluate.interval.n_resamples=100"], **more
    )
    assert {entry.axis for entry in found} >= CHECKS | ({"calibration"} if target == "default" else set())
    assert not [entry.id for entry in found if entry.status == "failed"]
    return found


def log_loss_of(found: Evidence) -> float:
    entry = found.find("quality/default/log_loss/other")
    assert entry.interval is not None
    assert entry.n == len(LATER)
    return float(entry.value)


def test_scikit_learn() -> None:
    model = RandomForestClassifier(30, min_samples_leaf=5, random_state=0).fit(TRAINING[COLUMNS], TRAINING.default)
    expected = log_loss(LATER.default, model.predict_proba(LATER[COLUMNS]))
    assert log_loss_of(judged(model)) == pytest.approx(expected)


def test_lightgbm() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    quiet = {"n_estimators": 20, "num_leaves": 7, "verbose": -1, "n_jobs": 1}
    model = lightgbm.LGBMClassifier(**quiet).fit(TRAINING[COLUMNS], TRAINING.default)
    expected = log_loss(LATER.default, model.predict_proba(LATER[COLUMNS]))
    assert log_loss_of(judged(model)) == pytest.approx(expected)
    number = lightgbm.LGBMRegressor(**quiet).fit(TRAINING[COLUMNS], TRAINING.amount)
    expected = mean_absolute_error(LATER.amount, number.predict(LATER[COLUMNS]))
    found = judged(number, "amount").find("quality/amount/mae/other")
    assert found.value == pytest.approx(expected)
    # A booster as LightGBM's own files hold it: it gives the probability of the class that was coded as 1.
    booster = lightgbm.Booster(model_str=model.booster_.model_to_string())
    assert log_loss_of(judged(booster)) == pytest.approx(log_loss(LATER.default, model.predict_proba(LATER[COLUMNS])))


# Its tensors on torch are turned into arrays in a way that NumPy 2 warns of.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_keras(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([layers.Input((2,)), layers.Dense(4, "tanh"), layers.Dense(2, "softmax")])
    expected = log_loss(LATER.default, model.predict(LATER[COLUMNS].to_numpy(np.float32), verbose=0))
    assert log_loss_of(judged(model)) == pytest.approx(expected, rel=1e-5)
    apart = [layers.Input((1,), name=name) for name in COLUMNS]
    joined = keras.Model(apart, layers.Dense(1, "sigmoid")(layers.Concatenate()(apart)))
    given = {name: LATER[name].to_numpy(np.float32)[:, None] for name in COLUMNS}
    expected = log_loss(LATER.default, joined.predict(given, verbose=0)[:, 0])
    assert log_loss_of(judged(joined)) == pytest.approx(expected, rel=1e-5)


def test_onnx(tmp_path: Path) -> None:
    """As scikit-learn's own exporter writes it: labels, and a list of mappings of classes to probabilities."""
    skl2onnx = pytest.importorskip("skl2onnx")
    pytest.importorskip("onnxruntime")
    model = RandomForestClassifier(10, min_samples_leaf=5, random_state=0).fit(
        TRAINING[COLUMNS].to_numpy(np.float32), TRAINING.default
    )
    exported = skl2onnx.to_onnx(model, TRAINING[COLUMNS].to_numpy(np.float32)[:1])
    path = tmp_path / "forest.onnx"
    path.write_bytes(exported.SerializeToString())
    expected = log_loss(LATER.default, model.predict_proba(LATER[COLUMNS].to_numpy(np.float32)))
    assert log_loss_of(judged(path)) == pytest.approx(expected, rel=1e-4)
    assert list((tmp_path / "forest.evidence").iterdir())
