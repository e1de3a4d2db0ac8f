"""What ``trueweight tune`` says: the table of trials, whether the best is better, and the last line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trueweight.api.tune import Tuned
from trueweight.cli.bar import pace
from trueweight.cli.main import run
from trueweight.cli.tune import trial_table
from trueweight.tune.trial import Trial

SPEC = {
    "name": "rows", "data": {"source": "rows.csv"}, "targets": {"won": "binary"},
    "model": {"encoder": {"type": "mlp", "hidden_sizes": [8], "members": 1}},
    "train": {"budget": {"steps": 4}, "batch_size": 16}, "evaluate": {"checks": [], "interval": {"n_resamples": 100}},
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trueweight.cli.tune.prepare_torch", lambda: None)  # threads are not ours to set here
    lines = [f"{i % 17},{(i * 7) % 11},{'yes' if (i % 17) + (i * 7) % 11 > 13 else 'no'}" for i in range(150)]
    (tmp_path / "rows.csv").write_text("\n".join(["x,z,won", *lines]) + "\n")
    (tmp_path / "rows.yaml").write_text(json.dumps(SPEC))
    yield tmp_path  # noqa: PT022  # after the monkeypatch, which undoes itself


def test_the_tuned_spec_is_the_last_line_and_passes_check(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "rows.yaml", "--trials", "2", "--no-train"]) == 0
    told = capsys.readouterr()
    assert told.out == "rows.tuned.yaml\n"
    assert "Trials, best first; the score is a loss, lower is better" in told.err
    assert "as it was" in told.err
    assert "90 training rows (3 stratified folds); the 60 other rows were not read by any" in told.err
    assert run(["check", "rows.tuned.yaml"]) == 0
    capsys.readouterr()


def test_the_bundle_is_the_last_line_and_json_tells_all(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["tune", "rows.yaml", "--trials", "2", "--json"]) == 0
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert facts["bundle"] == "runs/rows-01/rows.bundle"
    assert (place / facts["bundle"] / "evidence.json").is_file()
    assert [trial["number"] for trial in facts["trials"]] == [0, 1]
    assert facts["best"] in (0, 1)
    assert "Test: " in told.err  # the end of a training


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "nothing says when the search is to end"),
        (["--budget", "soon"], 2, "'soon' is not a duration: write 90s, 20m, 1h30m or 30d"),
        (["--trials", "0"], 2, "--trials"),
        (["--trials", "2", "--resume"], 4, "no unfinished search"),
        (["--trials", "2", "--set", 'tune.search_space={"train.batchsize": [1]}'], 2, "mean 'train.batch_size'?"),
        (["--trials", "2", "--set", "tune.other_fields=keep"], 2, "there is nothing to search"),
    ],
)
def test_mistakes_are_told(
    arguments: list[str], code: int, words: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    assert run(["tune", "rows.yaml", *arguments]) == code
    told = capsys.readouterr()
    assert words in told.err
    assert not told.out
    assert not list(place.glob("runs/*"))


def test_what_takes_long_is_counted_by_the_minute() -> None:
    assert pace(1234.0, "rows") == "1,234 rows/s"
    assert pace(0.05, "trials") == "3.0 trials/min"


def trial(number: int, state: Any, score: float | None, **options: Any) -> Trial:
    plain = {"values": {}, "changed": {}, "rounds": (), "parts": (), "seconds": 1.25, **options}
    return Trial(number=number, state=state, score=score, **plain)


def test_the_table_has_the_best_first_and_says_what_became_of_the_others() -> None:
    trials = (
        trial(0, "complete", 0.5, parts=(0.4, 0.5, 0.6)),
        trial(1, "pruned", 0.9, changed={"train.optimizer.type": "muon"}),
        trial(2, "failed", None, changed={"train.optimizer.learning_rate": 9.0}, reason="the loss is nan"),
        trial(3, "complete", 0.25, changed={"train.batch_size": 64}, parts=(0.24, 0.25, 0.26)),
    )
    lines = trial_table(Tuned(Path("runs/a"), Path("a.yaml"), trials, None, False, ()))
    assert [line.split() for line in lines[1:]] == [
        ["trial", "score", "±", "seconds"],
        ["3", "0.25", "0.025", "1.2", "batch_size=64"],
        ["0", "0.5", "0.25", "1.2", "as", "it", "was"],
        ["1", "0.9", "1.2", "given", "up:", "optimizer=muon"],
        ["2", "–", "1.2", "failed", "(the", "loss", "is", "nan):", "learning_rate=9.0"],
    ]


def test_a_long_table_is_cut_and_says_where_the_rest_is() -> None:
    trials = tuple(trial(n, "complete", float(n)) for n in range(23))
    lines = trial_table(Tuned(Path("runs/a"), Path("a.yaml"), trials, None, False, ()))
    assert len(lines) == 1 + 1 + 20 + 1
    assert lines[-1] == "  … and 3 more trials in runs/a/trials.jsonl"
