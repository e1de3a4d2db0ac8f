"""Bad input, as people type it: an exit code, words that help, and nothing lost. The rows are in ``bad_inputs.py``."""

import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trueweight.cli.main import run

_SPEC = importlib.util.spec_from_file_location("bad_inputs", Path(__file__).with_name("bad_inputs.py"))
assert _SPEC is not None and _SPEC.loader is not None
table = importlib.util.module_from_spec(_SPEC)
sys.modules["bad_inputs"] = table  # dataclasses look their module up there
_SPEC.loader.exec_module(table)

HELPS = ("hint:", "did you mean", "choose from", "leave out", "Usage:", "must be", "write ", "leave nothing", "NO.")
"""Each message holds one of these: what to do next."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "claims.csv").write_text(table.claims())
    arguments = ["train", str(folder / "claims.csv"), "-t", "fraud", *table.FAST, "--out", str(folder / "run")]
    assert run(arguments) == 0
    return folder / "run" / "claims.bundle"


@pytest.fixture
def place(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    return table.Place(tmp_path, lambda: Path(shutil.copytree(trained, tmp_path / "claims.bundle", symlinks=True)))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder; folders as well, with nothing in them."""
    paths = sorted(folder.rglob("*"))
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in paths}


@pytest.mark.parametrize("case", table.BAD_INPUTS, ids=lambda case: case.id)
def test_bad_input(case, place, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    arguments = case.arrange(place)
    before = contents(place.folder)
    code = run(arguments)
    told = capsys.readouterr()
    said = told.out + told.err + caplog.text
    assert code == case.code, said
    for words in case.says:
        assert words in said
    for never in ("Traceback", "fault of trueweight", "unexpected"):
        assert never not in said
    after = contents(place.folder)
    assert {name: after.get(name) for name in before} == before, "something was lost"
    if code != 0:
        assert any(words in said for words in HELPS), said
        assert after == before, f"left behind: {sorted(after.keys() - before.keys())}"
    assert not [name for name in after if name.endswith(".tmp")]


def test_rows_have_names_of_their_own() -> None:
    names = [case.id for case in table.BAD_INPUTS]
    assert len(set(names)) == len(names) > 70
    assert all(case.did and case.gets and case.says for case in table.BAD_INPUTS)


def ways(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return pytest.mark.parametrize("case", [c for c in table.BAD_INPUTS if c.id in names], ids=lambda case: case.id)
