"""``check`` lists every column and metric that is not there, each with its place in the spec."""

from pathlib import Path
from typing import Any

import pytest

from trueweight import api
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
