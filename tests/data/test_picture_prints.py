"""Hashes of pictures hardly change with size, brightness and JPEG, and differ between pictures."""

import io
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from PIL import Image

from trueweight.data.cells import MediaCells, ReadOptions
from trueweight.data.media import read_media
from trueweight.data.picture_prints import apart, hashes_of, mirrored, nearest, thumbnails, without_edge
from trueweight.data.pictures import picture_head


def picture(seed: int, side: int = 64, light: float = 1.0, form: str = "PNG") -> bytes:
    """Smooth spots, the same at any size."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:side, 0:side] / side
    value = sum(rng.normal() * np.cos(np.pi * (rng.integers(0, 8) * x + rng.integers(0, 8) * y)) for _ in range(40))
    stream = io.BytesIO()
    scaled = np.clip((128 + 12 * value) * light, 0, 255).astype(np.uint8)
    Image.fromarray(scaled).save(stream, form, **({"quality": 70} if form == "JPEG" else {}))
    return stream.getvalue()


def cells(files: list[bytes]) -> MediaCells:
    return read_media(pa.chunked_array([pa.array(files, pa.binary())]), ReadOptions(), picture_head, 3, "picture")


def looked_at(files: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    value_NF, shows_N = thumbnails(cells(files), np.arange(len(files)))
    return value_NF, shows_N, hashes_of(value_NF)


def test_a_picture_is_known_again() -> None:
    plain = looked_at([picture(seed) for seed in range(20)])
    for changed in ({"light": 0.8}, {"side": 96}, {"form": "JPEG"}):
        other = looked_at([picture(seed, **changed) for seed in range(20)])
        bits_N = np.bitwise_count(plain[2] ^ other[2])
        assert bits_N.max() <= 12
        assert apart(plain[0], other[0]).max() < 0.15


def test_others_are_told_apart_and_blank_ones_show_nothing() -> None:
    value_NF, shows_N, hash_N = looked_at([*(picture(seed) for seed in range(20)), picture(0, light=0.0)])
    assert shows_N.tolist() == [True] * 20 + [False]
    bits = np.bitwise_count(hash_N[:20, None] ^ hash_N[None, :20])
    assert np.median(bits[~np.eye(20, dtype=bool)]) > 20
    assert np.median(apart(value_NF[:19], value_NF[1:20])) > 0.5


def test_the_nearest_are_those_of_the_fewest_bits() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 2**63, 40).astype(np.uint64), rng.integers(0, 2**63, 70).astype(np.uint64)
    place_NK, bits_NK = nearest(one, other, 3)
    slow = [[bin(int(a) ^ int(b)).count("1") for b in other] for a in one]
    for n, row in enumerate(slow):
        assert sorted(bits_NK[n].tolist()) == sorted(row)[:3]
        assert [row[place] for place in place_NK[n]] == bits_NK[n].tolist()


def test_mirrored_and_cropped_pictures_are_known_again() -> None:
    files = [picture(seed) for seed in range(12)]
    plain_NF = looked_at(files)[0]

    def changed(change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
        found = []
        for file in files:
            stream = io.BytesIO()
            change(Image.open(io.BytesIO(file))).save(stream, "PNG")
            found.append(stream.getvalue())
        return looked_at(found)[0]

    mirror_NF = changed(lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    np.testing.assert_allclose(mirrored(plain_NF), mirror_NF, atol=1)  # halves are rounded one way
    np.testing.assert_array_equal(mirrored(mirrored(plain_NF)), plain_NF)
    box = (3.2, 3.2, 60.8, 60.8)  # a twentieth of 64 at each side
    crop_NF = changed(lambda image: image.resize((64, 64), Image.Resampling.BILINEAR, box=box))
    cut_NF = without_edge(plain_NF)
    assert apart(cut_NF, crop_NF).max() < 0.1
    assert apart(plain_NF, crop_NF).min() > 2 * apart(cut_NF, crop_NF).max()
    np.testing.assert_allclose(without_edge(np.full((1, 1024), 7, np.float32)), 7, rtol=1e-6)
