"""Inner rows: all of them training rows, cut in the way of the run's own split."""

from typing import Any

import numpy as np
import pytest

from trueweight.data.read import read_table
from trueweight.errors import DataError
from trueweight.spec.load import parse_spec
from trueweight.train.prepare import Prepared, prepare
from trueweight.tune import inner as module
from trueweight.tune.inner import Inner, inner_of, trial_spec


def ready(rows: int = 300, **sections: Any) -> Prepared:
    rng = np.random.default_rng(1)
    columns = {
        "x": rng.normal(size=rows).round(4), "customer": [f"c{i // 5}" for i in range(rows)],
        "day": [f"2024-{1 + i // 28 % 12:02d}-{1 + i % 28:02d}" for i in rng.permutation(rows)],
        "won": rng.choice(["yes", "no"], rows, p=[0.3, 0.7]), "row": np.arange(rows) + 0.5,
    }  # fmt: skip
    raw = {"targets": {"won": "binary"}, "features": {"x": "number"}, "other_features": "ignore", **sections}
    spec = parse_spec(raw)
    return prepare(read_table(columns, spec.data), spec)


def parts(inner: Inner, place: int) -> dict[str, np.ndarray]:
    """Case numbers of the outer table in each part of a round."""
    outer = (inner.table.column("row").to_numpy() - 0.5).astype(int)
    labels = np.array([word or "" for word in inner.rounds[place].labels])
    return {word: outer[labels == word] for word in ("train", "validation", "test")}


DATED = {"method": "time", "time_column": "day", "validation": {"from": "2024-08-01"}, "test": {"from": "2024-10-01"}}


@pytest.mark.parametrize(
    "split",
    [{}, {"method": "random"}, {"group": "customer"}, {"time_column": "day"}, {"validation": 0.3}, DATED],
    ids=str,
)
def test_only_training_rows_are_in_it_and_each_has_one_part(split: dict[str, Any]) -> None:
    run = ready(split=split)
    inner = inner_of(run)
    assert sorted((inner.table.column("row").to_numpy() - 0.5).astype(int)) == run.split.train.tolist()
    for place, one in enumerate(inner.rounds):
        found = parts(inner, place)
        assert all(len(rows) for rows in found.values())
        assert len(np.unique(np.concatenate(list(found.values())))) == sum(map(len, found.values()))
        assert np.array_equal(np.flatnonzero([word == "test" for word in one.labels]), one.judged)


def test_folds_judge_each_row_once_and_keep_the_classes_shares() -> None:
    run = ready()
    inner = inner_of(run)
    judged = np.concatenate([one.judged for one in inner.rounds])
    assert len(inner.rounds) == 3
    assert all(one.counts for one in inner.rounds)
    assert sorted(judged) == list(range(len(run.split.train)))
    won = np.asarray(inner.table.column("won").to_pylist()) == "yes"
    assert np.ptp([won[one.judged].mean() for one in inner.rounds]) < 0.03


@pytest.mark.parametrize("split", [{"group": "customer"}, {"method": "group", "group": "customer", "validation": 0.3}])
def test_groups_stay_on_one_side(split: dict[str, Any]) -> None:
    inner = inner_of(ready(split=split))
    group = {row: row // 5 for row in range(300)}
    for place in range(len(inner.rounds)):
        found = {word: {group[row] for row in rows} for word, rows in parts(inner, place).items()}
        assert not found["train"] & found["test"]
        assert not found["train"] & found["validation"]
        assert not found["validation"] & found["test"]


def test_groups_stay_together_where_a_column_says_the_split() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(rng.choice(["train", "train", "validation", "test"], 60), 5)
    spec = parse_spec({
        "targets": {"won": "binary"}, "features": {"x": "number"}, "other_features": "ignore",
        "split": {"method": "column", "column": "part", "group": "customer"},
    })  # fmt: skip
    columns = {
        "x": rng.normal(size=300), "customer": [f"c{i // 5}" for i in range(300)], "part": labels,
        "won": rng.choice(["yes", "no"], 300), "row": np.arange(300) + 0.5,
    }  # fmt: skip
    inner = inner_of(prepare(read_table(columns, spec.data), spec))
    for place in range(3):
        found = {word: set(rows // 5) for word, rows in parts(inner, place).items()}
        assert not found["train"] & found["test"]
    assert inner.method == "3 group folds"


def test_the_past_never_knows_the_future() -> None:
    run = ready(split={"time_column": "day", "gap": "2d"})
    inner = inner_of(run)
    day = np.asarray(inner.table.column("day").to_pylist(), dtype="datetime64[D]")
    assert len(inner.rounds) == 2
    for one in inner.rounds:
        labels = np.array([word or "" for word in one.labels])
        learning, judged = day[(labels == "train") | (labels == "validation")], day[one.judged]
        assert learning.max() + np.timedelta64(2, "D") <= judged.min()
        assert day[labels == "train"].max() < day[labels == "validation"].min()
    first, second = (day[one.judged] for one in inner.rounds)
    assert second.max() < first.min()


def test_many_rows_are_cut_once_with_a_first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FEW_ROWS", 100)
    inner = inner_of(ready())
    few, whole = inner.rounds
    assert [few.counts, whole.counts] == [False, True]
    assert np.array_equal(few.judged, whole.judged)
    assert few.labels.count("train") == round(whole.labels.count("train") / 4)
    assert {n for n, word in enumerate(few.labels) if word == "train"} <= {
        n for n, word in enumerate(whole.labels) if word == "train"
    }
    assert few.labels.count("validation") == whole.labels.count("validation")


def test_a_trial_calibrates_nothing_and_its_rows_say_what_they_are_for() -> None:
    raw = {"type": "binary", "threshold": {"minimize_cost": {"false_positive": 1, "false_negative": 4}}}
    run = ready(targets={"won": raw}, split={"validation": 0.4})
    inner = inner_of(run)
    again = prepare(inner.table, trial_spec(run.spec), labels=inner.rounds[0].labels)
    assert not len(again.split.calibration)
    assert np.array_equal(again.split.test, inner.rounds[0].judged)
    assert again.spec.model == run.spec.model


def test_too_few_groups_are_told() -> None:
    few = ready(rows=20, split={"group": "customer", "test": 0.25, "validation": 0.25})
    with pytest.raises(DataError, match="cannot be cut again for trials"):
        inner_of(few)
