"""One model, one answer: whatever door the rows come through."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trueweight import api
from trueweight.bundle.bundle import Bundle
from trueweight.cli.main import run
from trueweight.errors import DataError

NET = {"type": "mlp", "hidden_sizes": [16], "members": 2}
SPEC = {
    "name": "rows",
    "targets": {"won": "binary", "cost": "number"},
    "features": {"kind": "category"},
    "model": {
        "members": [
            {"name": "line", "encoder": "linear", "fusion": "concat", "fitter": "solve"},
            {"name": "net", "encoder": NET, "fusion": "concat", "fitter": "gradient"},
        ]
    },
    "train": {"budget": {"steps": 60}},
    "evaluate": {"interval": {"n_resamples": 100}},
}
CLOSE = {"rel": 1e-6, "abs": 1e-6}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("same")


@pytest.fixture
def bundle(trained: Path, make_csv: Any, make_table: Any) -> Bundle:
    path = trained / "run" / "rows.bundle"
    if not path.exists():
        make_csv(trained / "train.csv", make_table(240))
        api.train(trained / "train.csv", spec=SPEC, out=trained / "run")
    return api.load(path)


@pytest.fixture
def new(make_table: Any) -> pd.DataFrame:
    frame = pd.DataFrame(make_table(30, seed=7)).drop(columns=["won", "cost"])
    frame.loc[3, "kind"] = "violet"  # never seen
    frame.loc[4, "kind"] = None
    frame.loc[5, "x"] = np.nan
    return frame


@pytest.fixture
def answers(bundle: Bundle, new: pd.DataFrame) -> dict[str, Any]:
    return {name: column.to_numpy() for name, column in bundle.predict(new).items()}


def assert_same(found: Any, answers: dict[str, Any]) -> None:
    assert list(found) == list(answers)
    for name, column in answers.items():
        values = list(found[name])
        if column.dtype.kind == "f":
            assert np.asarray(values, dtype=float) == pytest.approx(column, **CLOSE), name
        else:
            assert [_cell(value) for value in values] == [_cell(value) for value in column], name


def _cell(value: Any) -> Any:
    """A set of classes as a list: CSV holds it as JSON, Parquet as an array."""
    if isinstance(value, str) and value.startswith("["):
        return json.loads(value)
    return value if isinstance(value, str) else [str(label) for label in value]


def test_frames(bundle: Bundle, new: pd.DataFrame, answers: dict[str, Any]) -> None:
    arrow = pa.Table.from_pandas(new, preserve_index=False)
    assert_same(bundle.predict(arrow).to_pydict(), answers)
    assert_same(bundle.predict(pl.from_arrow(arrow)).to_dict(as_series=False), answers)
    assert_same(bundle.predict({name: new[name].to_numpy() for name in new}), answers)


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_files_in_and_out(
    form: str, bundle: Bundle, new: pd.DataFrame, answers: dict[str, Any], tmp_path: Path
) -> None:
    source, target = tmp_path / f"new.{form}", tmp_path / f"answers.{form}"
    if form == "csv":
        new.to_csv(source, index=False)
    elif form == "parquet":
        pq.write_table(pa.Table.from_pandas(new, preserve_index=False), source)
    else:
        source.write_text(new.to_json(orient="records", lines=True))
    assert run(["predict", str(bundle.path), str(source), "-o", str(target)]) == 0
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet, "jsonl": lambda path: pd.read_json(path, lines=True)}
    found = read[form](target)
    assert_same({name: found[name].to_numpy() for name in found}, answers)


def test_standard_input_of_a_fresh_process(bundle: Bundle, new: pd.DataFrame, answers: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "trueweight", "predict", str(bundle.path), "-"]
    typed = new.to_csv(index=False)
    done = subprocess.run(command, input=typed, capture_output=True, text=True, check=True)
    found = pd.read_csv(io.StringIO(done.stdout))
    assert_same({name: found[name].to_numpy() for name in found}, answers)


def test_one_row_at_a_time(bundle: Bundle, new: pd.DataFrame, answers: dict[str, Any]) -> None:
    rows = [bundle.predict(new.iloc[[i]]) for i in range(len(new))]
    found = pd.concat(rows)
    assert_same({name: found[name].to_numpy() for name in found}, answers)


def test_order_and_extra_columns_do_not_matter(bundle: Bundle, new: pd.DataFrame, answers: dict[str, Any]) -> None:
    other = new[["kind", "z", "x"]].assign(won="yes", nobody="knows")
    found = bundle.predict(other)
    assert_same({name: found[name].to_numpy() for name in found}, answers)


def test_typed_cells_and_texts(bundle: Bundle, new: pd.DataFrame, answers: dict[str, Any]) -> None:
    texts = {name: [None if pd.isna(v) else f" {v} " for v in new[name]] for name in new}
    found = bundle.predict(pa.table(texts))
    assert_same(found.to_pydict(), answers)


def test_a_missing_column_is_missing_values(bundle: Bundle, new: pd.DataFrame) -> None:
    without = bundle.predict(new.drop(columns="z"))
    empty = bundle.predict(new.assign(z=np.nan))
    pd.testing.assert_frame_equal(without, empty)
    with pytest.raises(DataError, match="column"):
        bundle.predict(pd.DataFrame({"unknown": [1.0]}))


def test_the_answer_to_unseen_and_missing_levels_is_finite(answers: dict[str, Any]) -> None:
    assert np.isfinite(answers["won.p[yes]"]).all()
    assert np.isfinite(answers["cost"]).all()


# Evidence


def entries(bundle: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((bundle / "evidence.json").read_text())["entries"]
    return found


def test_every_estimate_has_n_and_an_interval_or_a_reason(bundle: Bundle) -> None:
    for name in ("rows", "linear", "constant"):
        estimates = [
            e for e in entries(bundle.path.with_name(f"{name}.bundle"))
            if e["axis"] in ("quality", "baseline", "comparison")
        ]  # fmt: skip
        assert estimates
        for entry in estimates:
            assert entry["n"], entry["id"]
            assert entry["interval"] or entry["reason"], entry["id"]
            assert entry["data"]["digest"].startswith("sha256:")


def test_ids_are_unique_and_dependencies_are_there(bundle: Bundle) -> None:
    ids = {e.id for e in bundle.evidence}
    for entry in bundle.evidence:
        assert set(entry.depends_on) <= ids, entry.id


@pytest.mark.parametrize("name", ["rows", "linear", "constant"])
def test_every_bundle_comes_out_again(bundle: Bundle, trained: Path, name: str) -> None:
    path = bundle.path.with_name(f"{name}.bundle")
    found = api.verify(path, recompute=True, data=trained / "train.csv")
    assert found.ok, found.lines
    assert found.reproduced


def test_other_data_is_refused(bundle: Bundle, trained: Path, make_csv: Any, make_table: Any) -> None:
    other = make_csv(trained / "other.csv", make_table(240, seed=4))
    with pytest.raises(DataError, match="not the rows that were measured"):
        api.verify(bundle.path, recompute=True, data=other)


PLANTED = {
    "a better score": ("quality/won/accuracy/test", {"value": 0.999}),
    "a slightly better error": ("quality/cost/rmse/test", "smaller"),
    "a narrow interval": ("quality/won/roc_auc/test", "narrow"),
    "more rows": ("quality/won/accuracy/test", {"n": 4800}),
    "a weaker baseline": ("baseline/linear/won/roc_auc/test", {"value": 0.51}),
    "a kinder verdict": ("verdict/won/linear", {"value": "Better than linear? Yes."}),
    "a clean conscience": ("honesty/twins", {"value": 5}),
    "a score of its own": (None, {"id": "quality/won/charm/test", "metric": "charm", "value": 1.0}),
    "hidden behind an axis": ("quality/won/accuracy/test", {"axis": "cost", "value": 0.999}),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_number_never_verifies(kind: str, bundle: Bundle, trained: Path, tmp_path: Path, reseal: Any) -> None:
    entry, change = PLANTED[kind]
    forged = reseal(bundle.path, tmp_path / "forged.bundle", lambda found: _plant(found, entry, change))
    assert api.verify(forged).unchanged  # digests alone cannot tell
    found = api.verify(forged, recompute=True, data=trained / "train.csv")
    assert found.reproduced is False, found.lines


def _plant(found: list[dict[str, Any]], planted: str | None, change: Any) -> None:
    if planted is None:
        found.append({**next(e for e in found if e["id"] == "quality/won/accuracy/test"), **change})
        return
    entry = next(e for e in found if e["id"] == planted)
    if change == "smaller":
        entry["value"] *= 0.99
    elif change == "narrow":
        entry["interval"]["low"] = entry["interval"]["high"] - 0.001
    else:
        entry.update(change)
