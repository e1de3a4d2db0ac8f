"""Rows of the table of trials: how sure a score is, and what a file that was cut or changed says."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from trueweight.errors import VerifyError
from trueweight.tune.entries import gain
from trueweight.tune.search import best_of
from trueweight.tune.trial import Trial, add_trial, read_trials, spread


def trial(number: int, state: Any, score: float | None, **options: Any) -> Trial:
    plain = {"values": {}, "changed": {}, "rounds": (), "parts": (), "seconds": 1.0, **options}
    return Trial(number=number, state=state, score=score, **plain)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_the_interval_is_student_s_t_as_scipy_has_it(count: int) -> None:
    scores = np.random.default_rng(count).normal(size=count)
    low, high = stats.t.interval(0.95, count - 1, loc=scores.mean(), scale=stats.sem(scores))
    half = spread(scores.tolist())
    assert half is not None
    np.testing.assert_allclose([scores.mean() - half, scores.mean() + half], [low, high], rtol=1e-3)


def test_one_score_has_no_interval() -> None:
    assert spread([0.5]) is None
    assert spread([]) is None


def test_the_gain_is_of_the_same_parts() -> None:
    trials = [trial(0, "complete", 0.5, parts=(0.4, 0.5, 0.6)), trial(1, "complete", 0.4, parts=(0.29, 0.4, 0.51))]
    found = gain(trials)
    assert found is not None
    lower, half = found
    assert lower == pytest.approx(0.1)
    assert half == pytest.approx(float(stats.t.ppf(0.975, 2)) * 0.01 / 3**0.5, rel=1e-3)  # of 0.11, 0.10, 0.09
    assert gain([trial(0, "failed", None, reason="no"), trials[1]]) is None
    assert gain([]) is None


def test_the_earliest_of_equally_good_trials_is_the_best() -> None:
    trials = [trial(0, "failed", None, reason="no"), trial(1, "pruned", 0.1), trial(2, "complete", 0.3),
              trial(3, "complete", 0.3), trial(4, "complete", 0.4)]  # fmt: skip
    best = best_of(trials)
    assert best is not None
    assert best.number == 2
    assert best_of(trials[:2]) is None


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    assert read_trials(path) == []
    rows = [
        trial(0, "complete", 0.1 + 0.2, values={"a": [1, None]}, rounds=(0.1, 0.3), parts=(0.1, 0.5)),
        trial(1, "failed", None, reason="the loss is “nan”"),
    ]
    for row in rows:
        add_trial(path, row)
    assert read_trials(path) == rows
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [0, 1]
    with path.open("a") as file:
        file.write('{"number": 2')
    assert read_trials(path) == rows
    add_trial(path, trial(2, "pruned", 0.5))
    assert [row.number for row in read_trials(path)] == [0, 1, 2]


@pytest.mark.parametrize("line", ["[]", "7", "{}", '{"number": 0, "state": "odd"}', "not json", '{"number": NaN}'])
def test_a_line_that_is_no_trial_is_told_with_its_place(line: str, tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_text(f"{line}\n")
    with pytest.raises(VerifyError, match=r"trials.jsonl:1: not a line of a table of trials") as caught:
        read_trials(path)
    assert "--resume" in caught.value.hint
