"""What the commands say and return, with a stand-in for ``api``."""

import importlib
import json
import logging
import os
import resource
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import trueweight
from trueweight.cli.main import SECTIONS, cli, run
from trueweight.errors import DataError, GateError, SpecError, TrainError, VerifyError
from trueweight.evidence.record import Data, Entry, Evidence, Interval
from trueweight.explain.record import Attribution, Change, Explanation, Explanations, Part, Weight
from trueweight.explain.record import Curve as DependenceCurve
from trueweight.files import locked
from trueweight.progress import advance
from trueweight.registry import KINDS, registry

EVIDENCE = Evidence(
    (
        Entry(
            id="quality/fraud/roc_auc/test", axis="quality", metric="roc_auc", target="fraud", value=0.8312,
            interval=Interval(0.79, 0.87, 0.95, "bootstrap"), n=442, data=Data("sha256:0", "test"),
        ),
    )
)  # fmt: skip


@dataclass
class FakeBundle:
    path: Path = Path("runs/claims-01/claims.bundle")
    name: str = "claims"
    evidence: Evidence = EVIDENCE
    resolved: Any = field(default_factory=lambda: SimpleNamespace(gates=[]))


@dataclass
class FakeVerification:
    unchanged: bool = True
    signed_by: str | None = None
    reproduced: bool | None = None
    lines: list[str] = field(default_factory=lambda: ["unchanged: yes", "signed by: nobody", "reproduced: not asked"])

    @property
    def ok(self) -> bool:
        return self.unchanged and self.reproduced is not False


class FakeApi(ModuleType):
    """Remembers calls; ``answers`` says what comes back, or is raised."""

    def __init__(self) -> None:
        super().__init__("trueweight.api")
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.answers: dict[str, Any] = {"train": FakeBundle(), "load": FakeBundle(), "verify": FakeVerification()}
        self.refuses: dict[str, BaseException] = {}

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append((name, arguments, options))
            answer = self.answers[name]
            if isinstance(answer, BaseException):
                raise answer
            answer = answer() if callable(answer) else answer
            if measured := options.get("measured"):
                measured(answer)
            if name in self.refuses:  # once it has measured
                raise self.refuses[name]
            return answer

        return call


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    fake = FakeApi()
    monkeypatch.setitem(sys.modules, "trueweight.api", fake)
    monkeypatch.setattr(trueweight, "api", fake, raising=False)
    for command in (
        "train",
        "predict",
        "evaluate",
        "explain",
        "diff",
        "verify",
        "show",
    ):  # threads are not theirs to set here
        monkeypatch.setattr(importlib.import_module(f"trueweight.cli.{command}"), "prepare_torch", lambda: None)
    level = logging.getLogger("trueweight").level
    yield fake
    logging.getLogger("trueweight").setLevel(level)


