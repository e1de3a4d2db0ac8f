"""Columns of pictures: what is read, what is learnt, what is encoded."""

import base64
import io
import logging
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from trueweight.data.cells import MediaCells, ReadOptions, cut
from trueweight.data.columns.image import ImageColumn
from trueweight.data.guess import guess_feature
from trueweight.data.media_kinds import media_kind
from trueweight.data.sample import BottomK

RNG = np.random.default_rng(0)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def photos(count: int = 20, high: int = 6, wide: int = 8) -> list[bytes]:
    return [png(RNG.integers(0, 256, (high, wide, 3), dtype=np.uint8)) for _ in range(count)]


def read(cells: object, folder: Path | None = None, **options: object) -> MediaCells:
    raw = cells if isinstance(cells, pa.Array) else pa.array(cells)
    return ImageColumn(**options).read(pa.chunked_array([raw]), ReadOptions(("", "NA"), media_dir=folder))


def learnt(cells: MediaCells, min_group: int = 10, **options: object) -> dict:
    rows = np.arange(len(cells))
    return ImageColumn(**options).learn(cells, rows, BottomK.of(rows), min_group=min_group)


def encoded(cells: MediaCells, facts: dict) -> dict:
    return dict(ImageColumn().codec("photo", facts).encode(cells))


def test_bytes_paths_addresses_and_structs_are_the_same_pictures(tmp_path: Path):
    files = photos(12)
    names = [f"p{i}.png" for i in range(12)]
    for name, content in zip(names, files, strict=True):
        (tmp_path / name).write_bytes(content)
    addresses = [f"data:image/png;base64,{base64.b64encode(content).decode()}" for content in files]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    structs = pa.array([{"bytes": b, "path": "x.png"} for b in files], kind)
    only_paths = pa.array([{"bytes": None, "path": n} for n in names], kind)
    ways = [read(cells, tmp_path) for cells in (files, names, addresses, structs, only_paths)]
    first = encoded(ways[0], learnt(ways[0]))["pixel"]
    for way in ways:
        assert not way.missing_N.any() and not way.notes
        np.testing.assert_array_equal(way.print_N, ways[0].print_N)
        np.testing.assert_array_equal(way.head_NF, [[6, 8, 3]] * 12)
        np.testing.assert_array_equal(encoded(way, learnt(way))["pixel"], first)
    np.testing.assert_array_equal(first[3], np.asarray(Image.open(io.BytesIO(files[3]))))


def test_what_is_broken_is_missing_and_counted(tmp_path: Path):
    good = photos(1)[0]
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "half.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "good.png").write_bytes(good)
    cells = read(["good.png", "empty.png", "text.png", "half.png", "nowhere.png", "NA", "", None], tmp_path)
    assert cells.missing_N.tolist() == [False] + [True] * 7
    assert cells.notes == {"empty file": 1, "not a picture": 1, "broken picture": 1, "file not found": 1}


def test_numbers_are_no_pictures():
    cells = read([1.0, None, 3.0])
    assert cells.missing_N.all()
    assert cells.notes == {"not a picture": 2}


# --- What is learnt --------------------------------------------------------------------------------------------------


def test_means_and_spreads_are_those_of_the_pixels():
    files = photos(30)
    facts = learnt(read(files))
    value = np.stack([np.asarray(Image.open(io.BytesIO(f))) for f in files]) / 255
    assert facts["size"] == [6, 8] and facts["channels"] == 3
    np.testing.assert_allclose(facts["mean"], value.mean((0, 1, 2)), atol=1e-4)
    np.testing.assert_allclose(facts["std"], value.std((0, 1, 2)), atol=1e-4)
    corners = [value[:, i : 5 + i, j : 7 + j] for i in range(2) for j in range(2)]
    expected = np.cov(np.concatenate(corners, axis=3).reshape(-1, 12).T, bias=True)
    np.testing.assert_allclose(facts["covariance"], expected, rtol=1e-3, atol=1e-6)


def test_grey_pictures_saved_in_colour_are_grey():
    grey = [png(np.repeat(RNG.integers(0, 256, (6, 6, 1), dtype=np.uint8), 3, axis=2)) for _ in range(20)]
    facts = learnt(read(grey))
    assert facts["channels"] == 1 and len(facts["mean"]) == 1
    assert encoded(read(grey), facts)["pixel"].shape == (20, 6, 6, 1)


