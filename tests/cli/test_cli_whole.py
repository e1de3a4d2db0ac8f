"""The commands one after the other, as a stranger types them, with nothing replaced."""

import csv
import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

TRUEWEIGHT = [sys.executable, "-m", "trueweight"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 240 claims of which two columns tell most, one of them by words."""
    folder = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
    size, kind = rng.normal(size=240), rng.integers(0, 3, 240)
    fraud = size + (kind == 2) + rng.normal(scale=0.7, size=240) > 0.7
    with (folder / "claims.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["claim.size", "kind", "fraud"])
        words = (("fire", "water", "theft")[k] for k in kind)
        rows.writerows([f"{s:.4f}", w, "yes" if f else "no"] for s, w, f in zip(size, words, fraud, strict=True))
    return folder


def call(place: Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    own = {f"TRUEWEIGHT_{name}": str(place / name.lower()) for name in ("CACHE", "STATE")}
    command = [*TRUEWEIGHT, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=place, input=text, env=os.environ | own
    )


def fine(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(place: Path) -> subprocess.CompletedProcess[str]:
    fine(call(place, "init", "claims.csv", "--target", "fraud", "-o", "claims.yaml"))
    settings: Sequence[str] = ["--set", "model.preset=fast", "--set", 'features."claim.size".type=number']
    return call(place, "train", "claims.yaml", *settings, "--out", "run")


def bundle(trained: subprocess.CompletedProcess[str]) -> str:
    return fine(trained).splitlines()[-1]


def test_train_tells_the_path_and_the_table(trained: subprocess.CompletedProcess[str], place: Path) -> None:
    assert fine(trained) == f"{bundle(trained)}\n"
    assert (place / bundle(trained) / "manifest.json").exists()
    assert "\nTest: 48 rows, look 1" in f"\n{trained.stderr}"
    assert "Better than constant?" in trained.stderr


def test_settings_are_recorded(trained: subprocess.CompletedProcess[str], place: Path) -> None:
    assert "preset: fast" in (place / bundle(trained) / "spec.yaml").read_text()


def test_predict_answers_in_order(trained: subprocess.CompletedProcess[str], place: Path) -> None:
    rows = "claim.size,kind\n3,theft\n-3,fire\n"
    answers = fine(call(place, "predict", bundle(trained), "-", text=rows)).splitlines()
    assert answers[0] == "fraud,fraud.p[yes],fraud.set"
    assert [line.split(",")[0] for line in answers[1:]] == ["yes", "no"]


def test_verify_and_evaluate(trained: subprocess.CompletedProcess[str], place: Path) -> None:
    path = bundle(trained)
    found = json.loads(fine(call(place, "verify", path, "--recompute", "--data", "claims.csv", "--json")))
    assert (found["unchanged"], found["signed_by"], found["reproduced"]) == (True, None, True)
    assert fine(call(place, "evaluate", path, "claims.csv", "--by", "Ann <ann@x.org>")).startswith("Data: 240 rows")
    told = fine(call(place, "show", path)).splitlines()
    line = told[told.index("Measured later:") + 1]
    assert "240 rows   fraud roc_auc 1" in line or "240 rows   fraud roc_auc 0." in line
    assert "raised" not in line
    assert line.endswith("by Ann <ann@x.org>")


def test_a_gate_says_no_with_6(trained: subprocess.CompletedProcess[str], place: Path) -> None:
    path = bundle(trained)
    rule = "- {target: fraud, metric: roc_auc, at_least: 0.6}\n"
    (place / "policy.yaml").write_text(f"gates:\n{rule}- {{target: fraud, metric: acuracy, at_least: 0}}\n")
    done = call(place, "gate", path, "policy.yaml", "--junit", "gate.xml")
    assert done.returncode == 6
    first, second = done.stdout.splitlines()
    assert first.startswith("pass  fraud roc_auc at least 0.6: ")
    assert second == "FAIL  fraud acuracy at least 0: not measured; did you mean 'accuracy'?"
    assert "<testcase" in (place / "gate.xml").read_text()
    (place / "easy.yaml").write_text(f"gates:\n{rule}")
    assert call(place, "gate", path, "easy.yaml").returncode == 0


def test_the_line_that_show_offers_can_be_pasted(trained: subprocess.CompletedProcess[str], place: Path) -> None:
    line = fine(call(place, "show", bundle(trained))).splitlines()[-1]
    typed = line.replace("trueweight predict", " ".join([*TRUEWEIGHT, "predict"]))
    done = subprocess.run(["bash", "-c", typed], capture_output=True, text=True, check=False, cwd=place)
    assert fine(done).splitlines()[0] == "fraud,fraud.p[yes],fraud.set"


def test_a_changed_bundle_exits_with_5(trained: subprocess.CompletedProcess[str], place: Path) -> None:
    changed = place / "changed.bundle"
    subprocess.run(["cp", "-r", place / bundle(trained), changed], check=True)
    with (changed / "evidence.json").open("a") as file:
        file.write(" ")
    assert call(place, "verify", str(changed)).returncode == 5


def test_check_is_quick(trained: subprocess.CompletedProcess[str], place: Path) -> None:
    fine(trained)
    seconds: list[float] = []
    while len(seconds) < 3 or (min(seconds) >= 0.8 and len(seconds) < 9):  # neighbours take caches, not the promise
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "240 rows" in fine(call(place, "check", "claims.yaml"))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.8


def test_check_does_without_torch_and_pandas(trained: subprocess.CompletedProcess[str], place: Path) -> None:
    fine(trained)
    program = "import sys; from trueweight.cli.main import run; code = run(['check', 'claims.yaml']);"
    program += "assert not {'torch', 'pandas'} & set(sys.modules); sys.exit(code)"
    fine(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=place))


def test_arrow_gives_data_frames_though_pandas_was_left_out() -> None:
    program = "import sys; from trueweight.cli.machine import leave_pandas_out; leave_pandas_out();"
    program += "import pyarrow as pa; table = pa.table({'a': [1]}); assert 'pandas' not in sys.modules;"
    program += "assert table.to_pandas().a[0] == 1; import pandas as pd;"
    program += "assert pa.table(pd.DataFrame({'a': [1]})) == table; assert pa.array(pd.Series([1]))[0].as_py() == 1"
    fine(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False))
