"""Folders of class sub-folders as tables."""

from pathlib import Path

import pytest

from trueweight import api
from trueweight.api.request import given_split, make_request
from trueweight.data.read import read_table
from trueweight.errors import DataError


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_each_sub_folder_is_a_class(tmp_path: Path):
    table = read_table(fill(tmp_path / "photos", "cat/b.png", "cat/a.jpg", "dog/deep/c.PNG"))
    assert table.data.to_pydict() == {
        "file": ["cat/a.jpg", "cat/b.png", "dog/deep/c.PNG"], "label": ["cat", "cat", "dog"],
    }  # fmt: skip
    assert table.media_dir == tmp_path / "photos"
    assert (table.provenance.names, table.provenance.format, table.provenance.notes) == (("photos",), "folder", ())


def test_folders_named_like_parts_become_the_split(tmp_path: Path):
    fill(tmp_path, "train/cat/a.png", "train/dog/b.png", "val/cat/c.png", "test/dog/d.png")
    table = read_table(tmp_path)
    assert table.column("split").to_pylist() == ["test", "train", "train", "validation"]
    assert table.column("file").to_pylist()[0] == "test/dog/d.png"
    assert given_split(table, ["label"]) == {"method": "column", "column": "split"}
    spec = make_request(tmp_path, "label", None, {}, [], None).spec
    assert (spec.split.method, spec.split.column) == ("column", "split")


def test_without_a_test_folder_no_test_rows_are_kept(tmp_path: Path):
    fill(tmp_path, "train/cat/a.png", "train/dog/b.png", "validation/cat/c.png")
    assert given_split(read_table(tmp_path), ["label"])["test"] == 0.0


def test_classes_may_be_called_like_parts(tmp_path: Path):
    fill(tmp_path, "train/a.png", "test/b.png")  # pictures of trains and of tests
    assert read_table(tmp_path).column("label").to_pylist() == ["test", "train"]


def test_what_is_no_picture_is_noted(tmp_path: Path):
    fill(tmp_path, "cat/a.png", "cat/.hidden.png", "cat/Thumbs.db", ".git/x.png", "dog/b.png", "fox/readme.txt")
    (tmp_path / "owl").mkdir()
    table = read_table(tmp_path)
    assert table.column("file").to_pylist() == ["cat/a.png", "dog/b.png"]
    assert table.provenance.notes == (
        "class folder 'fox' holds no pictures", "class folder 'owl' holds no pictures",
        "skipped files that are no pictures: 2",
    )  # fmt: skip


def test_sounds_too(tmp_path: Path):
    table = read_table(fill(tmp_path, "yes/a.wav", "no/b.flac", "no/cover.png"))
    assert table.column("file").to_pylist() == ["no/b.flac", "yes/a.wav"]
    assert table.provenance.notes == ("skipped files that are no sounds: 1",)


def test_a_few_rows_are_of_all_classes(tmp_path: Path):
    fill(tmp_path, *(f"{label}/{i}.png" for label in "abc" for i in range(10)))
    some = read_table(tmp_path, rows=6)
    assert len(some) == 6
    assert set(some.column("label").to_pylist()) == {"a", "b", "c"}


def test_the_digest_is_of_names_and_contents(tmp_path: Path):
    one, two, three = (fill(tmp_path / name, "cat/a.png", "dog/b.png") for name in ("one", "two", "three"))
    (three / "dog/b.png").write_bytes(b"other")
    first, second, third = (read_table(path).provenance.digest for path in (one, two, three))
    assert first == second != third


@pytest.mark.parametrize(
    ("names", "problem", "hint"),
    [
        ((), "is a folder, not a file", "name the files in it"),
        (("a.csv",), "is a folder, not a file", "name the files in it"),
        (("a.png", "b.png"), "there are no class folders: 2 files lie in photos itself, e.g. 'a.png'", "sub-folder"),
        (("cat/a.txt", "dog/b.txt"), "its sub-folders cat, dog hold no pictures or sounds", "each class needs"),
    ],
)
def test_other_folders_are_refused(tmp_path: Path, names, problem, hint):
    folder = tmp_path / "photos"
    folder.mkdir()
    with pytest.raises(DataError, match=problem) as caught:
        read_table(fill(folder, *names))
    assert hint in caught.value.hint


def test_a_wrong_path_is_named(tmp_path: Path):
    fill(tmp_path, "photos/cat/a.png")
    with pytest.raises(DataError, match="there is no file or folder 'photo'") as caught:
        read_table(tmp_path / "photo")
    assert "photos" in caught.value.hint


def test_init_proposes_the_split(tmp_path: Path):
    fill(tmp_path, *(f"{part}/{label}/{i}.png" for part in ("train", "test") for label in "ab" for i in range(20)))
    text = api.init(tmp_path, "label")
    assert "split: {method: column, column: split}" in text
    assert "file: {type: image}" in text
