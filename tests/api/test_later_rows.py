"""Rows that come after training: none is lost, labels mean the same, groups and looks still count."""

import logging
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trueweight import api
from trueweight.bundle.bundle import Bundle
from trueweight.data.frames import from_frame
from trueweight.errors import DataError, TrainError
from trueweight.evidence.ledger import LEDGER, looks
from trueweight.evidence.record import Evidence
from trueweight.train.prepare import prepare

FAST = {"model": {"preset": "fast"}, "evaluate": {"interval": {"n_resamples": 100}}}


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def spec(**parts: Any) -> dict[str, Any]:
    return {"name": "rows", "targets": {"won": "binary"}} | FAST | parts


def known_looks(bundle: Bundle) -> list[str]:
    claimed = bundle.evidence.find("quality/won/accuracy/test").data
    assert claimed is not None
    return [look.purpose for look in looks(bundle.path.parent.parent, claimed.digest)]


@pytest.mark.parametrize(
    ("name", "bad"), [("later.csv", "1,2,red,yes,3,4,5"), ("later.jsonl", '{"x": 1, "z":')], ids=["csv", "jsonl"]
)
def test_predict_loses_no_row_and_evaluate_says_so(
    name: str, bad: str, make_table: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = make_table(300)
    bundle, later, frame = api.train(data, spec=spec()), tmp_path / name, pd.DataFrame(data)
    text = frame.to_csv(index=False) if name.endswith("csv") else frame.to_json(orient="records", lines=True)
    lines = text.splitlines()
    later.write_text("\n".join([*lines[:150], bad, *lines[150:]]) + "\n")
    with pytest.raises(DataError) as caught:
        api.predict(bundle, later)
    assert caught.value.where == f"{name}:151"
    assert "max_bad_rows" not in str(caught.value)  # which predict does not have
    with caplog.at_level(logging.WARNING, "trueweight.api"):
        assert api.evaluate(bundle, later, keep=False).find("quality/won/accuracy/other").n == 300
    assert f"{name}: 1 unreadable row was skipped" in caplog.text


def test_a_full_disk_does_not_take_what_was_measured(make_table: Any) -> None:
    bundle, found = api.train(make_table(120), spec=spec()), list[Evidence]()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(TrainError, match="no space left"):
            api.evaluate(bundle, make_table(60, 1), measured=found.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert found[0].find("quality/won/accuracy/other").n == 60


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_labels_of_a_file_and_of_a_frame_mean_the_same(kind: str, make_table: Any, make_csv: Any) -> None:
    data = make_table(200)
    won = data["won"] == "yes"
    data["won"] = won if kind == "bool" else won.astype(float)  # "True", "1.0" in the file
    bundle = api.train(make_csv(Path("rows.csv"), data), spec=spec())
    typed = data | {"won": won if kind == "bool" else won.astype(int)}
    found, same = (api.evaluate(bundle, rows, keep=False) for rows in (typed, Path("rows.csv")))
    for metric in ("accuracy", "log_loss"):
        one, other = (e.find(f"quality/won/{metric}/other") for e in (found, same))
        assert (one.value, one.n) == (pytest.approx(other.value), 200)


def test_later_rows_are_drawn_by_group_too(make_table: Any) -> None:
    data = make_table(300) | {"customer": np.repeat([f"customer {i}" for i in range(60)], 5)}
    bundle = api.train(data, spec=spec(split={"method": "group", "group": "customer"}))
    measured = bundle.evaluate(data).find("quality/won/log_loss/other")
    assert measured.interval is not None
    assert measured.interval.method == "clustered bootstrap"
    del data["customer"]
    alone = bundle.evaluate(data).find("quality/won/log_loss/other")
    assert alone.interval is not None
    assert alone.interval.method != "clustered bootstrap"


def test_later_looks_at_test_rows_count(make_table: Any) -> None:
    data = make_table(200)
    bundle = api.train(data, spec=spec())
    assert known_looks(bundle) == ["train"]
    assert api.verify(bundle.path, recompute=True, data=data).reproduced
    assert known_looks(bundle) == ["train", "verify"]
    table = from_frame(data)
    api.evaluate(bundle, table.take(prepare(table, bundle.resolved).split.test), keep=False)
    assert known_looks(bundle) == ["train", "verify", "evaluate"]
    before = (bundle.path.parent.parent / LEDGER).read_bytes()
    api.evaluate(bundle, make_table(50, 1), keep=False)  # nobody's test rows
    assert (bundle.path.parent.parent / LEDGER).read_bytes() == before


def test_a_ledger_that_may_not_be_written_stops_no_verification(
    make_table: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = make_table(200)
    bundle = api.train(data, spec=spec())
    before, real = (bundle.path.parent.parent / LEDGER).read_bytes(), Path.open

    def guarded(self: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if self.name == LEDGER and "a" in mode:
            raise PermissionError(13, "Permission denied")
        return real(self, mode, *rest, **named)

    with monkeypatch.context() as patch, caplog.at_level(logging.INFO, "trueweight.evidence"):
        patch.setattr(Path, "open", guarded)
        assert api.verify(bundle.path, recompute=True, data=data).reproduced
    assert "is not noted" in caplog.text
    assert (bundle.path.parent.parent / LEDGER).read_bytes() == before


@pytest.mark.parametrize("folder", ["", "parts/"])
def test_the_file_of_test_rows_is_found_from_anywhere(
    folder: str, make_table: Any, make_csv: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("data/parts", "elsewhere"):
        (tmp_path / place).mkdir(parents=True)
    make_csv(tmp_path / f"data/{folder}train.csv", make_table(200))
    make_csv(tmp_path / f"data/{folder}test.csv", make_table(80, 1))
    parts = {"data": {"source": f"{folder}train.csv"}, "split": {"method": "files", "test_source": f"{folder}test.csv"}}
    bundle = api.train(spec=spec(**parts), base=tmp_path / "data", out=tmp_path / "run")
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert api.verify(bundle.path, recompute=True, data=f"../data/{folder}train.csv").reproduced
