"""The harnesses with real processes and tiny data: what runs is told, what fails too, what ran is not run again."""

import json
import math
import os
import platform
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from benchmarks import race, rank_peers, ranks, serving
from benchmarks.kept import Entry, Kept, machine
from benchmarks.race_tasks import Task, truth
from benchmarks.rank_sets import SETS, Set

WORDS = {"fruit": "an apple and a pear in a bowl", "tool": "the hammer hits a nail on the bench"}


def cut(data, folder, seed):
    for name, copies in (("train", 30), ("test", 5)):
        rows = [(f"{text} {seed} {copy}", label) for label, text in WORDS.items() for copy in range(copies)]
        pd.DataFrame(rows, columns=["text", "label"]).to_parquet(folder / f"{name}.parquet", index=False)


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.setattr(race, "PYTHON", Path(sys.executable))  # scikit-learn is installed for tests
    task = Task("small", "texts", "label", cut, (("scikit-learn", "default"),), ("scikit-learn",))
    return race.Course(task, tmp_path, Kept(tmp_path / "race.json"), 1, 600, None)


def test_a_rival_runs_once(course, tmp_path):
    found = course.rival("scikit-learn", "default", 0, 600)
    assert (found["ended"], found["reason"], found["accuracy"]) == (True, None, 1.0)
    assert 0 < found["startup"] < found["seconds"] == found["epochs"][0]["seconds"] < 600
    assert found["peak_mb"] > 50
    assert found["identity"].startswith("scikit-learn ")
    assert course.rival("scikit-learn", "default", 0, 600) is found
    assert len(Kept(tmp_path / "race.json").entries) == 1
    assert race.target_of(course.task, course.known) == 1.0


def test_a_rival_that_is_not_there_is_an_entry_with_its_reason(course):
    found = course.rival("transformers", "default", 0, 600)
    assert (found["ended"], found["accuracy"], found["identity"]) == (False, None, "not installed")
    assert found["reason"] == "ended with 1: ModuleNotFoundError: No module named 'transformers'"


def test_a_rival_is_stopped_at_the_end_of_an_epoch_beyond_the_limit(course):
    found = course.rival("scikit-learn", "default", 0, 0.001)
    assert not found["ended"]
    assert found["reason"].startswith("stopped after")
    again = course.rival("scikit-learn", "default", 0, 600)  # more time than before: it runs again
    assert again["ended"]


def test_labels_to_judge_by(course, tmp_path):
    course.cut(tmp_path, 0)
    assert list(truth(course.task, tmp_path)) == ["fruit"] * 5 + ["tool"] * 5


def test_a_fold_is_scored_and_a_missing_system_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(ranks, "PYTHON", Path(sys.executable))
    asked = Namespace(
        data=tmp_path, seconds=600, threads=1, rows=None, boosting=[], results=tmp_path / "r.json", retry=0
    )
    bench, iris = ranks.Bench(asked), next(one for one in SETS if one.name == "iris")
    rows = bench.table(iris)
    assert rows.shape == (150, 5)
    found = bench.fold(iris, rows, 0, "linear")
    assert (found["reason"], found["rows"], found["columns"], found["calibration"]) == (None, 120, 4, False)
    assert found["score"] == pytest.approx(0.14, abs=0.08)  # log loss of logistic regression, the same on any fold
    assert bench.fold(iris, rows, 0, "linear") is found
    lost = bench.fold(iris, rows, 0, "catboost")
    assert (lost["score"], lost["reason"]) == (None, "ended with 1: ModuleNotFoundError: No module named 'catboost'")


def test_every_peer_has_a_script_and_an_experts_variant():
    known, asked = set(rank_peers.PEERS), {*ranks.CORE, *ranks.MORE} - {ranks.OURS}
    assert known == asked
    plain = {name for name in known if not name.endswith(("-expert", "-tuned"))}
    assert {f"{name}-expert" for name in plain} <= known


