"""Paths in cells stay below their folder, however they are written."""

from pathlib import Path

import pyarrow as pa
import pytest

from trueweight.data.cells import ReadOptions
from trueweight.data.frames import from_frame
from trueweight.data.guess import guess_feature
from trueweight.data.media import OUTSIDE, UnusableError, file_bytes
from trueweight.data.read import read_table
from trueweight.spec.data import DataSpec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / "in").mkdir(parents=True)
    (tmp_path / "data" / "in" / "a..b.png").write_bytes(b"inside")
    (tmp_path / "data2").mkdir()
    for name in ("secret.png", "data2/secret.png"):
        (tmp_path / name).write_bytes(b"outside")
    return tmp_path / "data"


@pytest.mark.parametrize("cell", ["in/a..b.png", "./in/a..b.png", "in/../in/a..b.png", "in/no/../a..b.png"])
def test_paths_within_the_folder_are_read(folder: Path, cell: str) -> None:
    assert file_bytes(cell, folder) == b"inside"
    assert file_bytes(str(folder / cell), folder) == b"inside"


@pytest.mark.parametrize("cell", ["../secret.png", "in/../../secret.png", "../data2/secret.png", "..", "in/../.."])
def test_paths_that_climb_out_are_refused(folder: Path, cell: str) -> None:
    for path in (cell, str(folder / cell), str(folder.parent / "secret.png"), "/etc/hostname", "//etc/hostname"):
        with pytest.raises(UnusableError, match=OUTSIDE):
            file_bytes(path, folder)


def test_paths_in_structs_of_hugging_face_are_judged_alike(folder: Path) -> None:
    with pytest.raises(UnusableError, match=OUTSIDE):
        file_bytes(b"\x00path:" + str(folder.parent / "secret.png").encode(), folder)


def test_a_wider_folder_lets_them_in(folder: Path) -> None:
    assert file_bytes("secret.png", folder.parent) == b"outside"
    assert file_bytes(str(folder.parent / "secret.png"), folder / "..") == b"outside"
    assert file_bytes(str(folder.parent / "secret.png"), Path("/")) == b"outside"


def test_without_a_folder_paths_start_where_we_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert file_bytes("in/a..b.png", None) == b"inside"
    with pytest.raises(UnusableError, match=OUTSIDE):
        file_bytes("../secret.png", None)


def test_links_within_the_folder_are_followed_and_never_stepped_back_over(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "data2")
    assert file_bytes("link/secret.png", folder) == b"outside"
    with pytest.raises(UnusableError, match="file not found"):  # the system would take .. from behind the link
        file_bytes("link/../secret.png", folder)


def test_a_guess_says_what_to_do(folder: Path) -> None:
    for number in range(30):
        (folder.parent / f"{number}.png").write_bytes(b"x")
    cells = pa.chunked_array([[str(folder.parent / f"{number}.png") for number in range(30)]])
    guess = guess_feature("photo", cells, ReadOptions(media_dir=folder))
    assert guess.type == "ignore"
    assert "lead out of the data's folder" in guess.why
    assert "data.media_dir" in guess.why
    assert guess_feature("photo", cells, ReadOptions(media_dir=folder.parent)).type == "image"


def test_the_folder_of_a_frame_is_the_one_that_is_named(folder: Path) -> None:
    rows = {"photo": ["in/a..b.png"]}
    assert read_table(rows).media_dir is None
    assert read_table(rows, DataSpec(media_dir="data"), base=folder.parent).media_dir == folder
    assert read_table(rows, DataSpec(media_dir=str(folder))).media_dir == folder
    assert read_table(from_frame(rows), DataSpec(media_dir="data")).media_dir == Path("data")
