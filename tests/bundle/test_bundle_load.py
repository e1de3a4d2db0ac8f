"""A bundle is read only if every byte is as written, and nothing in it reaches outside."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trueweight.bundle import format as bundle_format
from trueweight.bundle.load import load_bundle
from trueweight.bundle.migrate import MIGRATIONS, Documents
from trueweight.bundle.save import Contents, save_bundle
from trueweight.bundle.verify import verify_bundle
from trueweight.errors import VerifyError

HERE = ("this process",)


def refused(path: Path, match: str) -> VerifyError:
    with pytest.raises(VerifyError, match=match) as caught:
        load_bundle(path, allow=HERE)
    return caught.value


def test_what_was_saved_comes_back(saved: Path, contents: Contents) -> None:
    loaded = load_bundle(saved, allow=HERE)
    assert loaded.signature == contents.signature
    assert loaded.evidence == contents.evidence
    assert loaded.card == contents.card
    assert loaded.plan == contents.plan
    assert loaded.spec.name == "shop"
    assert loaded.manifest.name == "shop"
    assert loaded.manifest.parent is None
    assert loaded.manifest.parts["predictor"] == {"fake_leaf": "this process", "fake_pair": "this process"}
    for before, after in zip(contents.predictor.members(), loaded.predictor.members(), strict=True):
        assert torch.equal(before.weight, after.weight)
    assert loaded.golden is not None
    assert len(loaded.golden.table) == 16


def test_the_digest_names_the_content(tmp_path: Path, contents: Contents) -> None:
    first = load_bundle(save_bundle(tmp_path / "shop.bundle", contents), allow=HERE).manifest
    other = replace(contents, plan={"steps": 101})
    second = load_bundle(save_bundle(tmp_path / "shop.bundle", other), allow=HERE).manifest
    assert first.digest != second.digest
    assert first.digest == first.sealed().digest


def every_file(saved: Path) -> list[Path]:
    return sorted(path for path in saved.rglob("*") if path.is_file())


def test_any_byte_changed_in_any_file_is_noticed(saved: Path) -> None:
    rng = np.random.default_rng(0)
    for file in every_file(saved):
        whole = file.read_bytes()
        for place in {0, len(whole) // 2, len(whole) - 1, *rng.integers(0, len(whole), 12).tolist()}:
            for bit in (1, 32, 128):
                file.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
                with pytest.raises(VerifyError):
                    load_bundle(saved, allow=HERE)
        file.write_bytes(whole)
    load_bundle(saved, allow=HERE)


def test_any_file_cut_short_grown_or_gone_is_noticed(saved: Path) -> None:
    for file in every_file(saved):
        whole = file.read_bytes()
        for broken in (whole[:-1], whole[: len(whole) // 2], b"", whole + b"\n", whole + b"\0"):
            file.write_bytes(broken)
            with pytest.raises(VerifyError):
                load_bundle(saved, allow=HERE)
        file.unlink()
        with pytest.raises(VerifyError):
            load_bundle(saved, allow=HERE)
        file.write_bytes(whole)


def test_the_message_names_file_and_sizes(saved: Path) -> None:
    file = saved / "evidence.json"
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:20])
    error = refused(saved, f"evidence.json is cut short: 20 of {size} bytes")
    assert error.where == str(saved)
    assert "fresh copy" in error.hint


def test_an_extra_file_is_noticed(saved: Path) -> None:
    (saved / "members" / "0" / "note.txt").write_text("hello")
    refused(saved, r"members/0/note\.txt was added")


def test_not_bundles(tmp_path: Path) -> None:
    refused(tmp_path / "nothing.bundle", f"there is no bundle '{tmp_path}/nothing.bundle'")
    refused(tmp_path, "is not a bundle")
    file = tmp_path / "x.bundle"
    file.write_text("hello")
    assert refused(tmp_path / "y.bundle", "there is no bundle").hint == f"did you mean '{file}'?"
    refused(file, f"'{file}' is not a bundle")


def test_a_newer_format_asks_for_an_upgrade(saved: Path, forge: Callable[..., None]) -> None:
    forge(saved, format=2, trueweight="9.0.0")
    error = refused(saved, "has format 2, this version reads up to 1")
    assert "9.0.0" in error.hint
    assert "upgrade" in error.hint


@pytest.mark.parametrize("format", [0, -1, True, "1", None, 1.5])
def test_other_formats_are_refused(saved: Path, forge: Callable[..., None], format: object) -> None:
    forge(saved, format=format)
    refused(saved, "format")


def test_a_link_is_refused(saved: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes((saved / "plan.json").read_bytes())
    (saved / "plan.json").unlink()
    (saved / "plan.json").symlink_to(outside)
    refused(saved, "plan.json is a link")


def test_a_linked_folder_or_manifest_is_refused(saved: Path, tmp_path: Path) -> None:
    (saved / "golden").rename(tmp_path / "golden")
    (saved / "golden").symlink_to(tmp_path / "golden")
    refused(saved, "golden is a link")
    (saved / "manifest.json").rename(tmp_path / "manifest.json")
    (saved / "manifest.json").symlink_to(tmp_path / "manifest.json")
    refused(saved, "manifest.json is not a plain file")


def test_a_pipe_does_not_block(saved: Path) -> None:
    (saved / "plan.json").unlink()
    os.mkfifo(saved / "plan.json")
    refused(saved, "plan.json is not a plain file")


@pytest.mark.parametrize("name", ["../outside.json", "/etc/passwd", "members/../../x", "a//b", ".hidden", "C:\\x", ""])
def test_paths_that_leave_the_bundle_are_refused(saved: Path, forge: Callable[..., None], name: str) -> None:
    raw = json.loads((saved / "manifest.json").read_text())
    raw["files"][name] = raw["files"]["plan.json"]
    forge(saved, files=raw["files"])
    refused(saved, "which is no path inside a bundle")


@pytest.mark.parametrize("target", ["../../secret.safetensors", "/etc/passwd", "plan.json", 7])
def test_weights_that_point_elsewhere_are_refused(saved: Path, forge: Callable[..., None], target: object) -> None:
    tree = json.loads((saved / "predictor.json").read_text())
    tree["members"][0]["weights"] = target
    (saved / "predictor.json").write_text(json.dumps(tree))
    forge(saved)
    refused(saved, "which is no file of this bundle")


@pytest.mark.parametrize(
    "name", ["signature.json", "predictor.json", "evidence.json", "plan.json", "golden/answers.json"]
)
@pytest.mark.parametrize(
    "content",
    ['{"x": NaN}', '{"x": -Infinity}', '{"x": 1e999}', "[", "\x00", '{"x": "\ud800"}', "[" * 100_000],
    ids=["nan", "infinity", "overflow", "cut", "binary", "surrogate", "deep"],
)
def test_bad_json_with_a_forged_manifest_is_refused(
    saved: Path, forge: Callable[..., None], name: str, content: str
) -> None:
    (saved / name).write_bytes(content.encode("utf-8", "surrogatepass"))
    forge(saved)
    refused(saved, "not valid JSON")


@pytest.mark.parametrize("name", ["signature.json", "predictor.json", "evidence.json", "golden/answers.json"])
@pytest.mark.parametrize(
    "content", ["{}", "[]", "null", "3", '"x"', '{"version": 1, "columns": 5, "schema": 1, "entries": 5}']
)
def test_other_json_with_a_forged_manifest_is_refused(
    saved: Path, forge: Callable[..., None], name: str, content: str
) -> None:
    (saved / name).write_text(content)
    forge(saved)
    with pytest.raises(VerifyError):
        load_bundle(saved, allow=HERE)


def _put(path: Path, place: list[str | int], value: object) -> None:
    raw = inner = json.loads(path.read_text())
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    path.write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        ("golden/answers.json", ["targets", "bought", "columns"], None),
        ("golden/answers.json", ["targets", "bought", "columns", "bought"], ["no"]),
        ("golden/answers.json", ["targets", "bought", "columns", "bought"], 3),
        ("signature.json", ["columns", 3, "learnt"], None),
        ("evidence.json", ["entries", 0], 5),
        ("evidence.json", ["entries", 0, "value"], [1]),
        ("evidence.json", ["entries", 0, "n"], "many"),
        ("evidence.json", ["entries", 0, "status"], "proven"),
        ("evidence.json", ["entries", 0, "metric"], None),
        ("evidence.json", ["entries", 0, "interval"], {"low": "a", "high": 1, "level": 0.9, "method": "x"}),
        ("evidence.json", ["entries", 0, "method"], {"name": 3}),
        ("evidence.json", ["entries", 0, "data"], {"digest": "x", "role": {}}),
        ("evidence.json", ["entries", 0, "cost"], {"seconds": "long"}),
        ("signature.json", ["rows"], "many"),
        ("signature.json", ["options", "missing_values"], 3),
        ("signature.json", ["columns", 0, "why"], ["x"]),
        ("signature.json", ["columns", 0, "notes"], {"dirt": "much"}),
        ("signature.json", ["columns", 1, "learnt", "std"], "wide"),
        ("signature.json", ["columns", 2, "learnt", "levels"], 3),
    ],
)
def test_a_forged_value_deep_inside_is_refused(
    saved: Path, forge: Callable[..., None], name: str, place: list[str | int], value: object
) -> None:
    _put(saved / name, place, value)
    forge(saved)
    with pytest.raises(VerifyError):
        load_bundle(saved, allow=HERE)
    with pytest.raises(VerifyError):
        verify_bundle(saved, allow=HERE)


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x04\x95pickle", b"\xff" * 64])
def test_weights_that_are_not_safetensors_are_refused(saved: Path, forge: Callable[..., None], content: bytes) -> None:
    (saved / "members/0/state.safetensors").write_bytes(content)
    forge(saved)
    refused(saved, "not in safetensors format")


@pytest.mark.parametrize(
    "content", ["{", "3", "targets: {bought: {type: no_such_head}}", "!!python/object:os.system {}"]
)
def test_a_forged_spec_is_refused(saved: Path, forge: Callable[..., None], content: str) -> None:
    (saved / "spec.yaml").write_text(content)
    forge(saved)
    refused(saved, "spec.yaml")


def test_parts_of_others_need_to_be_allowed(saved: Path) -> None:
    with pytest.raises(VerifyError, match="needs column 'fake_left' from this process") as caught:
        load_bundle(saved)
    assert "allow=['this process']" in caught.value.hint


def test_a_forged_manifest_does_not_hide_parts_of_others(saved: Path, forge: Callable[..., None]) -> None:
    forge(saved, parts={})
    with pytest.raises(VerifyError, match="from this process"):
        load_bundle(saved)


def test_a_missing_part_says_where_it_came_from(saved: Path, forge: Callable[..., None]) -> None:
    forge(saved, parts={"encoder": {"fourier": "their-pkg 1.2"}})
    error = refused(saved, "needs encoder 'fourier', which is not installed")
    assert "their-pkg 1.2" in error.hint


def test_other_answers_are_refused(saved: Path, forge: Callable[..., None]) -> None:
    answers = json.loads((saved / "golden/answers.json").read_text())
    answers["targets"]["bought"]["scores"][3][1] += 2e-4
    (saved / "golden/answers.json").write_text(json.dumps(answers))
    forge(saved)
    refused(saved, "golden rows get other answers: bought: answers differ by 0.0002, allowed is 1e-05")
    load_bundle(saved, allow=HERE, check="digests")


def test_the_format_before_is_read_through_a_migration(
    saved: Path, forge: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A made-up format 0 kept its plan under another name and had no list of settings."""
    plan = json.loads((saved / "plan.json").read_text())
    (saved / "plan.json").write_text(json.dumps({"old": plan}))
    forge(saved, format=0, settings=None)

    def up(documents: Documents) -> Documents:
        manifest = documents["manifest.json"] | {"format": 1, "settings": []}
        return {**documents, "manifest.json": manifest, "plan.json": documents["plan.json"]["old"]}

    refused(saved, "has format 0, too old")
    monkeypatch.setitem(MIGRATIONS, 0, up)
    loaded = load_bundle(saved, allow=HERE)
    assert loaded.plan == plan
    assert loaded.manifest.format == bundle_format.FORMAT
    assert loaded.manifest.digest == json.loads((saved / "manifest.json").read_text())["digest"]


def test_a_migration_that_fails_is_a_broken_bundle(
    saved: Path, forge: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    forge(saved, format=0)
    monkeypatch.setitem(MIGRATIONS, 0, lambda documents: {"manifest.json": documents["nowhere"]})
    refused(saved, "cannot be understood")


def test_tied_and_sliced_tensors_are_kept(tmp_path: Path, contents: Contents) -> None:
    whole = torch.arange(6.0)
    one, two = contents.predictor.members()
    tied = replace(contents, predictor=type(contents.predictor)(
        contents.signature, [replace(one, weight=whole[:3]), replace(two, weight=whole[:3])]
    ), golden=None)  # fmt: skip
    loaded = load_bundle(save_bundle(tmp_path / "shop.bundle", tied), allow=HERE)
    assert loaded.golden is None
    assert torch.equal(loaded.predictor.members()[1].weight, whole[:3])
