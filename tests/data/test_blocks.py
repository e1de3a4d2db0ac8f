"""Blocks: written once, found again, taken up after a cut, and refused when damaged."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trueweight.data import blocks
from trueweight.data.blocks import block_address, open_block, write_block
from trueweight.errors import TrainError, TrueweightError

VALUES = np.arange(250, dtype=np.float32).reshape(125, 2)


class Encoder:
    """Counts its calls, and may be told to fail at one of them."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.calls, self.fail_at = 0, fail_at

    def __call__(self, start: int, end: int) -> dict[str, np.ndarray]:
        self.calls += 1
        if self.calls == self.fail_at:
            raise KeyboardInterrupt
        return {"number": VALUES[start:end], "code": np.arange(start, end, dtype=np.int32)[:, None]}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "SHARD_ROWS", 50)


def test_a_block_holds_what_was_encoded_and_is_written_once(tmp_path: Path) -> None:
    encoder = Encoder()
    folder = write_block("abc", 125, encoder, root=tmp_path)
    assert encoder.calls == 3
    arrays = open_block(folder)
    assert np.array_equal(arrays["number"], VALUES) and arrays["code"].dtype == np.int32
    assert write_block("abc", 125, encoder, root=tmp_path) == folder and encoder.calls == 3


def test_an_interrupted_block_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_block("abc", 125, Encoder(fail_at=3), root=tmp_path)
    rest = Encoder()
    assert np.array_equal(open_block(write_block("abc", 125, rest, root=tmp_path))["number"], VALUES)
    assert rest.calls == 1


def test_a_damaged_block_is_refused(tmp_path: Path) -> None:
    folder = write_block("abc", 125, Encoder(), root=tmp_path)
    with (folder / "number.bin").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(TrueweightError, match="cache clear"):
        open_block(folder)


def test_a_block_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="block.json is missing") as told:
        open_block(tmp_path / "cleared")
    assert "cache clear" in str(told.value.hint)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"rows": 125, "arrays": {"number": []}}', '{"arrays": {"x": 3}}']
)
def test_a_damaged_block_is_encoded_again(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_block("abc", 125, Encoder(), root=tmp_path)
    (folder / "block.json").write_text(text)
    again = Encoder()
    assert np.array_equal(open_block(write_block("abc", 125, again, root=tmp_path))["number"], VALUES)
    assert again.calls == 3
    assert "damaged" in caplog.text


def test_a_block_cut_short_is_encoded_again(tmp_path: Path) -> None:
    folder = write_block("abc", 125, Encoder(), root=tmp_path)
    (folder / "number.bin").unlink()
    assert np.array_equal(open_block(write_block("abc", 125, Encoder(), root=tmp_path))["number"], VALUES)


def test_an_attempt_that_cannot_be_read_is_begun_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_block("abc", 125, Encoder(fail_at=3), root=tmp_path)
    (tmp_path / "abc.part" / "shapes.json").write_text("{")
    assert np.array_equal(open_block(write_block("abc", 125, Encoder(), root=tmp_path))["number"], VALUES)


KILLED = """\
import os, signal, sys
from pathlib import Path
import numpy as np
from trueweight.data import blocks

def encode(start, end):
    with open("calls.txt", "a") as file:
        file.write(f"{start}\\n")
    if os.environ.get("KILL_AT") == str(start):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"number": np.arange(start, end, dtype=np.float32)[:, None]}

blocks.SHARD_ROWS = 50
folder = blocks.write_block("abc", 225, encode, root=Path("."))
assert (blocks.open_block(folder)["number"][:, 0] == np.arange(225)).all()
"""


def test_a_killed_attempt_costs_the_shard_in_hand(tmp_path: Path) -> None:
    """By really killing, twice: no shard that was finished is encoded again."""
    ends = []
    for place in ("100", "200", ""):
        own = os.environ | {"KILL_AT": place}
        ends.append(subprocess.run([sys.executable, "-c", KILLED], cwd=tmp_path, env=own, check=False).returncode)
    assert ends == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert (tmp_path / "calls.txt").read_text().split() == ["0", "50", "100", "100", "150", "200", "200"]


def test_no_rows_and_no_columns_are_blocks_too(tmp_path: Path) -> None:
    folder = write_block("empty", 0, lambda start, end: {"number": VALUES[start:end]}, root=tmp_path)
    assert open_block(folder)["number"].shape == (0, 2)


def test_changing_a_mapped_array_does_not_change_the_block(tmp_path: Path) -> None:
    folder = write_block("abc", 125, Encoder(), root=tmp_path)
    open_block(folder)["number"][:] = 0
    assert np.array_equal(open_block(folder)["number"], VALUES)


def test_the_address_depends_on_everything() -> None:
    first = block_address("sha256:1", 10, {"a": 1})
    assert first == block_address("sha256:1", 10, {"a": 1})
    others = [("sha256:2", 10, {"a": 1}), ("sha256:1", 11, {"a": 1}), ("sha256:1", 10, {"a": 2})]
    assert len({first, *(block_address(*parts) for parts in others)}) == 4


def test_what_other_code_encoded_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    first = block_address("sha256:1", 10)
    monkeypatch.setattr("trueweight.data.blocks.code_print", lambda: "sha256:of an older version")
    assert block_address("sha256:1", 10) != first
