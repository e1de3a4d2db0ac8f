"""Whole searches on small tables: what trials may read, what a resume goes on from, and what comes of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trueweight
from trueweight import api
from trueweight.api.tune import Tuned, tune
from trueweight.data.read import read_table
from trueweight.errors import SpecError, TrainError, VerifyError
from trueweight.files import read_json
from trueweight.spec.load import load_spec, parse_spec
from trueweight.train.prepare import prepare
from trueweight.tune import inner as inner_rows
from trueweight.tune.trial import read_trials

ROWS = 240

SMALL: dict[str, Any] = {
    "name": "rows", "targets": {"won": "binary"},
    "features": {"x": "number", "z": "number", "kind": "category"}, "other_features": "ignore",
    "model": {
        "members": [
            {
                "name": "net", "fusion": "concat", "fitter": "gradient",
                "encoder": {"type": "mlp", "hidden_sizes": [8], "members": 1, "embedding_size": 4, "dropout": 0.0},
            }
        ]
    },
    "train": {"budget": {"steps": 6}, "optimizer": {"type": "adamw", "learning_rate": 0.01}, "batch_size": 32},
    "evaluate": {"interval": {"n_resamples": 100}, "checks": [], "baselines": ["constant"]},
    "tune": {
        "search_space": {
            "model.members.net.encoder.dropout": [0.0, 0.2, 0.4],
            "train.optimizer.learning_rate": {"low": 0.001, "high": 0.1, "log": True},
        },
        "other_fields": "keep",
    },
}  # fmt: skip
"""Some settings of a network that is fitted in a moment, by steps: no clock decides anything."""


def told(tuned: Tuned) -> list[tuple[Any, ...]]:
    """Trials without what a clock says."""
    return [(t.number, t.state, dict(t.values), t.score, t.rounds, t.parts, t.reason) for t in tuned.trials]


def changed(raw: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    return {**raw, **sections}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def search(raw: Mapping[str, Any], data: Any, trials: int = 3, **options: Any) -> Tuned:
    return tune(raw, data, trials=trials, **{"train": False, **options})


def test_the_first_trial_changes_nothing_and_the_best_is_never_worse(
    place: Path, make_table: Callable[..., Any]
) -> None:  # fmt: skip
    tuned = search(SMALL, make_table(ROWS), trials=6)
    first = tuned.trials[0]
    assert first.changed == {}
    assert first.values == {"model.members.net.encoder.dropout": 0.0, "train.optimizer.learning_rate": 0.01}
    assert len(tuned.trials) == 6
    assert tuned.best.score is not None
    assert first.score is not None
    assert tuned.best.score <= first.score
    assert tuned.best.score == min(t.score for t in tuned.trials if t.score is not None and t.state == "complete")
    assert len({json.dumps(t.values, sort_keys=True) for t in tuned.trials}) == 6


def test_the_same_seed_gives_the_same_trials_and_another_one_others(
    place: Path, make_table: Callable[..., Any]
) -> None:  # fmt: skip
    one, again, other = (search(SMALL, make_table(ROWS), seed=seed) for seed in (4, 4, 5))
    assert told(one) == told(again)
    assert told(one) != told(other)


def test_no_trial_reads_a_row_that_validates_calibrates_or_judges(
    place: Path, make_table: Callable[..., Any]
) -> None:  # fmt: skip
    """All cells of those rows are changed, labels too; a trial that looked at any would come out otherwise."""
    columns = make_table(ROWS)
    spec = parse_spec(SMALL)
    kept = prepare(read_table(columns, spec.data), spec).split
    spoilt = {name: np.array(cells) for name, cells in columns.items()}
    for rows in (kept.validation, kept.calibration, kept.test):
        assert len(rows)
        spoilt["x"][rows] = -3 * columns["x"][rows] + 7
        spoilt["z"][rows] = np.arange(len(rows)) * 100.0 + 1e4
        # Rows keep their classes so that the stratified split stays where it is; which row has which is turned round.
        spoilt["won"][rows] = np.roll(columns["won"][rows], 5)
    by_place = changed(SMALL, split={"method": "column", "column": "part"})
    part = np.full(ROWS, "train", dtype="U12")
    for name in ("validation", "calibration", "test"):
        part[getattr(kept, name)] = name
    clean, planted = (search(by_place, {**table, "part": part}) for table in (columns, spoilt))
    assert told(clean) == told(planted)
    # The plant is one: the same change of a training row is seen.
    spoilt["x"][kept.train[:20]] += 5
    seen = search(by_place, {**spoilt, "part": part})
    assert told(seen)[0][3] != told(clean)[0][3]


def test_trials_go_on_after_a_kill_as_if_there_had_been_none(
    place: Path, make_table: Callable[..., Any], make_csv: Callable[..., Path]
) -> None:  # fmt: skip
    make_csv(place / "rows.csv", make_table(ROWS))
    raw = changed(SMALL, data={"source": "rows.csv"})
    (place / "rows.yaml").write_text(json.dumps(raw))
    whole = tune(place / "rows.yaml", trials=5, train=False, out=place / "whole")
    code = (
        "import os, signal\n"
        "from trueweight.tune import trial\n"
        "real, calls = trial.fit, []\n"
        "def fit(*arguments):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 8:\n"  # the second fold of the third trial
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(*arguments)\n"
        "trial.fit = fit\n"
        "from trueweight.cli.main import run\n"
        "run(['tune', 'rows.yaml', '--trials', '5', '--no-train', '--out', 'cut'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=300, cwd=place)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert len(read_trials(place / "cut" / "trials.jsonl")) == 2
    with (place / "cut" / "trials.jsonl").open("a") as file:
        file.write('{"number": 2, "state": "comp')  # what a kill in the middle of a line leaves
    cut = tune(place / "rows.yaml", trials=5, train=False, out=place / "cut", resume=True)
    assert told(cut) == told(whole)
    assert not (place / "cut" / "trial").exists()
    with pytest.raises(TrainError, match="no unfinished search"):
        tune(place / "rows.yaml", trials=5, train=False, out=place / "cut", resume=True)


def test_a_final_training_that_was_killed_is_taken_up_again(
    place: Path, make_table: Callable[..., Any], make_csv: Callable[..., Path], weights: Callable[[Path], Any]
) -> None:  # fmt: skip
    make_csv(place / "rows.csv", make_table(ROWS))
    (place / "rows.yaml").write_text(json.dumps(changed(SMALL, data={"source": "rows.csv"})))
    code = (
        "import os, signal\n"
        "from trueweight.api import run as whole\n"
        "whole.make_golden = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from trueweight.cli.main import run\n"
        "run(['tune', 'rows.yaml', '--trials', '2'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, timeout=300, cwd=place)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert not (place / "runs" / "rows-01" / "rows.bundle").exists()
    before = read_trials(place / "runs" / "rows-tune-01" / "trials.jsonl")
    tuned = tune(place / "rows.yaml", trials=2, resume=True)
    assert list(tuned.trials) == before
    assert tuned.bundle is not None
    assert tuned.bundle.path == Path("runs/rows-01/rows.bundle")
    whole = api.train(spec=tuned.spec, out=place / "whole")
    assert weights(tuned.bundle.path) == weights(whole.path)
    assert read_json(tuned.folder / "study.json")["state"] == "finished"


SENSES: dict[str, Any] = {
    "name": "senses", "targets": {"won": "binary"}, "other_features": "ignore",
    "features": {
        "note": {"type": "text", "encoder": "bag"},
        "wave": {"type": "timeseries", "encoder": {"type": "lstm", "hidden_size": 4}, "augment": ["jitter"]},
        "x": "number",
    },
    "model": {"encoder": {"type": "mlp", "hidden_sizes": [8], "members": 1}},
    "train": {"budget": {"steps": 2}, "batch_size": 32}, "evaluate": {"checks": []},
}  # fmt: skip


def test_columns_of_the_senses_are_searched_too(place: Path, make_table: Callable[..., Any]) -> None:
    columns = make_table(120)
    columns["note"] = [f"{kind} as ever, number {i % 9}" for i, kind in enumerate(columns["kind"])]
    columns["wave"] = [[round(float(x + t % 3), 3) for t in range(8)] for x in columns["x"]]
    raw = changed(SENSES, train={**SENSES["train"], "optimizer": {"type": "adamw"}})
    tuned = search(raw, columns, trials=3)
    assert [trial.state for trial in tuned.trials] == ["complete"] * 3
    names = {entry["name"] for entry in read_json(tuned.folder / "tuning.json")["space"]}
    assert {
        "features.note.encoder.width",
        "features.wave.encoder.layers",
        "features.wave.augment[0].deviation",
    } <= names
    assert "features.wave.encoder.hidden_size" not in names  # asked for
    assert "features.*.max_features" in names
    assert load_spec(tuned.spec).features["wave"].type == "timeseries"


def test_ctrl_c_keeps_the_best_so_far_and_exits_with_130(
    place: Path, make_table: Callable[..., Any], make_csv: Callable[..., Path]
) -> None:  # fmt: skip
    make_csv(place / "rows.csv", make_table(ROWS))
    (place / "rows.yaml").write_text(json.dumps(changed(SMALL, data={"source": "rows.csv"})))
    command = [sys.executable, "-m", "trueweight", "tune", "rows.yaml", "--trials", "500", "--out", "search"]
    process = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    table = place / "search" / "trials.jsonl"
    deadline = time.monotonic() + 200
    while (not table.is_file() or table.read_text().count("\n") < 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    out, words = process.communicate(timeout=120)
    assert process.returncode == 130, words
    path = place / out.splitlines()[-1]
    assert path.name == "rows.tuned.yaml"
    assert load_spec(path).name == "rows"
    assert "--resume goes on from here" in words
    assert read_json(place / "search" / "study.json")["state"] == "partial"
    done = len(read_trials(table))
    tuned = tune(place / "rows.yaml", trials=done + 1, train=False, out=place / "search", resume=True)
    assert len(tuned.trials) == done + 1
    assert tuned.spec.name == "rows.tuned.yaml"


def test_the_tuned_spec_asks_for_the_best_setting_and_is_trained_with_its_facts(
    place: Path, make_table: Callable[..., Any], make_csv: Callable[..., Path]
) -> None:  # fmt: skip
    make_csv(place / "rows.csv", make_table(ROWS))
    (place / "rows.yaml").write_text(json.dumps(changed(SMALL, data={"source": "rows.csv"})))
    tuned = tune(place / "rows.yaml", trials=4)
    written = load_spec(tuned.spec)
    assert tuned.spec == place / "rows.tuned.yaml"
    assert tuned.spec.read_text().startswith("# Written by trueweight tune: the best of 4 settings of rows")
    assert written.tune.search_space == {}
    values = tuned.best.values
    assert written.model.members is not None
    assert written.train.optimizer is not None
    assert written.model.members[0].encoder.model_dump()["dropout"] == values["model.members.net.encoder.dropout"]
    rate = written.train.optimizer.model_dump()["learning_rate"]
    assert rate == values["train.optimizer.learning_rate"]
    assert api.check(tuned.spec).spec.model.members == written.model.members
    bundle = tuned.bundle
    assert bundle is not None
    assert bundle.path == Path("runs/rows-01/rows.bundle")
    assert bundle.resolved.train.optimizer == written.train.optimizer
    facts = {entry.id: entry for entry in bundle.evidence.select(axis="search")}
    assert facts["search/trials"].value == 4
    assert facts["search/inner/best"].value == tuned.best.score
    assert facts["search/inner/default"].value == tuned.trials[0].score
    assert facts["search/inner/best"].interval is not None
    off = facts["search/optimism"]
    validation, best = facts["search/validation"].value, tuned.best.score
    assert isinstance(validation, float)
    assert best is not None
    assert off.value == pytest.approx(validation - best)
    assert "the luck of the best of many" in (off.reason or "")
    spaces = [entry.value for entry in facts.values() if entry.metric == "searched"]
    assert spaces == [
        "model.members.net.encoder.dropout: 0.0, 0.2, 0.4", "train.optimizer.learning_rate: 0.001 to 0.1, log",
    ]  # fmt: skip
    table = read_json(bundle.path.parent / "tuning.json")
    assert table == read_json(tuned.folder / "tuning.json")
    assert [trial["number"] for trial in table["trials"]] == [0, 1, 2, 3]
    assert api.verify(bundle.path, recompute=True, data=place / "rows.csv").reproduced
    # Another search leaves what was written alone.
    assert tune(place / "rows.yaml", trials=1, train=False).spec.name == "rows.tuned-02.yaml"


def test_encoded_columns_are_shared_by_trials_that_read_them_alike(
    place: Path, make_table: Callable[..., Any], make_csv: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    make_csv(place / "rows.csv", make_table(ROWS))
    space = {"train.optimizer.learning_rate": [0.01, 0.02, 0.03, 0.04]}
    raw = changed(SMALL, data={"source": "rows.csv"}, tune={"search_space": space, "other_fields": "keep"})
    cache = place / "blocks"
    monkeypatch.setenv("TRUEWEIGHT_CACHE", str(cache))
    assert len(search(raw, None, trials=4, base=place).trials) == 4
    assert len([path for path in (cache / "blocks").iterdir() if (path / "block.json").is_file()]) == 3  # one a fold


def test_a_trial_that_diverges_is_a_row_with_its_reason(place: Path, make_table: Callable[..., Any]) -> None:
    space = {"train.optimizer.learning_rate": [0.01, 1e30], "train.max_grad_norm": [1.0, 1e30]}
    raw = changed(SMALL, tune={"search_space": space, "other_fields": "keep"})
    raw["train"] = {**raw["train"], "optimizer": {"type": "sgd", "learning_rate": 0.01}, "budget": {"steps": 60}}
    tuned = search(raw, make_table(ROWS), trials=4)
    failed = [trial for trial in tuned.trials if trial.state == "failed"]
    assert failed
    assert all(trial.reason and trial.score is None for trial in failed)
    assert tuned.best.state == "complete"
    assert len(tuned.trials) == 4


def test_what_is_worse_than_the_middle_of_the_others_is_given_up(place: Path, make_table: Callable[..., Any]) -> None:
    space = {"train.optimizer.learning_rate": {"low": 1e-6, "high": 0.3, "log": True}}
    raw = changed(SMALL, tune={"search_space": space, "other_fields": "keep"})
    tuned = search(raw, make_table(ROWS), trials=14)
    assert {trial.state for trial in tuned.trials} == {"complete", "pruned"}
    for trial in tuned.trials:
        before = [other for other in tuned.trials[: trial.number] if other.state == "complete"]
        asked = trial.rounds if trial.state == "pruned" else trial.rounds[:-1]
        for place_of_round, score in enumerate(asked):
            # The rule by hand: not before five have ended, then worse than their median after as many rounds.
            worse = len(before) >= 5 and score > np.median([other.rounds[place_of_round] for other in before])
            assert worse == (trial.state == "pruned" and place_of_round == len(asked) - 1)
        assert len(trial.rounds) == 3 if trial.state == "complete" else len(trial.rounds) < 3


def test_many_rows_are_scored_on_one_cut_after_a_first_look(
    place: Path, make_table: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(inner_rows, "FEW_ROWS", 100)  # a cut of thousands takes long
    tuned = search(SMALL, make_table(ROWS), trials=2)
    for trial in tuned.trials:
        assert len(trial.rounds) == 2
        assert trial.score == trial.rounds[1]
        assert len(trial.parts) == 5
        # Equal parts of the rows that judge: their mean log loss is nearly that of all.
        assert np.mean(trial.parts) == pytest.approx(trial.score, rel=0.05)
    assert any("one stratified cut" in note for note in tuned.notes)


def test_rows_in_order_of_time_are_scored_by_their_past(place: Path, make_table: Callable[..., Any]) -> None:
    day = [f"2024-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in range(ROWS)]
    tuned = search(changed(SMALL, split={"time_column": "day"}), {**make_table(ROWS), "day": day}, trials=2)
    assert all(len(trial.parts) == 2 for trial in tuned.trials)
    assert any("2 periods of time" in note for note in tuned.notes)


def test_a_search_of_everything_ends_by_itself(place: Path, make_table: Callable[..., Any]) -> None:
    raw = changed(
        SMALL, tune={"search_space": {"model.members.net.encoder.dropout": [0.0, 0.5]}, "other_fields": "keep"}
    )
    tuned = search(raw, make_table(ROWS), trials=9)
    assert len(tuned.trials) == 2
    assert any("had been tried" in note for note in tuned.notes)


@pytest.mark.parametrize("budget", ["soon", "20 parsecs", 0, -3, "0s", True])
def test_a_wrong_budget_is_told_with_its_value(place: Path, make_table: Callable[..., Any], budget: Any) -> None:
    with pytest.raises(SpecError, match="budget") as caught:
        tune(SMALL, make_table(30), budget=budget)
    assert repr(budget) in str(caught.value)
    assert "20m" in str(caught.value)
    assert not (place / "runs").exists()


def test_something_must_say_when_to_end(place: Path, make_table: Callable[..., Any]) -> None:
    with pytest.raises(SpecError, match="nothing says when the search is to end"):
        tune(SMALL, make_table(30))


def test_the_final_training_may_not_take_the_whole_budget(place: Path, make_table: Callable[..., Any]) -> None:
    raw = changed(SMALL, train={"budget": {"time": "10m"}})
    with pytest.raises(SpecError, match="10 min") as caught:
        tune(raw, make_table(30), budget="12m")
    assert "--no-train" in caught.value.hint


def test_a_budget_is_kept_and_its_shares_are_told(place: Path, make_table: Callable[..., Any]) -> None:
    raw = changed(SMALL, train={"optimizer": "adamw", "batch_size": 32})
    started = time.monotonic()
    tuned = tune(raw, make_table(ROWS), budget=12)
    assert tuned.bundle is not None
    assert tuned.bundle.resolved.train.budget.time == 3.0
    assert any("9.0 s for trials" in note and "at most 3.0 s for the final training" in note for note in tuned.notes)
    assert time.monotonic() - started < 120  # judging comes on top, and machines may be busy
    assert read_json(tuned.folder / "study.json")["fit_seconds"] == pytest.approx(9 / 10 / 3)
    spent = sum(trial.seconds for trial in tuned.trials)
    longest = max(trial.seconds for trial in tuned.trials)
    assert spent <= 9 + longest


def test_a_budget_may_be_raised_when_a_search_is_resumed(place: Path, make_table: Callable[..., Any]) -> None:
    raw = changed(SMALL, train={"optimizer": "adamw", "batch_size": 32})
    out = place / "search"
    first = tune(raw, make_table(ROWS), budget=4, trials=1, train=False, out=out)
    (out / "study.json").write_text(json.dumps(read_json(out / "study.json") | {"state": "partial"}))
    more = tune(raw, make_table(ROWS), budget=100, trials=2, train=False, out=out, resume=True)
    assert list(more.trials[:1]) == list(first.trials)
    assert len(more.trials) == 2
    assert read_json(out / "study.json")["fit_seconds"] == pytest.approx(4 / 10 / 3, abs=1e-3)
    assert any("each fit at most 0.1 s" in note for note in more.notes)


def test_without_optuna_one_message_names_the_extra(
    place: Path, make_table: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SpecError, match="Optuna, which is not installed") as caught:
        tune(SMALL, make_table(30), trials=1)
    assert caught.value.hint == "pip install 'trueweight[tune]'"


def test_a_resumed_search_must_be_the_same(place: Path, make_table: Callable[..., Any]) -> None:
    out = place / "search"
    search(SMALL, make_table(ROWS), trials=1, out=out)
    facts = json.loads((out / "study.json").read_text())
    (out / "study.json").write_text(json.dumps({**facts, "state": "partial"}))
    with pytest.raises(TrainError, match="another table of data"):
        search(SMALL, make_table(ROWS + 9), out=out, resume=True)
    with pytest.raises(TrainError, match="another spec or space"):
        search(SMALL, make_table(ROWS), out=out, resume=True, seed=3)
    with pytest.raises(TrainError, match="not empty"):
        search(SMALL, make_table(ROWS), out=out)
    assert len(search(SMALL, make_table(ROWS), trials=2, out=out, resume=True).trials) == 2
    (out / "trials.jsonl").write_text('{"number": "one"}\n')
    (out / "study.json").write_text(json.dumps({**facts, "state": "partial"}))
    with pytest.raises(VerifyError, match=r"trials.jsonl:1"):
        search(SMALL, make_table(ROWS), out=out, resume=True)


def test_it_is_a_verb_of_the_package() -> None:
    assert trueweight.tune is tune
