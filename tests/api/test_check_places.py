"""``check`` lists every column and metric that is not there, each with its place in the spec."""

from pathlib import Path
from typing import Any

import pytest

from trueweight import api
from trueweight.api.request import make_request
from trueweight.errors import DataError, SpecError
from trueweight.spec.load import load_spec

CHOSEN = "train.selection_metric={target: won, metric: r2}"
SPEC = """version: 1
name: rows
data: {source: rows.csv}
targets: {won: binary}
features:
  x: number
  kin: category
  zz: number
split: {method: group, group: customer}
"""


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_table: Any, make_csv: Any) -> None:
    monkeypatch.chdir(tmp_path)
    make_csv(tmp_path / "rows.csv", make_table(60))


def test_all_missing_columns_at_once() -> None:
    Path("rows.yaml").write_text(SPEC)
    with pytest.raises(DataError) as caught:
        api.check("rows.yaml")
    assert str(caught.value).splitlines() == [
        "rows.csv: 3 columns that the spec names are not there",
        "  rows.yaml:7:3: features.kin: no column 'kin'; did you mean 'kind'?",
        "  rows.yaml:8:3: features.zz: no column 'zz'; did you mean 'z'?",
        "  rows.yaml:9:31: split.group: no column 'customer'",
        "  hint: there is 'x', 'z', 'kind', 'won', 'cost'",
    ]
    with pytest.raises(DataError, match=r"3 columns that the spec names are not there\n  features.kin: no column"):
        api.train("rows.csv", spec=load_spec("rows.yaml"))


def test_metrics_have_places() -> None:
    text = SPEC.replace("  kin: category\n  zz: number\n", "").replace("split: {method: group, group: customer}\n", "")
    Path("rows.yaml").write_text(text + "evaluate:\n  metrics:\n    won: [accuracy, roc_uac, rmse]\n")
    with pytest.raises(SpecError) as caught:
        api.check("rows.yaml", settings=[CHOSEN])
    said = str(caught.value)
    assert "rows.yaml:9:21: evaluate.metrics.won: " in said
    assert "did you mean 'roc_auc'" in said
    assert "rows.yaml:9:30: evaluate.metrics.won: 'rmse' cannot be measured" in said
    assert f"--set {CHOSEN}: train.selection_metric: 'r2' cannot" in said


MANY = """version: 1
name: rows
data: {source: rows.csv, primary_key: won, sampel_weight: x}
targets:
  won: binary
  cost: nubmer
features:
  x: number
  kin: category
  won: category
  zz: nmber
split: {method: group, validation: 50%, test: 60%}
model:
  encoder: linear
  members: []
train:
  selection_metric: {target: wonn, metric: roc_auc}
  lr_schedule: {warmup: 0.6}
  optimizer: {type: sgd, nesterov: true, momentum: 0, weight_decay: -1}
evaluate:
  metrics: {won: [roc_auk], cost: [mae], y: [mae]}
"""


def test_what_is_wrong_together_is_told_beside_all_else() -> None:
    """Rules that span fields, metrics and columns, each with its own place, though other fields are wrong too."""
    Path("rows.yaml").write_text(MANY)
    with pytest.raises(SpecError) as caught:
        api.check("rows.yaml")
    assert str(caught.value).splitlines() == [
        "17 mistakes in rows.yaml",
        "  rows.yaml:3:39: data.primary_key: 'won' is a target and cannot be the primary_key too",
        "  rows.yaml:3:44: data.sampel_weight: no such option; did you mean 'sample_weight'?",
        "  rows.yaml:6:9: targets.cost: unknown target type 'nubmer'; did you mean 'number'?",
        "  rows.yaml:9:3: features.kin: no column 'kin'; did you mean 'kind'?",
        "  rows.yaml:10:3: features.won: 'won' is a target too: leave it out here",
        "  rows.yaml:11:3: features.zz: no column 'zz'; did you mean 'z'?",
        "  rows.yaml:11:7: features.zz: unknown column type 'nmber'; did you mean 'number'?",
        "  rows.yaml:12:17: split.method: 'group' needs split.group",
        "  rows.yaml:12:36: split.validation: validation 50% and test 60% leave nothing to train on",
        "  rows.yaml:14:12: model.encoder: 'members' already says it all: leave out 'encoder' beside it",
        "  rows.yaml:15:12: model.members: needs at least one member",
        "  rows.yaml:17:30: train.selection_metric.target: 'wonn' is no target; did you mean 'won'?",
        "  rows.yaml:18:25: train.lr_schedule.warmup: warmup 0.6 and decay 0.5 are more than the whole run",
        "  rows.yaml:19:52: train.optimizer.momentum: nesterov needs momentum above 0; 0.9 is usual",
        "  rows.yaml:19:69: train.optimizer.weight_decay: must be at least 0, got -1",
        "  rows.yaml:21:19: evaluate.metrics.won: unknown metric 'roc_auk'; did you mean 'roc_auc'?",
        "  rows.yaml:21:42: evaluate.metrics.y: 'y' is no target; there is 'won', 'cost'",
    ]


def test_a_spec_with_mistakes_and_no_data_tells_both() -> None:
    Path("rows.yaml").write_text("data: {source: row.csv}\ntargets: {won: binry}\nsplit: {test: much}\n")
    with pytest.raises(SpecError) as caught:
        api.check("rows.yaml")
    assert str(caught.value).splitlines() == [
        "3 mistakes in rows.yaml",
        "  rows.yaml:1:16: data.source: row.csv: there is no file 'row.csv'",
        "  rows.yaml:2:16: targets.won: unknown target type 'binry'; did you mean 'binary'?",
        "  rows.yaml:3:15: split.test: must be a number, got 'much'",
    ]


def test_words_of_a_split_column_that_name_no_part(make_table: Any, make_csv: Any) -> None:
    rows = make_table(60)
    rows["part"] = ["trial" if n == 7 else ("train", "Val", "test", "")[n % 4] for n in range(60)]
    make_csv(Path("rows.csv"), rows)
    text = "version: 1\ndata: {source: rows.csv}\ntargets: {won: binary}\nsplit: {column: part}\n"
    Path("rows.yaml").write_text(text)
    with pytest.raises(DataError) as caught:
        api.check("rows.yaml")
    assert caught.value.problem == "the split column says 'trial'"
    assert "train, validation, calibration or test" in caught.value.hint
    rows["part"][7] = "train"
    make_csv(Path("rows.csv"), rows)
    assert api.check("rows.yaml").spec.split.method == "column"


def test_a_column_of_parts_is_taken_for_the_split(make_table: Any, make_csv: Any) -> None:
    rows = make_table(60)
    rows |= {"gaps": [("train", "test", "")[n % 3] for n in range(60)], "part": ["train", "TRAIN", "test"] * 20}
    rows["when"] = [("train", "bus")[n % 2] for n in range(60)]
    make_csv(Path("rows.csv"), rows)
    text = api.init("rows.csv", "won")
    assert "split: {method: column, column: part}  # its words name the parts" in text
    assert 'part: {type: ignore, reason: "says which rows train and which judge"}' in text
    guessed = make_request("rows.csv", "won", None, {}, [], None).spec.split
    assert (guessed.method, guessed.column, guessed.test) == ("column", "part", 0.2)
    assert make_request("rows.csv", "won", None, {}, ["split.method=random"], None).spec.split.column is None
    rows["part"] = [("train", "dev")[n % 2] for n in range(60)]
    make_csv(Path("rows.csv"), rows)
    assert make_request("rows.csv", "won", None, {}, [], None).spec.split.test == 0.0