def test_help_groups_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    told = capsys.readouterr().out
    assert [line[:-1] for line in told.splitlines() if line in ("Make:", "Ask:", "Judge:", "Help:")] == list(SECTIONS)
    assert {c.name for commands in SECTIONS.values() for c in commands} == set(cli.commands)


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    told = capsys.readouterr().out
    assert "trueweight " in told.split("Options:")[0].split("\n", 1)[1] or name == "doctor"
    for parameter in cli.commands[name].params:
        assert parameter.param_type_name == "argument" or parameter.help or parameter.name == "help"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope"], "No such command 'nope'"),
        (["train"], "Missing argument 'SOURCE...'"),
        (["train", "x.csv"], "Say --target COLUMN"),
        (["train", "x.yaml", "--target", "y"], "names its targets itself"),
        (["train", "x.csv", "--target", "y", "--seed", "-1"], "--seed"),
        (["train", "x.csv", "--target", "y", "--plan", "nowhere.json"], "nowhere.json"),
        (["predict", "b", "x.csv", "--format", "xml"], "'xml' is not one of"),
        (["verify", "b", "--recompute"], "add --data SOURCE"),
        (["verify", "b", "--data", "x"], "--data is for --recompute"),
        (["parts", "wheel"], "'wheel' is not one of"),
        (["init", "x.csv"], "Missing option"),
        (["cache", "burn"], "'burn' is not one of"),
        (["check", "x.yaml", "--nope"], "No such option"),
    ],
)  # fmt: skip
def test_wrong_usage_exits_with_2(
    arguments: list[str], words: str, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert not told.out
    assert not api.calls


def test_json_is_a_spec_or_rows(api: FakeApi) -> None:
    assert run(["train", "rows.json", "--target", "fraud"]) == 0
    assert run(["train", "spec.json"]) == 0
    rows, spec = (options for name, _, options in api.calls if name == "train")
    assert (rows["data"], rows["target"]) == ("rows.json", ["fraud"])
    assert spec["spec"] == "spec.json"


@pytest.mark.parametrize(
    ("error", "code"),
    [(SpecError("x"), 2), (DataError("x"), 3), (TrainError("x"), 4), (VerifyError("x"), 5), (GateError("x"), 6),
     (KeyboardInterrupt(), 130), (MemoryError(), 4), (OSError(28, "No space left on device", "/disk"), 4),
     (RuntimeError("x"), 70), (KeyError("x"), 70), (OSError("odd"), 70)],
    ids=repr,
)  # fmt: skip
def test_errors_become_exit_codes(
    error: BaseException, code: int, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers["train"] = error
    assert run(["train", "x.csv", "--target", "y"]) == code
    told = capsys.readouterr()
    assert not told.out
    assert "error: " in told.err
    assert "Traceback" not in told.err


def test_our_errors_are_told_as_they_are(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.answers["check"] = SpecError("no such option", where="a.yaml:3:1", hint="did you mean 'train'?")
    assert run(["check", "a.yaml"]) == 2
    assert capsys.readouterr().err == "error: a.yaml:3:1: no such option\n  hint: did you mean 'train'?\n"


def test_a_fault_of_ours_is_kept_in_a_file(
    api: FakeApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answers["train"] = ZeroDivisionError("division by zero")
    assert run(["train", "x.csv", "--target", "y"]) == 70
    told = capsys.readouterr().err
    assert told.startswith("error: unexpected ZeroDivisionError: division by zero\n  This is a fault of trueweight")
    [file] = (Path(os.environ["TRUEWEIGHT_STATE"]) / "crashes").iterdir()
    assert str(file) in told
    assert "Traceback" in file.read_text()
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    monkeypatch.setenv("TRUEWEIGHT_DEBUG", "1")
    assert run(["train", "x.csv", "--target", "y"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_a_fault_is_told_even_when_nothing_can_be_written(
    api: FakeApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRUEWEIGHT_STATE", str(tmp_path / "file" / "below"))
    api.answers["train"] = ZeroDivisionError("division by zero")
    assert run(["train", "x.csv", "--target", "y"]) == 70
    assert "TRUEWEIGHT_DEBUG=1" in capsys.readouterr().err


def test_the_last_line_of_train_is_the_path_alone(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "claims.csv", "--target", "fraud"]) == 0
    told = capsys.readouterr()
    assert told.out == "runs/claims-01/claims.bundle\n"
    assert told.err.startswith("Test: 442 rows")


def test_train_passes_everything_on(api: FakeApi, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text("{}")
    arguments = ["train", "c.csv", "--target", "a", "--predict", "b", "--budget", "2m", "--out", "o", "--seed", "3"]
    arguments += ["--name", "n", "--resume", "--plan", str(plan), "--sealed", "--set", "a.b=c", "--set", "d=1"]
    assert run(arguments) == 0
    [(name, positional, options)] = api.calls
    assert (name, positional) == ("train", ())
    assert options == {
        "data": "c.csv", "target": ["a", "b"], "budget": "2m", "out": Path("o"), "seed": 3, "name": "n",
        "resume": True, "plan": plan, "sealed": True, "settings": ["a.b=c", "d=1"],
        "prepared": importlib.import_module("trueweight.cli.train").prepare_torch,
    }  # fmt: skip


def test_train_takes_a_spec(api: FakeApi) -> None:
    assert run(["train", "claims.yaml"]) == 0
    [(_, _, options)] = api.calls
    assert options["spec"] == "claims.yaml"
    assert "data" not in options


def test_train_for_programs(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "claims.yaml", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["bundle"] == "runs/claims-01/claims.bundle"
    assert found["evidence"][0]["id"] == "quality/fraud/roc_auc/test"


def test_a_run_that_was_stopped_keeps_its_bundle_and_says_so(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    partial = Entry(id="fit/partial", axis="cost", metric="partial", value="stopped before its end")
    api.answers["train"] = FakeBundle(evidence=Evidence((*EVIDENCE.entries, partial)))
    assert run(["train", "claims.yaml"]) == 130
    told = capsys.readouterr()
    assert told.out == "runs/claims-01/claims.bundle\n"
    assert "partial" in told.err


def test_the_linear_model_beside_the_bundle_is_mentioned(
    api: FakeApi, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "linear.bundle").mkdir()
    api.answers["train"] = FakeBundle(path=tmp_path / "claims.bundle")
    assert run(["train", "claims.yaml"]) == 0
    assert f"The linear model is kept too: {tmp_path / 'linear.bundle'}" in capsys.readouterr().err


COLUMNS = {"id": np.array(["a", "b"]), "fraud": np.array(["no", "yes"]), "fraud.p[yes]": np.array([0.25, 0.75])}


@pytest.mark.parametrize("option", [["-o", "answers.csv"], ["--format", "csv", "-o", "answers.csv"]])
def test_predict_writes_a_file(
    option: Sequence[str], api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    api.answers["predict"] = COLUMNS
    assert run(["predict", "b", "x.csv", *option]) == 0
    assert Path("answers.csv").read_text().splitlines() == ["id,fraud,fraud.p[yes]", "a,no,0.25", "b,yes,0.75"]


def test_predict_takes_the_format_from_the_name(api: FakeApi, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    api.answers["predict"] = COLUMNS
    assert run(["predict", "b", "-", "-o", str(tmp_path / "a.parquet")]) == 0
    assert pq.read_table(tmp_path / "a.parquet").column_names == list(COLUMNS)
    assert run(["predict", "b", "-", "-o", str(tmp_path / "a.jsonl")]) == 0
    assert json.loads((tmp_path / "a.jsonl").read_text().splitlines()[0])["fraud"] == "no"
    assert api.calls[-1][1][1] == "-"


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv.gz", "a.TSV", "a.json"])
def test_predict_writes_no_csv_under_another_kind_s_name(
    api: FakeApi, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers["predict"] = COLUMNS
    assert run(["predict", "b", "x.csv", "-o", str(tmp_path / name)]) == 2
    assert f"answers are not written as {Path(name).suffix.lower()}: name a file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert run(["predict", "b", "x.csv", "-o", str(tmp_path / name), "--format", "csv"]) == 0


def test_predict_keeps_the_rows_that_it_answers(
    api: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers["predict"] = COLUMNS
    rows = tmp_path / "rows.csv"
    rows.write_text("x\n1\n")
    assert run(["predict", "b", str(rows), "-o", str(tmp_path / "." / "rows.csv")]) == 2
    assert "rows.csv holds the rows to answer: name another file" in capsys.readouterr().err
    assert rows.read_text() == "x\n1\n"


def test_predict_writes_to_standard_output(api: FakeApi, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    api.answers["predict"] = COLUMNS
    assert run(["predict", "b", "x.csv"]) == 0
    assert capfdbinary.readouterr().out.startswith(b"id,fraud,fraud.p[yes]\n")


def test_parts_of_others_must_be_allowed(api: FakeApi, tmp_path: Path) -> None:
    api.answers["predict"] = COLUMNS
    assert run(["predict", "b", "x", "--allow", "theirs", "-o", str(tmp_path / "a.csv")]) == 0
    assert api.calls[0][2] == {"allow": ("theirs",)}


def test_evaluate_prints_the_table_or_json(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.answers["evaluate"] = EVIDENCE
    assert run(["evaluate", "runs/c.bundle", "later.csv"]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("Test: 442 rows")
    assert "runs/c.evidence" in told.err
    assert "the checks found" not in told.err
    drifted = Entry(id="drift/drift_flag/other", axis="drift", metric="drift_flag", value=1, reason="other people")
    api.answers["evaluate"] = Evidence((*EVIDENCE, drifted))
    assert run(["evaluate", "runs/c.bundle", "later.csv", "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["schema"] == 1
    assert "What the checks found:\n  other people\n" in told.err


@contextmanager
def full_disk() -> Iterator[None]:
    """Nothing can be written to any file, as on a disk that is full. No fixture: pytest's own report may be a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def explanations() -> Explanations:
    weights = (Weight("年龄", 0.25, None, "accuracy"), Weight("income", 0.125, None, "accuracy"))
    share = Attribution(0, "1", 0.208, 0.5, (Part("年龄", (), "31"), Part("income", (), "2")), (-0.2, -0.092))
    number = Attribution(0, "", 31.5, 30.0, (Part("income", (), "2"),), (1.5,))
    curve = DependenceCurve("income", "1", (1.0, 9.0), (0.2, 0.7), (0.1, 0.6), (0.3, 0.8), (0.5, 0.5))
    change = Change(0, "1", "0", (("income", "2", "3"),), 0.1)
    entries = [("importance", "y", weights), ("shapley", "y", (share,)), ("occlusion", "z", (number,)),
               ("dependence", "y", (curve,)), ("counterfactual", "y", (change,))]  # fmt: skip
    return Explanations(tuple(Explanation(method, target, items) for method, target, items in entries))


@pytest.mark.parametrize("name", ["why.json", "why.csv"])
def test_what_was_explained_is_told_though_it_cannot_be_written(
    name: str, api: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers["explain"] = explanations()
    with full_disk():
        code = run(["explain", "b", "x.csv", "-o", str(tmp_path / name)])
    assert code == 4
    told = capsys.readouterr()
    assert "row 0: probability of 1: 0.208, usually 0.500" in told.out
    assert told.err.startswith(f"error: {tmp_path}: no space left for {name}\n")
    assert "kept in" not in told.err
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_explained(
    api: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "b", "x.csv", "-o", str(tmp_path / "nowhere" / "why.json")]) == 4
    assert f"the folder {tmp_path / 'nowhere'} does not exist" in capsys.readouterr().err
    assert not api.calls


def test_explanations_are_read_whatever_the_answers_and_columns_are_called(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers["explain"] = explanations()
    assert run(["explain", "b", "x.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == [
        "           accuracy   95 % interval",
        "  年龄        0.250",
        "  income      0.125",
    ]
    for said in ("  row 0: answer 31.5, usually 30", "  row 0: answer 1 would be 0 with income 2 → 3",
                 "  income: probability of 1 from 0.2 at 1 to 0.7 at 9", "    年龄 31    −0.200"):  # fmt: skip
        assert said in lines


def test_what_was_measured_is_told_though_it_cannot_be_kept(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.answers["evaluate"] = EVIDENCE
    api.refuses["evaluate"] = TrainError("no space left for 2026.json", where="c.evidence")
    assert run(["evaluate", "runs/c.bundle", "later.csv"]) == 4
    told = capsys.readouterr()
    assert told.out.startswith("Test: 442 rows")
    assert "error: c.evidence: no space left for 2026.json" in told.err
    assert "kept in" not in told.err


@pytest.mark.parametrize(
    ("found", "code"),
    [(FakeVerification(), 0), (FakeVerification(unchanged=False), 5), (FakeVerification(reproduced=False), 5)],
)
def test_verify_says_three_words(
    found: FakeVerification, code: int, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.answers["verify"] = found
    assert run(["verify", "b"]) == code
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "unchanged", "signed by", "reproduced",
    ]  # fmt: skip
    assert run(["verify", "b", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["unchanged"] is found.unchanged


def test_show_prints_facts_evidence_and_a_line_to_try(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.answers["show"] = {
        "name": "claims", "path": "runs/claims.bundle", "rows": 12345,
        "columns": [{"name": "age", "role": "feature", "type": "number", "why": "x", "summary": "mean 29.6"}],
        "evidence": EVIDENCE.to_json()["entries"],
        "predict": "printf 'age\\n3\\n' | trueweight predict runs/claims.bundle -",
    }  # fmt: skip
    assert run(["show", "runs/claims.bundle"]) == 0
    told = capsys.readouterr().out
    for words in ("12,345", "mean 29.6", "Test: 442 rows", "printf 'age"):
        assert words in told
    assert run(["show", "runs/claims.bundle", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == api.answers["show"]


def test_show_tells_what_memory_a_spec_needs(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    parts = {"weights": 4e6, "gradients": 4e6, "optimizer": 8e6, "copies": 24e6, "activations": 5e6, "rows": 1000}
    member = {"name": "mlp", "fitter": "gradient", "parameters": 1_000_000, "batch_size": 64, **parts, "total": 45e6}
    member |= {"between": 8e6, "whole": 45e6}
    api.answers["memory"] = [{"name": "linear", "fitter": "solve", "parameters": 7}, member]
    assert run(["show", "--memory", "claims.yaml"]) == 0
    told = capsys.readouterr().out
    sizes = ("5.0 MB   of one batch", "45.0 MB   of the whole fit")
    for words in ("linear: solved", "mlp: 1,000,000 weights, 64 rows a step", *sizes):
        assert words in told
    assert run(["show", "--memory", "claims.yaml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == api.answers["memory"]


def test_check_prints_its_lines(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass
    class Report:
        lines: list[str]

    api.answers["check"] = Report(["claims.csv: 3 rows", "split: random"])
    assert run(["check", "claims.yaml", "--set", "seed=3"]) == 0
    assert capsys.readouterr().out == "claims.csv: 3 rows\nsplit: random\n"
    assert api.calls == [("check", (Path("claims.yaml"),), {"settings": ("seed=3",)})]


def test_init_prints_or_writes_but_never_over_a_file(
    api: FakeApi, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("specs").mkdir()
    api.answers["init"] = "version: 1\n"
    assert run(["init", "claims.csv", "--target", "fraud"]) == 0
    assert capsys.readouterr().out == "version: 1\n"
    assert run(["init", "claims.csv", "--target", "fraud", "-o", "specs/c.yaml"]) == 0
    assert Path("specs/c.yaml").read_text() == "version: 1\n"
    assert api.calls[-1][1] == ("../claims.csv", ["fraud"])  # as seen from the spec
    assert "next: trueweight check specs/c.yaml" in capsys.readouterr().err
    api.answers["init"] = "version: 2\n"
    assert run(["init", "claims.csv", "--target", "fraud", "-o", "specs/c.yaml"]) == 2
    assert Path("specs/c.yaml").read_text() == "version: 1\n"
    assert run(["init", "claims.csv", "--target", "fraud", "-o", "specs/c.yaml", "--force"]) == 0
    assert Path("specs/c.yaml").read_text() == "version: 2\n"
    assert run(["init", "claims.csv", "--target", "fraud", "-o", "nowhere/c.yaml"]) == 2


def test_parts_lists_every_part_with_its_origin(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["parts", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["kind"] for row in rows} == set(KINDS)
    assert [row["name"] for row in rows if row["kind"] == "head"] == list(registry("head"))
    assert all(row["origin"].startswith("trueweight ") for row in rows)
    broken = [row for row in rows if row["doc"].startswith("cannot be loaded") or not row["doc"]]
    assert not broken
    assert run(["parts", "fusion"]) == 0
    assert capsys.readouterr().out.split()[:2] == ["fusion", "concat"]


def test_a_broken_plugin_breaks_only_its_own_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def __getitem__(self, name: str) -> Any:
            raise ImportError("no module named numpie")

    class Listing:
        def __iter__(self) -> Iterator[str]:
            return iter(["fine", "wrong"])

        def origin(self, name: str) -> str:
            return "theirs 1.0"

        def __getitem__(self, name: str) -> Any:
            return FakeApi if name == "fine" else Broken()[name]

    monkeypatch.setattr(importlib.import_module("trueweight.cli.parts"), "registry", lambda kind: Listing())
    assert run(["parts", "fusion"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "Remembers calls" in lines[0]
    assert "cannot be loaded: ImportError: no module named numpie" in lines[1]


def test_clearing_leaves_what_a_run_is_writing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cache", "path"]) == 0
    blocks = Path(capsys.readouterr().out.strip()) / "blocks"
    for name in ("done", "killed.part", "growing.part"):
        (blocks / name).mkdir(parents=True)
        (blocks / name / "x.bin").write_bytes(b"x" * 2000)
    with locked(blocks / "growing.part", purpose="encoding data"):
        assert run(["cache", "clear"]) == 0
        assert [item.name for item in blocks.iterdir()] == ["growing.part"]
        assert (blocks / "growing.part" / "x.bin").exists()
        told = capsys.readouterr().err
        assert "cleared 4.0 KB" in told
        assert "1 of its blocks" in told
    assert run(["cache", "clear"]) == 0
    assert not blocks.exists()


def test_the_cache_can_be_listed_and_cleared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["cache", "path"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "blocks").mkdir()
    (folder / "blocks" / "a").write_bytes(b"x" * 1500)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("mine")
    (folder / "link").symlink_to(outside)
    assert run(["cache"]) == 0
    assert "1.5 KB  blocks" in capsys.readouterr().out
    assert run(["cache", "clear"]) == 0
    assert list(folder.iterdir()) == []
    assert (outside / "keep").exists()  # a link is removed, never followed


def test_doctor_says_what_is_there(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("trueweight.cli.doctor"), "prepare_torch", lambda: None)
    assert run(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["packages"]["torch"] != "missing"
    assert "mode 0700" in facts["cache"]
    assert run(["doctor"]) == 0
    assert "physical cores" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    told = capsys.readouterr().out
    assert f"_TRUEWEIGHT_COMPLETE={shell}_complete" in told


def test_progress_of_long_work_is_told_in_plain_lines(
    api: FakeApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bar = importlib.import_module("trueweight.cli.bar")
    clock = iter(float(5 * n) for n in range(100))
    monkeypatch.setattr(bar.time, "monotonic", lambda: next(clock))

    def work() -> FakeBundle:
        for step in range(5):
            advance("training mlp", 100 * step, 1000, unit="steps", note="log_loss 0.4")
        return FakeBundle()

    api.answers["train"] = work
    assert run(["train", "claims.yaml"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "training mlp: 100 of 1,000 steps, log_loss 0.4 after 5.0 s, 45 s left"
    assert len([line for line in told if line.startswith("training")]) == 2


@pytest.mark.parametrize(
    ("place", "code", "told"),
    [
        ("a" * 300, 4, "choose a shorter one"),
        ("/proc/x", 4, "choose another place"),
        ("/proc/self/fdinfo/x", 4, "choose another place"),
    ],
)
def test_odd_places_to_write_to(
    place: str, code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("x,y\n" + "1,a\n2,b\n3,a\n" * 9)
    for command in (["init", "rows.csv", "-t", "y", "-o", place], ["train", "rows.csv", "-t", "y", "--out", place]):
        assert run(command) == code
        said = capsys.readouterr().err
        assert told in said
        assert len(said) < 1000


def test_several_files_as_a_shell_spells_them_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        Path(f"{name}.csv").write_text("x,y\n" + "1,a\n2,b\n3,a\n" * 20)
    Path("both.yaml").write_text("data: {source: '*.csv'}\ntargets: {y: binary}\n")
    assert run(["train", "a.csv", "b.csv", "-t", "y", "--set", "model.preset=fast", "--out", "run"]) == 0
    assert capsys.readouterr().out == "run/a.bundle\n"
    assert json.loads(Path("run/a.bundle/signature.json").read_text())["columns"][0]["rows"] == 120
    assert run(["check", "both.yaml"]) == 0
    assert capsys.readouterr().out.startswith("a.csv and 1 more: 120 rows, 2 columns\n")


def test_init_writes_to_standard_output_when_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("x,y\n" + "1,a\n2,b\n3,a\n" * 9)
    assert run(["init", "rows.csv", "-t", "y", "-o", "-"]) == 0
    assert "targets:" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_a_device_without_end_is_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "/dev/zero"]) == 2
    assert "4,000,001 bytes are too many for a spec" in capsys.readouterr().err
    assert run(["train", "/dev/zero", "-t", "y"]) == 3
    assert "zero is a device, not a file" in capsys.readouterr().err


def test_a_command_leaves_logging_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    root, ours = logging.getLogger(), logging.getLogger("trueweight")
    before = (list(root.handlers), root.level, ours.level)
    assert run(["-v", "parts"]) == 0
    assert run(["parts", "--nonsense"]) == 2
    assert run(["check", "nowhere.yaml"]) == 2
    assert (list(root.handlers), root.level, ours.level) == before
