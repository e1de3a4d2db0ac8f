"""Decoding and fitting of pictures, against Pillow and against what the formats say."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from trueweight.data.media import UnusableError
from trueweight.data.pictures import MOST_PIXELS, calm, decoded, fitted, made_up_picture, picture_head

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)


def saved(pixels: object, kind: str, **options: object) -> bytes:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def smooth(high: int = 40, wide: int = 60) -> np.ndarray:
    y, x = np.mgrid[:high, :wide]
    return np.stack([4 * y, 3 * x, 2 * (x + y)], axis=2).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("BMP", {})])
def test_lossless_files_give_their_pixels_back(kind, options):
    content = saved(COLOUR, kind, **options)
    np.testing.assert_array_equal(decoded(content), COLOUR)
    assert picture_head(content)[:2] == (6, 9)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_grey_files_have_one_channel(kind):
    np.testing.assert_array_equal(decoded(saved(GREY, kind)), GREY[:, :, None])


def test_jpeg_is_what_pillow_says():
    content = saved(smooth(), "JPEG", quality=90)
    np.testing.assert_array_equal(decoded(content), np.asarray(Image.open(io.BytesIO(content))))
    assert picture_head(content) == (40, 60, 3)


def test_of_an_animation_the_first_frame():
    first, second = (Image.fromarray(np.full((4, 5), level, np.uint8)) for level in (0, 255))
    content = saved(first, "GIF", save_all=True, append_images=[second])
    assert picture_head(content)[:2] == (4, 5)
    assert decoded(content).max() == 0


def test_transparent_places_are_white_whatever_lies_below():
    hidden = np.dstack([COLOUR, np.zeros((6, 9), np.uint8)])
    assert (decoded(saved(hidden, "PNG")) == 255).all()
    hidden[0, 0, 3] = 255
    assert (decoded(saved(hidden, "PNG"))[0, 0] == COLOUR[0, 0]).all()


def test_half_transparent_places_are_mixed_with_white():
    alpha = RNG.integers(0, 256, (6, 9, 1), dtype=np.uint8)
    shown = decoded(saved(np.dstack([COLOUR, alpha]), "PNG")).astype(float)
    expected = (COLOUR * (alpha / 255.0)) + 255.0 * (1 - alpha / 255.0)
    np.testing.assert_allclose(shown, expected, atol=1.0)  # rounded once


def test_grey_with_alpha_stays_grey():
    content = saved(Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (9, 6), 0)]), "PNG")
    shown = decoded(content)
    assert shown.shape == (6, 9, 1)
    assert (shown == 255).all()


def test_palettes_give_colours_with_and_without_transparency():
    picture = Image.fromarray(COLOUR).quantize(8)
    np.testing.assert_array_equal(decoded(saved(picture, "PNG")), np.asarray(picture.convert("RGB")))
    clear = decoded(saved(picture, "PNG", transparency=0))
    assert (clear[np.asarray(picture) == 0] == 255).all()


def test_one_bit_is_black_and_white():
    assert set(np.unique(decoded(saved(Image.fromarray(GREY).convert("1"), "PNG")))) == {0, 255}


def test_sixteen_bits_keep_the_upper_eight():
    deep = RNG.integers(0, 65536, (6, 9)).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(decoded(saved(deep, kind)), (deep >> 8).astype(np.uint8)[:, :, None])


def test_fractions_are_scaled():
    share = RNG.random((6, 9)).astype(np.float32)
    np.testing.assert_allclose(decoded(saved(share, "TIFF"))[:, :, 0], share * 255, atol=1)


def test_ink_becomes_light():
    ink = Image.fromarray(np.zeros((4, 4, 4), np.uint8), "CMYK")
    assert decoded(saved(ink, "JPEG")).shape == (4, 4, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_cameras_held_sideways(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = saved(smooth(), "JPEG", exif=exif, quality=95)
    upright = (40, 60) if orientation < 5 else (60, 40)
    assert picture_head(content)[:2] == decoded(content).shape[:2] == upright
    # Where the stored picture's first, dark corner comes to lie.
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    assert decoded(content)[corner[orientation]].astype(int).sum() < 60


def test_large_photographs_are_decoded_at_a_part_of_their_size():
    content = saved(smooth(640, 640), "JPEG", quality=95)
    assert decoded(content, (64, 64)).shape == (160, 160, 3)
    whole = fitted(decoded(content), (64, 64), 3).astype(int)
    assert np.abs(fitted(decoded(content, (64, 64)), (64, 64), 3) - whole).mean() < 2


# --- What cannot be used ---------------------------------------------------------------------------------------------


def problem(content: bytes) -> str:
    with calm(), pytest.raises(UnusableError) as caught:
        picture_head(content)
    return str(caught.value)


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {}), ("WEBP", {})])
def test_files_cut_short_are_found_by_their_ends(kind, options):
    content = saved(smooth(), kind, **options)
    picture_head(content)
    for length in (len(content) - 2, len(content) // 2, 30, 12):
        assert problem(content[:length]) in ("broken picture", "not a picture"), length


def test_the_end_of_a_preview_is_not_the_end_of_the_file():
    preview = saved(smooth(8, 8), "JPEG")
    content = saved(smooth(), "JPEG", comment=preview)
    assert picture_head(content) == (40, 60, 3)
    assert problem(content[: len(content) // 2 + len(preview) // 2]) == "broken picture"


def test_what_follows_the_end_does_not_matter():
    assert picture_head(saved(smooth(), "JPEG") + b"\0" * 5000) == (40, 60, 3)


@pytest.mark.parametrize("content", [b"hello, this is text\n" * 9, b"<svg/>", b"%PDF-1.4", b"\0" * 100])
def test_other_files_are_no_pictures(content):
    assert problem(content) == "not a picture"


def test_nothing_is_no_picture():
    assert problem(b"") == "empty file"


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def bomb(side: int) -> bytes:
    """A small file that claims to be enormous."""
    rows = zlib.compress(b"\0" * (side // 8 + 1) * 10)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_bombs_are_refused_by_their_heads_and_by_the_decoder():
    assert problem(bomb(100_000)) == "picture of too many pixels"
    assert problem(bomb(10_000)) == "picture of too many pixels"
    assert MOST_PIXELS == Image.MAX_IMAGE_PIXELS
    with calm(), pytest.raises(UnusableError, match="too many pixels"):
        decoded(bomb(10_000))


def test_broken_pixels_are_found_when_decoded():
    content = bytearray(saved(COLOUR, "PNG"))
    place = content.index(b"IDAT") + 6
    content[place : place + 20] = bytes(20)
    assert picture_head(bytes(content)) == (6, 9, 3)
    with calm(), pytest.raises(UnusableError, match="broken picture"):
        decoded(bytes(content))


# --- One size for all ------------------------------------------------------------------------------------------------


def test_a_picture_of_the_size_stays_as_it_is():
    np.testing.assert_array_equal(fitted(COLOUR, (6, 9), 3), COLOUR)


def test_shrinking_by_whole_parts_averages():
    # Antialiased bilinear weights of a factor of 2 are 1, 3, 3, 1 eighths along each side.
    weight = np.array([1, 3, 3, 1]) / 8
    pixels = RNG.integers(0, 256, (16, 16, 1), dtype=np.uint8)
    small = fitted(pixels, (8, 8), 1)[:, :, 0]
    inner = [[(pixels[2 * i - 1 : 2 * i + 3, 2 * j - 1 : 2 * j + 3, 0] * np.outer(weight, weight)).sum()
              for j in range(1, 7)] for i in range(1, 7)]  # fmt: skip
    np.testing.assert_allclose(small[1:7, 1:7], inner, atol=1.01)  # two roundings to whole numbers


def test_proportions_stay_and_the_rest_is_the_colour_of_the_edge():
    pixels = np.full((10, 20, 3), (200, 10, 30), np.uint8)
    pixels[3:7, 5:15] = 255
    square = fitted(pixels, (20, 20), 3)
    np.testing.assert_array_equal(square[5:15], pixels)
    assert (square[:5] == (200, 10, 30)).all() and (square[15:] == (200, 10, 30)).all()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 500, 3), (500, 1, 1), (2, 3, 1)])
def test_odd_shapes_fit(shape):
    value = np.full(shape, 77, np.uint8)
    for channels in (1, 3):
        assert (np.abs(fitted(value, (8, 6), channels).astype(int) - 77) <= 1).all()


@pytest.mark.parametrize(("shape", "channels"), [((28, 28, 1), 3), ((40, 20, 3), 1), ((9, 31, 3), 3), ((16, 16, 3), 3)])
def test_several_are_fitted_as_each_alone(shape, channels):
    several = np.random.default_rng(0).integers(0, 256, (5, *shape), dtype=np.uint8)
    together = fitted(several, (16, 16), channels)
    assert together.shape == (5, 16, 16, channels)
    assert (together == np.stack([fitted(one, (16, 16), channels) for one in several])).all()


def test_grey_is_weighed_as_pillow_does():
    ours = fitted(COLOUR, (6, 9), 1)[:, :, 0].astype(int)
    assert np.abs(ours - np.asarray(Image.fromarray(COLOUR).convert("L"))).max() <= 1


def test_made_up_pictures_have_the_colours_asked_for():
    mean, std = np.array([0.3, 0.5, 0.7]), np.full(3, 0.1)
    files = [made_up_picture((32, 64), mean, std, np.random.default_rng(i)) for i in range(50)]
    value = np.stack([fitted(decoded(file), (4, 8), 3) for file in files]) / 255
    np.testing.assert_allclose(value.mean((0, 1, 2)), [0.3, 0.5, 0.7], atol=0.02)
    assert all(len(file) < 400 for file in files)