@pytest.mark.parametrize("metric", ["log_loss", "rmse"])
@pytest.mark.parametrize("system", ["linear-expert", "sklearn-mlp-expert", "random-forest-expert"])
def test_experts_that_need_nothing_but_scikit_learn_learn(tmp_path, monkeypatch, system, metric):
    # In this process: each would else import scikit-learn anew. The others need libraries that tests do without.
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = pd.DataFrame({"x": rng.normal(size=300), "word": rng.choice(["a", "b"], 300)})
    rows["y"] = rows.x + (rows.word == "a") if metric == "rmse" else np.where(rows.x > 0, "yes", rows.word)
    (tmp_path / "task.json").write_text(json.dumps({"target": "y", "metric": metric}))
    rows[:200].to_csv("train.csv", index=False)
    rows[200:].drop(columns="y").to_csv("test.csv", index=False)
    answers = rank_peers.PEERS[system](rank_peers.Asked(60, 1))
    late = rows["y"][200:]
    if metric == "rmse":
        assert np.square(answers - late).mean() < 0.2 * np.var(late)
    else:
        assert (np.array(["a", "b", "yes"])[answers.argmax(1)] == late).mean() > 0.9


@pytest.mark.parametrize("positive", ["no", "yes"])
def test_of_two_classes_our_file_holds_the_chance_of_one(tmp_path, positive):
    asked = Set("s", "deny", "roc_auc", lambda _: pd.DataFrame(), "")
    sure = pd.Series([0.9, 0.2, 0.4, 0.7])  # that it is "yes"
    written = pd.DataFrame({"deny": "?", f"deny.p[{positive}]": sure if positive == "yes" else 1 - sure})
    ranks.own_answers(asked, written).to_csv(tmp_path / "answers.csv", index=False)
    true = pd.Series(["yes", "no", "yes", "yes"])
    assert ranks.scored(asked, tmp_path, true, true)["score"] == 1.0
    true = pd.Series(["yes", "yes", "no", "no"])
    assert ranks.scored(asked, tmp_path, true, true)["score"] == 0.5


def test_numbers_and_several_classes_of_ours(tmp_path):
    asked = Set("s", "y", "rmse", lambda _: pd.DataFrame(), "")
    ranks.own_answers(asked, pd.DataFrame({"y": [1.0, 3.0], "y.low": [0.0, 0.0]})).to_csv(tmp_path / "answers.csv")
    assert ranks.scored(asked, tmp_path, pd.Series(["1"]), pd.Series(["1", "1"]))["score"] == pytest.approx(2**0.5)
    asked = Set("s", "y", "log_loss", lambda _: pd.DataFrame(), "")
    written = pd.DataFrame({"y": ["a"], "y.p[a]": [0.5], "y.p[b]": [0.25], "y.p[c]": [0.25]})
    ranks.own_answers(asked, written).to_csv(tmp_path / "answers.csv", index=False)
    found = ranks.scored(asked, tmp_path, pd.Series(["c", "b", "a"]), pd.Series(["b"]))
    assert found["score"] == pytest.approx(-math.log(0.25))


def test_two_makers_of_processors_are_two_machines() -> None:
    cores, processor, system = machine().split(", ")
    assert cores == f"{os.cpu_count()} cores"
    assert processor
    assert system == platform.system()
    told = Path("/proc/cpuinfo")
    if told.exists() and "model name" in told.read_text():
        assert f": {processor}\n" in told.read_text()


def test_servers_are_compared_on_one_machine() -> None:
    def entry(system: str, cores: str, requests: int) -> Entry:
        one = {"requests": requests, "seconds": 1.0, "p50": 1.0, "p99": 2.0, "bad": 0}
        return {
            "task": "table", "system": system, "turn": 0, "machine": cores, "date": "2026-01-02", "pins": "1",
            "clients": {"1": one},
        }  # fmt: skip

    told = serving.render([entry("trueweight", "a", 100), entry("ray", "a", 10), entry("ray", "b", 50)])
    assert "| 1 | ray | 10 | 1.00 | 2.00 | 10.00 | 1 |" in told
    assert "| 1 | ray | 50 | 1.00 | 2.00 |  | 1 |" in told
