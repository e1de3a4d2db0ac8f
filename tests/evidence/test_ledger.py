"""The look ledger counts, survives kills and neighbours, and holds no data."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trueweight.errors import TrainError
from trueweight.evidence.ledger import LEDGER, looks, record_look

DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def test_counts_by_digest(tmp_path: Path):
    runs = tmp_path / "runs"
    assert looks(runs, DIGEST) == []
    assert record_look(runs, DIGEST, by="titanic-01", purpose="train") == 1
    assert record_look(runs, OTHER, by="iris-01", purpose="train") == 1
    assert record_look(runs, DIGEST, by="titanic-02", purpose="evaluate") == 2
    found = looks(runs, DIGEST)
    assert [(look.number, look.by, look.purpose) for look in found] == [
        (1, "titanic-01", "train"), (2, "titanic-02", "evaluate"),
    ]  # fmt: skip
    assert all(look.at.endswith("+00:00") for look in found)


def test_lines_are_only_added_and_hold_no_data(tmp_path: Path):
    record_look(tmp_path, DIGEST, by="a", purpose="train")
    before = (tmp_path / LEDGER).read_bytes()
    record_look(tmp_path, DIGEST, by="b\nc", purpose="train")
    after = (tmp_path / LEDGER).read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == 2
    assert set(json.loads(before)) == {"schema", "digest", "by", "purpose", "at"}


def test_a_line_cut_short_by_a_kill_is_left_and_not_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    record_look(tmp_path, DIGEST, by="a", purpose="train")
    whole = (tmp_path / LEDGER).read_bytes()
    with (tmp_path / LEDGER).open("ab") as file:
        file.write(whole[:40])
    assert len(looks(tmp_path, DIGEST)) == 1
    assert record_look(tmp_path, DIGEST, by="b", purpose="train") == 2
    assert [look.by for look in looks(tmp_path, DIGEST)] == ["a", "b"]
    assert "cannot be read" in caplog.text


def test_lines_that_are_json_but_no_looks_are_not_counted(tmp_path: Path):
    (tmp_path / LEDGER).write_bytes(b'[1]\n3\n{"digest": "x"}\n\n\xff\xfe\n')
    assert record_look(tmp_path, DIGEST, by="a", purpose="train") == 1


def test_processes_at_once_get_different_numbers(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from trueweight.evidence.ledger import record_look\n"
        f"print(*[record_look(Path(sys.argv[1]), {DIGEST!r}, by='p', purpose='train') for _ in range(20)])"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    numbers = [int(n) for process in started for n in process.communicate()[0].split()]
    assert sorted(numbers) == list(range(1, 61))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_is_our_error(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(TrainError, match="no permission"):
        record_look(tmp_path, DIGEST, by="a", purpose="train")


def test_a_folder_that_cannot_be_is_our_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainError, match="a file is where the folder should be"):
        record_look(tmp_path / "file" / "runs", DIGEST, by="a", purpose="train")
