"""Boosted trees as a baseline: what scikit-learn gives by itself, on the same rows, and nothing of it is kept."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from trueweight import api
from trueweight.data.frames import from_frame
from trueweight.errors import SpecError, TrueweightError
from trueweight.evaluate.baselines import fit_baselines
from trueweight.evaluate.gbdt import fit_trees
from trueweight.seeds import stream_seed
from trueweight.spec.load import parse_spec
from trueweight.train.prepare import Prepared, prepare

QUIET = {"interval": {"n_resamples": 100}, "checks": ["calibration"]}


def rows(count: int = 400, seed: int = 0) -> dict[str, Any]:
    """What no line can tell: the product of two numbers decides."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, count))
    value = 3 * x * z + rng.normal(size=count) * 0.3
    gaps = [None if hidden else v for hidden, v in zip(rng.random(count) < 0.1, x.tolist(), strict=True)]
    kind = rng.choice(["a", "b", "c"], count)
    return {"x": gaps, "z": z, "kind": kind, "cost": value, "won": np.where(value > 0, "yes", "no")}


def ready_of(columns: dict[str, Any], targets: Any, **more: Any) -> Prepared:
    return prepare(from_frame(columns), parse_spec({"targets": targets, "evaluate": {"baselines": ["gbdt"]}} | more))


def test_numbers_and_levels_are_those_of_scikit_learn_by_hand() -> None:
    data = rows()
    ready = ready_of(data, {"cost": "number", "won": "binary"}, features={"x": "number", "z": "number"})
    x_NP = np.array([data["x"], data["z"], np.zeros(400)], dtype=np.float64).T
    place = {level: number for number, level in enumerate(ready.signature.columns["kind"].learnt["levels"])}
    x_NP[:, 2] = [place[kind] for kind in data["kind"]]
    train, test = ready.split.train, ready.split.test
    found = fit_trees(ready).predict(ready.table.take(test))
    options = {"categorical_features": [False, False, True], "random_state": stream_seed(0, "gbdt") % 2**32}
    numbers = HistGradientBoostingRegressor(**options).fit(x_NP[train], data["cost"][train])
    np.testing.assert_allclose(found["cost"].scores()[:, 0], numbers.predict(x_NP[test]))
    classes = HistGradientBoostingClassifier(**options).fit(x_NP[train], data["won"][train] == "yes")
    np.testing.assert_allclose(found["won"].scores(), classes.predict_proba(x_NP[test]))


