"""A log that shows when it was meddled with."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from trueweight.cli.main import run
from trueweight.errors import DataError, TrainError, VerifyError
from trueweight.serve.audit import AuditLog, check_audit


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    one = AuditLog(path)
    for number in range(5):
        one.note({"number": number, "words": "größer"})
    one.close()
    return path


def test_a_whole_chain_goes_on(log: Path) -> None:
    count, head = check_audit(log)
    assert count == 5
    more = AuditLog(log)
    assert more.head == head
    more.note({"number": 5})
    more.close()
    assert check_audit(log)[0] == 6


@pytest.mark.parametrize("harm", ["change", "drop", "add", "swap", "garbage"])
def test_meddling_is_found(harm: str, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = log.read_text().splitlines()
    if harm == "change":
        lines[1] = lines[1].replace('"number":1', '"number":9')
    elif harm == "drop":
        del lines[2]
    elif harm == "add":
        lines.insert(2, lines[1])
    elif harm == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    else:
        lines[3] = "x"
    log.write_text("\n".join(lines) + "\n")
    with pytest.raises(VerifyError, match="does not follow"):
        check_audit(log)
    assert run(["keys", "audit", str(log)]) == 5
    assert "does not follow" in capsys.readouterr().err


def test_no_log(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        check_audit(tmp_path / "none")


def test_where_nobody_asked_no_file_is_left(tmp_path: Path) -> None:
    AuditLog(tmp_path / "log.jsonl").close()
    assert not (tmp_path / "log.jsonl").exists()
    one = AuditLog(tmp_path / "log.jsonl")
    one.note({"event": "start"})
    one.close()
    AuditLog(tmp_path / "log.jsonl").close()
    assert check_audit(tmp_path / "log.jsonl")[0] == 1


def test_what_found_no_room_is_written_when_there_is_some(tmp_path: Path) -> None:
    """Half a line, too: the chain goes on as if nothing had been."""
    import resource

    path = tmp_path / "log.jsonl"
    log = AuditLog(path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, before[1]))
    try:
        for number in range(3):
            log.note({"number": number})
            with pytest.raises(TrainError, match="no space left") if number else nullcontext():
                log.write(log.take())
        assert path.stat().st_size == 150
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    log.write([])
    log.note({"number": 3})
    log.close()
    assert check_audit(path) == (4, log.head)
