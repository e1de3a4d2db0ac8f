"""Folds keep apart what they must, and ranks and their intervals are right."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks.lists import BENCHMARK, CALIBRATION
from benchmarks.rank_page import gist, interval, means, ranks, scores, section
from benchmarks.rank_sets import SETS, USUAL, Set, folds, prepared
from scipy import stats


def entry(name, fold, system, score, *, metric="roc_auc", reason=None, calibration=False):
    return {"set": name, "fold": fold, "system": system, "score": score, "metric": metric, "reason": reason,
            "used": None, "identity": f"{system} 1", "date": "d", "machine": "m", "threads": 2, "limit": 180.0,
            "seconds": 1.0, "peak_mb": 1.0, "rows": 100, "columns": 3, "calibration": calibration}  # fmt: skip


TABLES = ("titanic", "iris", "adult")
ENTRIES = [
    entry(name, fold, system, score + 0.01 * fold, metric="rmse" if name == "iris" else "roc_auc")
    for name, row in {"titanic": (0.9, 0.8, 0.7), "iris": (3.0, 1.0, 2.0), "adult": (0.7, 0.7, 0.6)}.items()
    for system, score in zip(("trueweight", "lightgbm", "linear"), row, strict=True)
    for fold in range(2)
]


def test_ranks_are_by_the_metrics_direction_and_ties_are_shared():
    table = ranks(means(scores(ENTRIES)))
    assert table.loc["titanic"].to_dict() == {"lightgbm": 2, "linear": 3, "trueweight": 1}
    assert table.loc["iris"].to_dict() == {"lightgbm": 1, "linear": 2, "trueweight": 3}
    assert table.loc["adult"].to_dict() == {"lightgbm": 1.5, "linear": 3, "trueweight": 1.5}


def test_a_failure_is_the_last_and_has_a_row():
    broken = [e | {"score": None, "reason": "stopped after 198 s"} if (e["set"], e["system"], e["fold"]) ==
              ("titanic", "trueweight", 1) else e for e in ENTRIES]  # fmt: skip
    assert ranks(means(scores(broken))).loc["titanic", "trueweight"] == 3
    assert "| titanic | 1 | trueweight | stopped after 198 s |" in section(broken)


def test_a_system_that_did_not_run_everywhere_is_only_compared_in_pairs():
    more = [*ENTRIES, entry("titanic", 0, "autogluon", 0.95)]
    assert "autogluon" not in ranks(means(scores(more)))
    assert "| autogluon | 1 | 0 | 1 **we lose** |" in section(more)


def test_a_later_run_replaces_an_earlier_one():
    again = [*ENTRIES, *(entry("titanic", fold, "trueweight", 0.1) for fold in range(2))]
    assert ranks(means(scores(again))).loc["titanic", "trueweight"] == 3


def test_tables_of_the_calibration_list_are_told_apart():
    more = [*ENTRIES, *(e | {"set": "wine", "calibration": True} for e in ENTRIES if e["set"] == "titanic")]
    text = section(more)
    assert "Average rank over 3 tables, never used" in text
    assert "Average rank over 4 tables, those of the calibration list included" in text
    assert "| wine *c* |" in text
    assert "over 3 tables" in "\n".join(gist(more))


def test_the_interval_is_that_of_scipy():
    values = np.array([1.0, 2, 2, 3, 5, 1, 4, 2, 6, 3, 2, 1])
    found = interval(values)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", rng=1).confidence_interval
    assert found.mean == values.mean()
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.1)  # two drawings of 10,000


def frame(rows=103):
    rng = np.random.default_rng(0)
    return pd.DataFrame({"x": rng.normal(size=rows), "nr": rng.integers(0, 20, rows), "y": rng.integers(0, 3, rows)})


@pytest.mark.parametrize(("metric", "order"), [("rmse", "random"), ("log_loss", "random"), ("rmse", "nr")])
def test_each_row_is_judged_once_by_what_never_saw_it(metric, order):
    rows = frame()
    cut = folds(Set("s", "y", metric, lambda _: rows, "", order), rows)
    assert sorted(np.concatenate([judge for _, judge in cut])) == list(range(len(rows)))
    for learn, judge in cut:
        assert not set(learn) & set(judge)
        assert len(learn) + len(judge) == len(rows)
        if order == "nr":
            assert not set(rows.nr[learn]) & set(rows.nr[judge])
        if metric == "log_loss":  # classes in equal shares
            share = rows.y[judge].value_counts() / rows.y.value_counts()
            assert share.between(0.1, 0.3).all()


def test_rows_in_order_of_time_are_judged_by_the_past():
    rows = frame()
    for learn, judge in folds(Set("s", "y", "rmse", lambda _: rows, "", "time"), rows):
        assert learn.max() < judge.min()


def test_classes_are_words():
    asked = Set("s", "y", "log_loss", lambda _: frame(), "")
    assert set(prepared(asked, Path())["y"]) == {"class 0", "class 1", "class 2"}


def test_every_table_is_on_a_list_and_the_usual_ones_never_shaped_a_default():
    assert len(SETS[:USUAL]) >= 12
    assert not {one.name for one in SETS[:USUAL]} & set(CALIBRATION)
    assert {one.name for one in SETS} <= {*BENCHMARK, *CALIBRATION}
    assert all(one.source and one.metric in ("roc_auc", "log_loss", "rmse") for one in SETS)