def test_every_type_of_column_and_target() -> None:
    rng, data = np.random.default_rng(1), rows(240)
    size = np.array([0.0 if v is None else v for v in data["x"]])
    data |= {
        "day": [f"2024-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(240)],
        "place": np.stack([size, rng.normal(size=240)], axis=1).tolist(),
        "tags": ["|".join("pqr"[j] for j in range(3) if (i + j) % (j + 2) == 0) for i in range(240)],
        "note": ["up and away" if v > 0 else "down it goes" for v in size],
        "wave": [(v + np.sin(np.arange(12 + i % 3))).tolist() for i, v in enumerate(size)],
        "topics": ["|".join("xy"[j] for j in range(2) if v > j / 2) or "x" for v in size],
        "where": np.stack([size, size**2], axis=1).tolist(),
        "class": np.array(["low", "mid", "high"])[(size > -0.5).astype(int) + (size > 0.5)],
    }
    columns = {"day": "date", "place": "vector", "tags": {"type": "set", "separator": "|"}, "note": "text",
               "wave": "timeseries", "kind": "category", "x": "number"}  # fmt: skip
    targets = {"cost": {"type": "number", "transform": "none"}, "won": "binary", "class": "category",
               "topics": {"type": "set", "separator": "|"}, "where": "vector"}  # fmt: skip
    ready = ready_of(data, targets, features=columns, other_features="ignore")
    found = fit_baselines(ready)["gbdt"].predict(ready.table.take(ready.split.test))
    for name, answer in found.items():
        assert len(answer) == len(ready.split.test) and np.isfinite(answer.scores()).all(), name
    truth = np.array(data["class"])[ready.split.test]
    assert np.mean(found["class"].columns("class")["class"] == truth) > 0.9
    empty = found["cost"], fit_baselines(ready)["gbdt"].predict(from_frame({"x": [None, 1e300], "kind": ["new", None]}))
    assert all(np.isfinite(one.scores()).all() for one in empty[1].values())


def test_texts_alone_can_be_learnt_from() -> None:
    yes = np.random.default_rng(2).random(300) < 0.5
    data = {"note": np.where(yes, "the roof leaks badly", "the door is stuck"), "won": np.where(yes, "yes", "no")}
    data["note"] = np.array([f"{text} {i % 7}" for i, text in enumerate(data["note"])])
    ready = ready_of(data, {"won": "binary"}, features={"note": "text"})
    answer = fit_baselines(ready)["gbdt"].predict(ready.table.take(ready.split.test))["won"]
    assert np.mean(answer.columns("won")["won"] == data["won"][ready.split.test]) > 0.95


def test_weights_and_missing_labels_count() -> None:
    data = rows()
    twice = np.random.default_rng(3).choice([1.0, 2.0], 400)
    labels = [None if i % 9 == 0 else v for i, v in enumerate(data["cost"].tolist())]
    weighted = ready_of(data | {"w": twice, "cost": labels}, {"cost": "number", "won": "binary"},
                        data={"sample_weight": "w"}, features={"kind": "ignore"})  # fmt: skip
    train = np.array([row for row in weighted.split.train if labels[row] is not None])
    x_NP = np.array([data["x"], data["z"]], dtype=np.float64).T
    options = {"categorical_features": [False, False], "random_state": stream_seed(0, "gbdt") % 2**32}
    alone = HistGradientBoostingRegressor(**options).fit(x_NP[train], data["cost"][train], sample_weight=twice[train])
    found = fit_trees(weighted).predict(weighted.table.take(weighted.split.test))["cost"]
    np.testing.assert_allclose(found.scores()[:, 0], alone.predict(x_NP[weighted.split.test]))


def test_a_run_tells_scores_and_a_verdict_and_keeps_no_trees(tmp_path: Path) -> None:
    import pandas as pd

    data = tmp_path / "rows.csv"
    pd.DataFrame(rows(500)).to_csv(data, index=False)
    raw = {"name": "r", "targets": {"cost": "number"}, "features": {"won": "ignore"}, "model": {"preset": "fast"},
           "evaluate": QUIET | {"baselines": ["constant", "gbdt"]}}  # fmt: skip
    bundle = api.train(str(data), spec=raw, out=tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").glob("*.bundle")} == {"r.bundle", "constant.bundle"}
    written = b"".join(path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file())
    assert b"sklearn.ensemble" not in written and b"HistGradientBoosting" not in written
    ours, theirs = (bundle.evidence.find(f"{by}/cost/rmse/test") for by in ("quality", "baseline/gbdt"))
    assert theirs.value < 0.6 * ours.value and theirs.interval is not None and theirs.n == ours.n
    assert str(bundle.evidence.find("verdict/cost/gbdt").value).startswith("Better than gbdt?  No, worse: rmse +")
    assert bundle.evidence.find("baseline/gbdt/cost/coverage/test").value == pytest.approx(0.9, abs=0.1)
    found = api.verify(bundle.path, recompute=True, data=str(data))
    assert found.reproduced, found.lines
    assert "boosted trees" in api.report(bundle).read_text()


def test_they_cannot_be_stored() -> None:
    trees = fit_trees(ready_of(rows(120), {"cost": "number"}, features={"won": "ignore"}))
    with pytest.raises(TrueweightError, match="its models are code, and bundles hold none"):
        trees.state()


def test_without_scikit_learn_one_message_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    raw = {"targets": {"cost": "number"}, "evaluate": {"baselines": ["gbdt"]}}
    with pytest.raises(SpecError) as caught:
        api.train(rows(100), spec=raw, out=tmp_path / "run")
    told = str(caught.value)
    assert "evaluate.baselines: the baseline gbdt is scikit-learn's, which is not installed" in told
    assert "pip install 'trueweight[sklearn]'" in told
    assert not list((tmp_path / "run").glob("*.bundle"))


def test_targets_that_would_take_too_many_models_are_refused() -> None:
    data = {"x": np.arange(90.0), "where": np.random.default_rng(0).normal(size=(90, 33)).tolist()}
    with pytest.raises(SpecError, match="gbdt would take 33 models for target 'where', 32 are the most"):
        fit_trees(ready_of(data, {"where": "vector"}))