def test_one_in_a_hundred_in_colour_keeps_all_in_colour():
    grey = [png(RNG.integers(0, 256, (6, 6), dtype=np.uint8)) for _ in range(99)]
    assert learnt(read([*grey, *photos(1, 6, 6)]))["channels"] == 3
    assert learnt(read([*grey * 2, *photos(1, 6, 6)]))["channels"] == 1


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(6, 8)] * 12, [6, 8]),
        ([(300, 600)] * 12, [64, 128]),
        ([(20, 20), (40, 70), (50, 60)] * 6, [48, 48]),
        ([(500, 20), (400, 300), (128, 128)] * 6, [128, 128]),
        ([(3, 4), (5, 6)] * 6, [16, 16]),
    ],
)
def test_one_size_for_all(sizes, expected):
    cells = read([png(np.zeros((*size, 3), np.uint8)) for size in sizes])
    assert learnt(cells)["size"] == expected


def test_the_size_can_be_asked_for():
    cells = read(photos(12))
    assert learnt(cells, size=5)["size"] == [5, 5]
    assert learnt(cells, size=(4, 9))["size"] == [4, 9]


def test_few_pictures_teach_nothing_but_their_number():
    cells = read([*photos(5, 40, 40), *[None] * 20])
    facts = learnt(cells)
    assert facts["count"] == 5
    assert (facts["size"], facts["mean"], facts["covariance"]) == ([32, 32], [0.5] * 3, [])


# --- What is encoded -------------------------------------------------------------------------------------------------


def test_missing_pictures_are_the_mean_colour_and_flagged():
    cells = read([*photos(19), None])
    facts = learnt(cells)
    arrays = encoded(cells, facts)
    np.testing.assert_array_equal(arrays["flag"][:, 0], [0.0] * 19 + [1.0])
    assert (arrays["pixel"][19] == np.round(np.array(facts["mean"]) * 255)).all()
    assert "flag" not in encoded(read(photos(19)), learnt(read(photos(19))))


def test_what_only_decoding_finds_is_missing_with_one_warning(caplog: pytest.LogCaptureFixture):
    files = [bytearray(f) for f in photos(12)]
    for content in files[:2]:
        place = content.index(b"IDAT") + 6
        content[place : place + 30] = bytes(30)
    cells = read([None, *map(bytes, files)])
    assert not cells.missing_N[1:].any()
    with caplog.at_level(logging.WARNING):
        arrays = encoded(cells, learnt(cells))
    assert arrays["flag"][:4, 0].tolist() == [1, 1, 1, 0]
    assert [record.getMessage() for record in caplog.records] == [
        "photo: 2 pictures cannot be decoded and count as missing"
    ]


def test_shards_are_parts_of_the_whole():
    cells = read(photos(70))
    codec = ImageColumn().codec("photo", learnt(cells))
    whole = codec.encode(cells)["pixel"]
    np.testing.assert_array_equal(codec.encode(cut(cells, 33, 70))["pixel"], whole[33:])


def test_a_column_without_a_picture_encodes_nothing():
    cells = read(pa.nulls(5, pa.binary()))
    codec = ImageColumn().codec("photo", learnt(cells))
    assert codec.encode(cells) == {} == codec.senses()


def test_made_up_pictures_are_small():
    facts = learnt(read(photos(12)))
    made = ImageColumn().synthetic(facts, np.random.default_rng(0), 3).to_pylist()
    assert all(len(cell) < 600 for cell in made)


# --- Guesses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["a.png", "b/c.JPG", "d.jpeg"] * 9, "image"),
        (["a.wav", "b.flac"] * 9, "audio"),
        (["a.png", "b.txt"] * 9, None),
        (["red", "green"] * 9, None),
        ([f"a{i}.png" for i in range(19)] + ["x"], "image"),
        ([b"\x89PNG\r\n\x1a\n123", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBP"], "image"),
        ([b"RIFF\0\0\0\0WAVE", b"fLaC", None], "audio"),
        ([b"\x00\xff", b"abc"], None),
        (["data:image/png;base64,xx"], "image"),
        ([None, None], None),
        ([1.5, 2.5], None),
    ],
)
def test_files_are_told_by_their_names_and_heads(cells, kind):
    assert media_kind(pa.array(cells)) == kind


def test_columns_of_pictures_are_guessed(tmp_path):
    options = ReadOptions(("", "NA"), media_dir=tmp_path)
    (tmp_path / "0.png").touch()
    named = guess_feature("photo", pa.chunked_array([pa.array([f"{i}.png" for i in range(30)])]), options)
    held = guess_feature("photo", pa.chunked_array([pa.array(photos(30))]), options)
    assert (named.type, named.why) == ("image", "cells name files of pictures")
    assert (held.type, held.why) == ("image", "cells are files of pictures")
