"""Checkpoints: whole or not there, two generations, and a broken one is noticed."""

import hashlib
import logging
from pathlib import Path

import pytest
import safetensors.torch
import torch

from trueweight.errors import TrainError
from trueweight.files import digest_bytes
from trueweight.train.checkpoint import Checkpoint, Checkpoints
from trueweight.train.tensor_file import digest_with, write_tensors


def saved(folder: Path, *steps: int) -> Checkpoints:
    checkpoints = Checkpoints(folder, "mlp")
    for step in steps:
        tensors = {"now/w": torch.full((2, 3), float(step)), "now/t": torch.ones(3, 2).T, "count": torch.tensor(step)}
        checkpoints.save(Checkpoint(step, {"history": [0.1 + step], "none": None}, tensors))
    return checkpoints


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def test_what_goes_in_comes_out(tmp_path: Path):
    found = saved(tmp_path, 3).load()
    assert (found.step, found.facts) == (3, {"history": [3.1], "none": None})
    assert torch.equal(found.tensors["now/w"], torch.full((2, 3), 3.0))
    assert torch.equal(found.tensors["now/t"], torch.ones(3, 2).T)
    assert found.tensors["count"] == 3


def test_there_may_be_none(tmp_path: Path):
    assert Checkpoints(tmp_path, "mlp").load() is None


def test_two_generations_are_kept_and_leftovers_removed(tmp_path: Path):
    checkpoints = saved(tmp_path, 1, 2)
    (checkpoints.folder / ".step-00000003.json.ab12.tmp").touch()
    (checkpoints.folder / "step-00000003.safetensors").touch()  # its JSON was never written
    assert checkpoints.load().step == 2
    saved(tmp_path, 4)
    names = sorted(path.name for path in checkpoints.folder.iterdir())
    assert names == [f"step-{n:08d}.{end}" for n in (2, 4) for end in ("json", "safetensors")]


@pytest.mark.parametrize("end", ["json", "safetensors"])
@pytest.mark.parametrize("harm", [damage, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"{}")])
def test_a_broken_one_gives_way_to_the_one_before(tmp_path: Path, caplog, end: str, harm):
    checkpoints = saved(tmp_path, 1, 2)
    harm(checkpoints.folder / f"step-00000002.{end}")
    with caplog.at_level(logging.WARNING, "trueweight"):
        assert checkpoints.load().step == 1
    assert "step-00000002 is broken" in caplog.text


def test_a_missing_half_gives_way_too(tmp_path: Path):
    checkpoints = saved(tmp_path, 1, 2)
    (checkpoints.folder / "step-00000002.safetensors").unlink()
    assert checkpoints.load().step == 1


def test_all_broken_is_an_error_that_says_so(tmp_path: Path):
    checkpoints = saved(tmp_path, 1, 2)
    for path in checkpoints.folder.glob("*.safetensors"):
        damage(path)
    with pytest.raises(TrainError, match="all 2 checkpoints are broken") as error:
        checkpoints.load()
    assert "delete" in error.value.hint


def test_names_that_files_cannot_hold_stay_apart(tmp_path: Path):
    assert Checkpoints(tmp_path, "a/b").folder != Checkpoints(tmp_path, "a:b").folder
    assert Checkpoints(tmp_path, "../../x").folder.parent == tmp_path / "checkpoints"


def test_tensors_are_written_one_after_another_as_the_library_would(tmp_path: Path):
    tensors = {
        "b/w": torch.arange(6.0).view(2, 3).T, "a": torch.tensor(3), "half": torch.ones(3, dtype=torch.bfloat16),
        "yes": torch.tensor([True, False]), "none": torch.zeros(0, 4), "double": torch.rand(3, dtype=torch.float64),
    }  # fmt: skip
    path, total = tmp_path / "t.safetensors", hashlib.sha256()
    write_tensors(path, tensors, total)
    content = path.read_bytes()
    assert f"sha256:{total.hexdigest()}" == digest_bytes(content)
    again = hashlib.sha256()
    digest_with(path, again)
    assert again.hexdigest() == total.hexdigest()
    for found in (safetensors.torch.load_file(path), safetensors.torch.load(content)):
        assert found.keys() == tensors.keys()
        assert all(torch.equal(found[name], t) and found[name].dtype == t.dtype for name, t in tensors.items())
