"""A bundle is written whole or not at all, and holds nothing that it should not."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from trueweight.bundle import save as save_module
from trueweight.bundle.load import load_bundle
from trueweight.bundle.redact import without_folders_in_setting, without_folders_in_yaml
from trueweight.bundle.save import Contents, save_bundle
from trueweight.data.signature import Signature
from trueweight.errors import TrainError, TrueweightError
from trueweight.files import canonical_json

FILES = {
    "manifest.json", "spec.yaml", "resolved.yaml", "plan.json", "signature.json", "predictor.json",
    "members/0/codecs.json", "members/0/facts.json", "members/0/state.safetensors",
    "members/1/codecs.json", "members/1/facts.json", "members/1/state.safetensors",
    "evidence.json", "MODEL_CARD.md", "golden/rows.jsonl", "golden/answers.json",
}  # fmt: skip


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_files_are_those_of_the_format(saved: Path) -> None:
    assert files_in(saved) == FILES


def test_json_is_canonical(saved: Path) -> None:
    for path in saved.rglob("*.json"):
        assert path.read_text() == canonical_json(json.loads(path.read_text()))


def test_a_taken_name_is_left_alone(tmp_path: Path, contents: Contents) -> None:
    names = [save_bundle(tmp_path / "shop.bundle", contents).name for _ in range(3)]
    assert names == ["shop.bundle", "shop-2.bundle", "shop-3.bundle"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_name_taken_at_the_last_moment_is_left_alone(
    tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = save_module._write_file

    def and_somebody_else_too(path: Path, content: bytes) -> None:
        original(path, content)
        if path.name == "manifest.json":
            (tmp_path / "shop.bundle").mkdir(exist_ok=True)
            (tmp_path / "shop.bundle" / "theirs").write_text("kept")

    monkeypatch.setattr(save_module, "_write_file", and_somebody_else_too)
    assert save_bundle(tmp_path / "shop.bundle", contents).name == "shop-2.bundle"
    assert files_in(tmp_path / "shop.bundle") == {"theirs"}


def test_user_text_never_becomes_a_file_name(tmp_path: Path, contents: Contents) -> None:
    path = save_bundle(tmp_path / "große Liste: ../x.bundle", contents)
    assert path.parent == tmp_path / "große Liste: .."
    assert path.name == "x.bundle"
    assert save_bundle(tmp_path / "a b*c.bundle", contents).name == "a-b-c.bundle"


@pytest.mark.parametrize("failing", range(len(FILES)))
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")], ids=type)
def test_stopped_at_any_file_nothing_is_left(
    tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch, failing: int, error: BaseException
) -> None:
    written: list[Path] = []
    original = save_module._write_file

    def stop_at_one(path: Path, content: bytes) -> None:
        if len(written) == failing:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content[: len(content) // 2])
            raise error
        written.append(path)
        original(path, content)

    monkeypatch.setattr(save_module, "_write_file", stop_at_one)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else TrainError
    with pytest.raises(expected):
        save_bundle(tmp_path / "shop.bundle", contents)
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_is_written_last(tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    original = save_module._write_file
    monkeypatch.setattr(save_module, "_write_file", lambda p, c: (names.append(p.name), original(p, c))[1])
    save_bundle(tmp_path / "shop.bundle", contents)
    assert names[-1] == "manifest.json"


def test_a_full_disk_says_what_to_do(tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(save_module, "_write_file", full)
    with pytest.raises(TrainError, match="no space left for shop.bundle") as caught:
        save_bundle(tmp_path / "shop.bundle", contents)
    assert "free some space" in caught.value.hint


def test_a_read_only_folder_says_what_to_do(
    tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):  # root may write anywhere: let the operating system refuse by other means

        def refuse(self: Path, *args: object, **kwargs: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(TrainError, match="no permission to write shop.bundle"):
        save_bundle(folder / "shop.bundle", contents)


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_file_in_the_way_is_said(tmp_path: Path, contents: Contents, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrainError, match="a file is where the folder should be"):
        save_bundle(tmp_path / below / "shop.bundle", contents)


def test_absolute_paths_lose_their_folders(tmp_path: Path, contents: Contents, find_planted) -> None:
    source = "/home/somebody/patients-of-doctor-x/shop.csv"
    spec = contents.spec_yaml.replace("shop.csv", source)
    entry = replace(contents.evidence[0], reproduce=f"trueweight verify shop.bundle --recompute --data {source}")
    private = replace(
        contents,
        spec_yaml=spec,
        resolved_yaml=f"# set on the command line: {f'data.source={source}'!r}\n{spec}",
        settings=[f"data.source={source}"],
        plan={"cache": "/home/somebody/.cache/trueweight"},
        evidence=type(contents.evidence)((entry,)),
    )
    path = save_bundle(tmp_path / "shop.bundle", private)
    assert find_planted(path, ["/home", "somebody", "patients-of-doctor-x", str(tmp_path)]) == []
    loaded = load_bundle(path, allow=["this process"])
    assert loaded.spec.data.source == "shop.csv"
    assert "# which customers buy" in loaded.spec_yaml  # comments survive
    assert loaded.evidence[0].reproduce == "trueweight verify shop.bundle --recompute --data shop.csv"
    assert loaded.manifest.settings == ("data.source=shop.csv",)


@pytest.mark.parametrize(
    "setting, kept",
    [
        ('data.source=["/home/me/a.csv", b.csv]', 'data.source=["a.csv", "b.csv"]'),
        ("data={source: /home/me/x.csv, delimiter: ;}", 'data={"source": "x.csv", "delimiter": ";"}'),
        ("data.source[0]=/home/me/a.csv", "data.source[0]=a.csv"),
        ('"data"."source"="/home/me/a.csv"', "data.source=a.csv"),
        ("split.test_source=~me/later.csv", "split.test_source=later.csv"),
        ('data.source=["a.csv"]', 'data.source=["a.csv"]'),
        ("targets.won.positive=/yes", "targets.won.positive=/yes"),
    ],
)
def test_settings_lose_their_folders_however_they_are_written(setting: str, kept: str) -> None:
    assert without_folders_in_setting(setting) == kept
    resolved = f"# set on the command line: {setting!r}\nname: shop\n"
    assert without_folders_in_yaml(resolved, [setting]) == f"# set on the command line: {kept!r}\nname: shop\n"


def test_a_relative_source_is_kept_byte_for_byte(saved: Path, contents: Contents) -> None:
    assert (saved / "spec.yaml").read_text() == contents.spec_yaml


def _with_learnt(signature: Signature, name: str, **learnt: object) -> Signature:
    columns = dict(signature.columns)
    columns[name] = replace(columns[name], learnt=learnt)
    return replace(signature, columns=columns)


def test_a_level_of_few_rows_is_refused(tmp_path: Path, contents: Contents) -> None:
    rare = _with_learnt(contents.signature, "colour", levels=["red", "Xanadu"], counts=[399, 1])
    with pytest.raises(TrueweightError, match="a level of 1 rows; the limit is 10"):
        save_bundle(tmp_path / "shop.bundle", replace(contents, signature=rare))
    assert save_bundle(tmp_path / "shop.bundle", replace(contents, signature=rare, min_group=1)).is_dir()


def test_values_of_a_key_are_refused(tmp_path: Path, contents: Contents) -> None:
    named = _with_learnt(contents.signature, "customer", seen=["Jane Doe"])
    with pytest.raises(TrueweightError, match="values of a key column"):
        save_bundle(tmp_path / "shop.bundle", replace(contents, signature=named))


def test_rare_target_classes_are_kept(saved: Path) -> None:
    assert '"yes"' in (saved / "signature.json").read_text()


def test_planted_strings_are_found_when_they_are_there(tmp_path: Path, find_planted) -> None:
    """The searcher itself: it must find a secret in every spelling, or its silence means nothing."""
    (tmp_path / "a.json").write_text(json.dumps({"x": "Zoë Quixote"}))
    (tmp_path / "b.bin").write_bytes("Zoë Quixote".encode("utf-16-le"))
    (tmp_path / "c-Zoë Quixote").mkdir()
    import numpy as np

    np.asarray([1.0, 98765.25], dtype=np.float32).tofile(tmp_path / "d.bin")
    found = find_planted(tmp_path, ["Zoë Quixote", 98765.25])
    assert [line.split(":")[0] for line in found] == ["a.json", "b.bin", "c-Zoë Quixote", "d.bin"]


def test_not_a_number_is_refused_before_anything_is_written(tmp_path: Path, contents: Contents) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_bundle(tmp_path / "shop.bundle", replace(contents, plan={"rate": float("nan")}))
    assert list(tmp_path.iterdir()) == []
