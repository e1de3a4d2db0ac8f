"""Bad places to work in: a full disk, a folder that may not be written to, a folder in use, broken checkpoints."""

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from trueweight.cli.main import run

TRAIN = ["train", "claims.csv", "--target", "fraud", "--set", "model.preset=fast"]


def write_claims(folder: Path, rows: int = 60) -> Path:
    rng = np.random.default_rng(0)
    size = rng.normal(size=rows)
    lines = [f"{s:.3f},{'ab'[n % 2]},{'yes' if s > 0 else 'no'}" for n, s in enumerate(size)]
    path = folder / "claims.csv"
    path.write_text("\n".join(["size,kind,fraud", *lines]) + "\n")
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_claims(tmp_path)
    return tmp_path


def clean(said: str) -> None:
    for never in ("Traceback", "fault of trueweight"):
        assert never not in said


def bundles(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.bundle"))


@pytest.mark.parametrize(("free", "number"), [(0, errno.EDQUOT), *((n, errno.ENOSPC) for n in (0, 2, 4, 9, 14, 20))])
def test_a_disk_that_is_full_after_some_files(
    free: int, number: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever write is the first to fail: exit code 4, a hint, whole bundles or none, and the file is as it was."""
    before = (folder / "claims.csv").read_bytes()
    left, real = [free], os.fsync

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        code = run(TRAIN)
    said = capsys.readouterr().err
    clean(said)
    assert (folder / "claims.csv").read_bytes() == before
    assert not list(folder.rglob("*.tmp"))
    for bundle in bundles(folder):
        assert run(["verify", str(bundle)]) == 0
    assert code == 4
    assert "no space left" in said
    assert "hint: free some space" in said
    kept = list(folder.glob("runs/*/run.json"))  # then it can be gone on with
    assert run([*TRAIN, *(["--resume"] if kept else [])]) == 0


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_folder_that_may_not_be_written_to(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def mkdir(self: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", mkdir)
        code = run(TRAIN)
    said = capsys.readouterr().err
    clean(said)
    assert code == 4
    assert "no permission to write" in said
    assert "--out" in said
    assert [path.name for path in folder.iterdir()] == ["claims.csv"]


def test_a_file_that_may_not_be_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Path.open

    def refuse(self: Path, *args: object, **options: object) -> object:
        if self.name == "claims.csv":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return real(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", refuse)
    assert run(TRAIN) == 3
    said = capsys.readouterr().err
    clean(said)
    assert "no permission to read claims.csv" in said
    assert "chmod" in said


def test_answers_that_cannot_be_written_leave_the_old_ones(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*TRAIN, "--out", "run"]) == 0
    (folder / "answers.csv").write_text("yesterday's")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        patch.setattr(os, "rename", refuse)
        patch.setattr(Path, "replace", refuse)
        patch.setattr(os, "fsync", refuse)
        code = run(["predict", "run/claims.bundle", "claims.csv", "-o", "answers.csv"])
    said = capsys.readouterr().err
    clean(said)
    assert code == 4
    assert "no space left" in said
    assert (folder / "answers.csv").read_text() == "yesterday's"
    assert not list(folder.glob("*.tmp")) + list(folder.glob(".*.tmp"))


HOLD = """
import sys, time
from pathlib import Path
from trueweight.files import locked
with locked(Path("run"), purpose="training"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that trains in the folder ``run``."""
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline() == "held\n"
        yield other
        other.stdin.close()


@pytest.mark.parametrize("options", [[], ["--resume"]])
def test_two_runs_in_one_folder(
    options: list[str], held: subprocess.Popen[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name for path in (folder / "run").iterdir()}
    assert run([*TRAIN, "--out", "run", *options]) == 4
    said = capsys.readouterr().err
    clean(said)
    assert f"another process (pid {held.pid}) is training here" in said
    assert "choose another folder with --out" in said
    assert {path.name for path in (folder / "run").iterdir()} == before


def test_a_run_that_is_there_already_is_not_touched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*TRAIN, "--out", "run"]) == 0
    before = {p: p.read_bytes() for p in (folder / "run").rglob("*") if p.is_file()}
    assert run([*TRAIN, "--out", "run"]) == 4
    said = capsys.readouterr().err
    assert "already holds a" in said
    assert "choose another --out" in said
    assert {p: p.read_bytes() for p in (folder / "run").rglob("*") if p.is_file()} == before


@pytest.mark.slow
def test_two_runs_at_once_get_folders_of_their_own(folder: Path) -> None:
    command = [sys.executable, "-m", "trueweight", *TRAIN]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) for _ in range(2)]
    paths = [process.communicate()[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(paths) == ["runs/claims-01/claims.bundle", "runs/claims-02/claims.bundle"]


SLOWLY = [*TRAIN[:-2], "--set", "model.encoder.type=mlp", "--set", "model.encoder.hidden_sizes=[8]",
          "--set", "train.budget.steps=40", "--out", "run"]  # fmt: skip


def interrupt_after_a_checkpoint(patch: pytest.MonkeyPatch) -> None:
    """The process dies right after its first checkpoint, as far as files can tell."""
    from trueweight.train.checkpoint import Checkpoints

    real = Checkpoints.save

    def save(self: Checkpoints, *args: object, **options: object) -> None:
        real(self, *args, **options)  # type: ignore[arg-type]
        raise SystemExit(9)

    patch.setattr(Checkpoints, "save", save)


def checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "run").rglob("step-*.safetensors"))


def test_broken_checkpoints(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with monkeypatch.context() as patch:
        interrupt_after_a_checkpoint(patch)
        assert run(SLOWLY) == 9
    assert checkpoints(folder)
    for path in checkpoints(folder):
        path.write_bytes(path.read_bytes()[:-9])
    broken = {p: p.read_bytes() for p in (folder / "run").rglob("*") if p.is_file()}
    assert run([*SLOWLY, "--resume"]) == 4
    said = capsys.readouterr().err
    clean(said)
    assert "checkpoints are broken" in said
    assert "hint: delete" in said
    assert {p: p.read_bytes() for p in broken} == broken
    shutil.rmtree(checkpoints(folder)[0].parent)  # as the hint says
    assert run([*SLOWLY, "--resume"]) == 0


def test_resuming_with_another_spec_or_other_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after_a_checkpoint(patch)
        assert run(SLOWLY) == 9
    assert run([*SLOWLY, "--resume", "--seed", "3"]) == 2
    assert "another spec or other options" in capsys.readouterr().err
    kept = (folder / "claims.csv").read_text()
    write_claims(folder, 61)
    assert run([*SLOWLY, "--resume"]) == 3
    assert "the data has changed" in capsys.readouterr().err
    (folder / "claims.csv").write_text(kept)
    assert run([*SLOWLY, "--resume"]) == 0


def test_whole_numbers_above_2_to_the_53_stay_what_they_are(folder: Path) -> None:
    """As keys and as classes they are names, and no name may be rounded to its neighbour."""
    first = 2**53 + 1
    lines = [f"{first + n},{n % 2 + n / 90},{first + n % 2}" for n in range(60)]
    (folder / "big.csv").write_text("\n".join(["id,x,y", *lines]) + "\n")
    options = ["--target", "y", "--set", "targets.y.type=category", "--set", "data.primary_key=id"]
    assert run(["train", "big.csv", *options, "--set", "model.preset=fast", "--out", "run"]) == 0
    assert run(["predict", "run/big.bundle", "big.csv", "-o", "answers.csv"]) == 0
    head, *rows = (folder / "answers.csv").read_text().splitlines()
    assert head == f"id,y,y.p[{first}],y.p[{first + 1}],y.set"
    assert [row.split(",")[0] for row in rows] == [str(first + n) for n in range(60)]
    assert {row.split(",")[1] for row in rows} == {str(first), str(first + 1)}


def test_as_a_process(folder: Path) -> None:
    command = [sys.executable, "-m", "trueweight", "train", "claims.csv", "-t", "fruad"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "error: claims.csv: no column 'fruad'\n  hint: there is 'fraud'\n"


@pytest.mark.slow
def test_a_category_with_a_million_levels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    size = rng.normal(size=1_000_000)
    with (folder / "many.csv").open("w") as file:
        file.write("size,name,fraud\n")
        file.writelines(f"{s:.3f},level {n},{'yes' if s > 0 else 'no'}\n" for n, s in enumerate(size))
    start = time.process_time()
    options = ["--target", "fraud", "--set", "model.preset=fast", "--set", "features.name.type=category"]
    assert run(["train", "many.csv", *options, "--out", "run"]) == 0
    assert time.process_time() - start < 120
    clean(capsys.readouterr().err)
    size_on_disk = sum(p.stat().st_size for p in (folder / "run" / "claims.bundle").rglob("*") if p.is_file())
    assert size_on_disk < 10_000_000  # levels of one row each are counted, not named


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("kilobytes", [16, 48, 96, 160])
def test_a_disk_that_is_really_full(kilobytes: int, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine does not let us mount")
    try:
        write_claims(tmp_path)
        command = [sys.executable, "-m", "trueweight", *TRAIN, "--out", str(disk / "run")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
        clean(done.stderr)
        assert done.returncode in (0, 4)
        assert (done.returncode == 0) == ("no space left" not in done.stderr)
        for bundle in bundles(disk):
            assert (bundle / "manifest.json").is_file()
    finally:
        subprocess.run(["umount", str(disk)], check=True)
