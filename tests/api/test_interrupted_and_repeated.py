"""Ctrl-C keeps the best so far; the same request gives the same bits; folders are never shared."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from trueweight import api
from trueweight.cli.main import run
from trueweight.data import blocks
from trueweight.data.table import Table
from trueweight.errors import DataError, SpecError, TrainError
from trueweight.files import locked
from trueweight.spec.load import parse_spec
from trueweight.train import watch
from trueweight.train.descent import Descent
from trueweight.train.encoded import encode
from trueweight.train.plan import Plan
from trueweight.train.prepare import prepare
from trueweight.train.runs import open_run

NET = {"type": "mlp", "hidden_sizes": [16], "members": 2, "dropout": 0.2}
MEMBERS = [
    {"name": "line", "encoder": "linear", "fusion": "concat", "fitter": "solve"},
    {"name": "net", "encoder": NET, "fusion": "concat", "fitter": "gradient"},
]


def request(**train: Any) -> dict[str, Any]:
    return {
        "name": "rows",
        "targets": {"won": "binary", "cost": "number"},
        "model": {"members": MEMBERS},
        "train": {"budget": {"steps": 40} | train},
        "evaluate": {"interval": {"n_resamples": 100}},
    }


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def state(folder: Path | str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "run.json").read_text())
    return found


# Ctrl-C


def press_when_it_descends(folder: Path, process: "subprocess.Popen[str]") -> None:
    plan = folder / "plan.json"
    while process.poll() is None and not (plan.exists() and "net" in plan.read_text()):
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)


def test_ctrl_c_keeps_the_best_so_far(tmp_path: Path, make_csv: Any, make_table: Any) -> None:
    make_csv(tmp_path / "rows.csv", make_table(200))
    raw = request(steps=400_000) | {"data": {"source": "rows.csv"}}
    (tmp_path / "rows.yaml").write_text(json.dumps(raw))
    command = [sys.executable, "-m", "trueweight", "train", "rows.yaml", "--out", "run", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    planned = threading.Thread(target=press_when_it_descends, args=(tmp_path / "run", process))
    planned.start()
    out, err = process.communicate(timeout=60)
    planned.join()
    assert process.returncode == 130, err
    assert "partial" in err
    bundle = api.load(json.loads(out)["bundle"])
    assert bundle.evidence.find("fit/partial").status == "measured"
    said = "the model is partial: training was stopped before its end"
    assert said in err and said in (bundle.path / "MODEL_CARD.md").read_text().lower()
    assert any(e.id.startswith("fit/1/event") and "stop" in str(e.value) for e in bundle.evidence)
    assert state("run")["state"] == "partial"
    found = api.verify(bundle.path, recompute=True, data=tmp_path / "rows.csv")
    assert found.ok, found.lines
    assert found.reproduced


@contextmanager
def pressed(number: int) -> Iterator[None]:
    """Ctrl-C at a step of every member, as the fit hears it."""
    real = Descent.after

    def after(self: Descent, step: Any) -> None:
        real(self, step)
        if step.number == number:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.MonkeyPatch.context() as only:
        only.setattr(Descent, "after", after)
        yield


def test_a_partial_run_can_be_replayed_and_can_go_on(make_table: Any, weights: Any) -> None:
    data = make_table(200)
    whole = api.train(data, spec=request(), out="whole")
    with pressed(17):
        partial = api.train(data, spec=request(), out="run")
    assert partial.evidence.find("fit/partial").value
    again = api.train(data, spec=request(), out="again", plan=partial.path / "plan.json")
    assert weights(again.path) == weights(partial.path)
    # Nothing that was told is taken away: the whole model comes beside the partial one.
    done = api.train(data, spec=request(), out="run", resume=True)
    assert done.path.name == "rows-2.bundle"
    assert weights(done.path) == weights(whole.path)
    assert api.load(partial.path).path == partial.path
    assert state("run")["state"] == "finished"


# The same again


def test_the_same_request_gives_the_same_bits(make_table: Any, weights: Any, facts: Any) -> None:
    data = make_table(200)
    one = api.train(data, spec=request(), out="one")
    two = api.train(data, spec=request(), out="two", plan="one/plan.json")
    assert weights(one.path) == weights(two.path)
    assert facts(one) == facts(two)
    other = api.train(data, spec=request(), out="other", seed=1)
    assert weights(other.path) != weights(one.path)
    assert set(facts(other)) == set(facts(one))


def test_a_replay_reads_no_clock(make_table: Any, weights: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    data, wish = make_table(200), request() | {"train": {"budget": {"time": "300ms"}}}
    timed = api.train(data, spec=wish, out="timed")
    assert {m.clock for m in Plan.read(Path("timed/plan.json")).members} == {True}
    later = iter(range(0, 10**9, 1000))
    monkeypatch.setattr(watch.Stopwatch, "seconds", lambda self: float(next(later)))
    again = api.train(data, spec=wish, out="again", plan="timed/plan.json")
    assert weights(again.path) == weights(timed.path)
    assert {m.clock for m in Plan.read(Path("again/plan.json")).members} == {False}


def test_a_plan_of_another_spec_is_refused(make_table: Any) -> None:
    data = make_table(120)
    Plan().write(Path("plan.json"))
    with pytest.raises(SpecError, match="says nothing about the member 'net'"):
        api.train(data, spec=request(), out="run", plan="plan.json")
    assert not Path("run").exists()


def test_a_resumed_run_asks_for_the_same(make_table: Any) -> None:
    data = make_table(200)
    with pressed(9):
        api.train(data, spec=request(), out="run")
    with pytest.raises(SpecError, match="another spec"):
        api.train(data, spec=request(), out="run", resume=True, seed=3)
    with pytest.raises(DataError, match="the data has changed"):
        api.train(make_table(200, seed=1), spec=request(), out="run", resume=True)
    assert state("run")["state"] == "partial"


# Folders


def test_two_runs_in_one_folder(make_csv: Any, make_table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    make_csv(Path("rows.csv"), make_table(120))
    with open_run("rows", Path("run"), resume=False):
        assert run(["train", "rows.csv", "--target", "won", "--out", "run"]) == 4
    said = capsys.readouterr().err
    assert f"another process (pid {os.getpid()}) is training here" in said
    assert "--out" in said


def test_a_folder_that_holds_a_run_is_refused(make_table: Any) -> None:
    fast = {"targets": {"cost": "number"}, "model": {"preset": "fast"}}
    api.train(make_table(120), spec=fast, out="run")
    with pytest.raises(TrainError, match="already holds a finished run"):
        api.train(make_table(120), spec=fast, out="run")


def test_two_runs_at_once_get_folders_of_their_own() -> None:
    with open_run("rows", None, resume=False) as one, open_run("rows", None, resume=False) as two:
        assert {one.folder.name, two.folder.name} == {"rows-01", "rows-02"}


def test_the_newest_run_of_this_very_name_is_resumed() -> None:
    for folder in ("runs/rows-2-01", "runs/rows-99", "runs/rows-100"):
        with open_run("any", Path(folder), resume=False) as one:
            one.begin("", "", "", [])
    with open_run("rows", None, resume=True) as again:
        assert again.folder.name == "rows-100"
    with open_run("rows-2", None, resume=True) as again:
        assert again.folder.name == "rows-2-01"
    with pytest.raises(TrainError, match="no unfinished run of 'row'"), open_run("row", None, resume=True):
        pass


def test_a_resumed_run_drops_bundles_of_its_own_names_alone() -> None:
    names = ["rows.bundle", "rows-01.bundle", "rows-2-01.bundle", "rows-2.bundle"]
    with open_run("rows", Path("run"), resume=False) as one:
        one.begin("", "", "", ["rows"])
    for name in names:
        Path("run", name).mkdir()
    with open_run("rows", Path("run"), resume=True) as again:
        again.begin("", "", "", ["rows"])
    assert [name for name in names if Path("run", name).exists()] == ["rows-2-01.bundle"]


def test_tables_without_a_digest_share_no_block(make_table: Any) -> None:
    wish = {"targets": {"cost": "number"}, "model": {"preset": "fast"}, "data": {"primary_key": "x"}}
    first, other = make_table(120), make_table(120, 1)
    for data in (first, other):
        ready = prepare(Table.of(data), parse_spec(wish))
        kept, fresh = (encode(ready, keep=keep).inputs["table"] for keep in (True, False))
        assert {name: array.tolist() for name, array in kept.items()} == {
            name: array.tolist() for name, array in fresh.items()
        }
    assert not (blocks.cache_dir() / "blocks").exists()


def test_a_second_run_waits_for_a_block(make_table: Any, weights: Any) -> None:
    data, wish = make_table(150), {"targets": {"cost": "number"}, "model": {"preset": "fast"}}
    one = api.train(data, spec=wish, out="one")
    folder = next(p for p in (blocks.cache_dir() / "blocks").iterdir() if not p.name.endswith(".part"))
    folder.rename(folder.with_name("gone"))
    found: list[Any] = []
    with locked(folder.with_name(f"{folder.name}.part"), purpose="encoding data"):
        second = threading.Thread(target=lambda: found.append(api.train(data, spec=wish, out="two")))
        second.start()
        time.sleep(0.4)
        assert not found  # it waits for us
        folder.with_name("gone").rename(folder)
    second.join(timeout=30)
    assert weights(found[0].path) == weights(one.path)
