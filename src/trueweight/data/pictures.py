"""Pictures: what the head of a file tells, decoding, fitting into one size. Imports Pillow and torch when called.

Shape suffixes:
    N  pictures    H  height    W  width    C  channels
"""

import io
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from trueweight.data.cells import MediaCells
from trueweight.data.media import UnusableError

__all__ = [
    "FORMATS", "MOST_PIXELS", "calm", "decoded", "fitted", "in_channels", "made_up_picture", "picture_head", "tiny",
]  # fmt: skip

MOST_PIXELS = 89_478_485
"""Pillow's own limit (a quarter of a GiB at three bytes each): a file that claims more is taken for a bomb."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")

_TINY = 36 * 36
"""Pixels. Of 28 by 28, two threads take one and a half times as long as one; of 48 by 48, two thirds of it."""

_MAY_TURN = {"exif", "xmp"}
"""What Pillow calls the parts of a file that may say how the camera was held."""

_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_SIZES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
"""JPEG markers of segments that hold the size."""

_STANDALONE = {0x01, *range(0xD0, 0xD9)}
_SCAN, _END, _EXIF = 0xDA, b"\xff\xd9", 0xE1


def picture_head(content: bytes) -> tuple[int, ...]:
    """Height, width and channels of a picture, from its first and last bytes.

    Raises:
        UnusableError: It is no picture, is cut short, or is larger than anybody means.
    """
    if not content:
        raise UnusableError("empty file")
    height, width, channels = _head(content)
    if height < 1 or width < 1:
        raise UnusableError("broken picture")
    if height * width > MOST_PIXELS:
        raise UnusableError("picture of too many pixels")
    return height, width, channels


def _head(content: bytes) -> tuple[int, int, int]:
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            return _png(content)
        if content.startswith(b"\xff\xd8"):
            return _jpeg(content)
        if content.startswith((b"GIF87a", b"GIF89a")):
            width, height = struct.unpack("<HH", content[6:10])
            return height, width, 3
    except (struct.error, IndexError):
        raise UnusableError("broken picture") from None
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    if webp and len(content) < 8 + int.from_bytes(content[4:8], "little"):
        raise UnusableError("broken picture")
    return _by_pillow(content)


def _png(content: bytes) -> tuple[int, int, int]:
    width, height, _, colour = struct.unpack(">IIBB", content[16:26])
    end = content.rfind(b"IEND")
    if content[12:16] != b"IHDR" or end < 0 or len(content) < end + 8:
        raise UnusableError("broken picture")
    return height, width, _PNG_CHANNELS.get(colour, 3)


def _jpeg(content: bytes) -> tuple[int, int, int]:
    """Walk over the segments before the scan: a preview among them has an end of its own, which is not the file's."""
    place, found = 2, None
    while True:
        if content[place] != 0xFF:
            raise UnusableError("broken picture")
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        length = 0 if marker in _STANDALONE else int.from_bytes(content[place + 2 : place + 4], "big")
        if marker == _EXIF and content[place + 4 : place + 8] == b"Exif":
            return _by_pillow(content)  # which may lie on its side
        if marker in _SIZES:
            height, width, channels = struct.unpack(">HHB", content[place + 5 : place + 10])
            found = height, width, 1 if channels == 1 else 3
        if marker == _SCAN:
            if found is None or content.find(_END, place) < 0:
                raise UnusableError("broken picture")
            return found
        place += 2 + length


def _by_pillow(content: bytes) -> tuple[int, int, int]:
    from PIL import ExifTags

    try:
        picture = _opened(content)
        orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
        _refuse_short(picture, content)
    except UnusableError:
        raise
    except Exception:  # a foreign file can make a decoder fail in any way
        raise UnusableError("broken picture") from None
    width, height = picture.size if orientation < 5 else picture.size[::-1]  # 5 to 8 lie on a side
    return height, width, len(picture.getbands())


def _refuse_short(picture: Any, content: bytes) -> None:
    if picture.format in ("JPEG", "MPO") and content.find(_END, content.rfind(b"\xff\xda")) < 0:
        raise UnusableError("broken picture")


def _opened(content: bytes) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        return Image.open(io.BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError:
        raise UnusableError("not a picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnusableError("picture of too many pixels") from None


@contextmanager
def calm() -> Iterator[None]:
    """Pillow says nothing inside of odd files, and refuses bombs. Filters are the process's: enter before threads."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def decoded(content: bytes, size: tuple[int, int] | None = None) -> np.ndarray:
    """The pixels of a picture, (H, W, C) uint8, C 1 for grey ones and 3 for others.

    Turned as the camera was held. Transparent places are white, whatever colour lies hidden below them. Of animations
    the first frame. 16 bits a channel keep the upper 8.

    Args:
        content: Of the file.
        size: Height and width that it will be fitted into: a JPEG that is many times as large is decoded at a half,
            a quarter or an eighth of its size.

    Raises:
        UnusableError: It cannot be decoded.
    """
    from PIL import ImageOps

    try:
        picture = _opened(content)
        if size is not None and picture.format == "JPEG":
            picture.draft(None, (2 * max(size), 2 * max(size)))
        if picture.format in ("MPO", "TIFF") or _MAY_TURN & picture.info.keys():  # to ask takes as long as a small JPEG
            ImageOps.exif_transpose(picture, in_place=True)
        return _pixels(picture)
    except UnusableError:
        raise
    except Exception:  # as above
        raise UnusableError("broken picture") from None


def _pixels(picture: Any) -> np.ndarray:
    mode = picture.mode
    if mode in ("RGB", "L"):
        if "transparency" not in picture.info:
            pixels = np.asarray(picture)
            return pixels if mode == "RGB" else pixels[:, :, None]
    elif mode in ("1", "CMYK", "YCbCr", "LAB", "HSV"):
        return _pixels(picture.convert("L" if mode == "1" else "RGB"))
    elif mode == "F" or mode.startswith("I"):
        return _eight_bits(np.asarray(picture))[:, :, None]
    from PIL import Image

    grey = mode in ("L", "LA", "La")
    picture = picture.convert("RGBA")
    shown = np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB"))
    return shown[:, :, :1] if grey else shown


def _eight_bits(value: np.ndarray) -> np.ndarray:
    """Whole numbers of 16 bits, or of any size if they fit 8; fractions from 0 to 1."""
    if value.dtype.kind == "f":
        value = np.nan_to_num(value) * (255 if np.nanmax(value, initial=0) <= 1 else 1)
        return np.asarray(np.clip(value, 0, 255).astype(np.uint8))
    wide = value.dtype.itemsize == 2 or value.max(initial=0) > 255
    return np.asarray(np.clip(value.astype(np.int64) >> 8 if wide else value, 0, 255).astype(np.uint8))


def _resized(pixels_HWC: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    import torch

    *several, high, wide, channels = pixels_HWC.shape
    value_NCHW = torch.from_numpy(np.array(pixels_HWC)).view(-1, high, wide, channels).movedim(3, 1)
    resize = torch.nn.functional.interpolate
    small_NCHW = resize(value_NCHW, size, mode="bilinear", antialias=True, align_corners=False)
    return np.ascontiguousarray(small_NCHW.movedim(1, 3).numpy()).reshape(*several, *size, channels)


def fitted(
    pixels_HWC: np.ndarray, size: tuple[int, int], channels: int,
    resized: Callable[[np.ndarray, tuple[int, int]], np.ndarray] = _resized,
) -> np.ndarray:  # fmt: skip
    """The whole picture within this size and with this many channels, (H, W, C) uint8; or several, (N, H, W, C).

    Its sides keep their proportion, so that nothing looks longer than it is, and nothing is cut off, since what tells
    a picture may be at its edge. What is left over gets the mean colour of the picture's own edge. Resized by torch's
    bilinear filter with antialiasing, unless by another.
    """
    *several, high, wide, _ = pixels_HWC.shape
    share = min(size[0] / high, size[1] / wide)
    inner = (max(1, min(size[0], round(high * share))), max(1, min(size[1], round(wide * share))))
    if (high, wide) != inner:
        pixels_HWC = resized(pixels_HWC, inner)
    pixels_HWC = in_channels(pixels_HWC, channels)
    if inner == size:
        return pixels_HWC
    sides = pixels_HWC[..., [0, -1], :, :], pixels_HWC[..., :, [0, -1], :]
    edge = np.concatenate([side.reshape(*several, -1, channels) for side in sides], axis=-2)
    padded = np.empty((*several, *size, channels), np.uint8)
    padded[:] = edge.mean(-2).round().astype(np.uint8)[..., None, None, :]
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    padded[..., top : top + inner[0], left : left + inner[1], :] = pixels_HWC
    return padded


def in_channels(pixels_HWC: np.ndarray, channels: int) -> np.ndarray:
    """Grey or in colour, (H, W, C) uint8, or (N, H, W, C)."""
    have = pixels_HWC.shape[-1]
    if have == channels:
        return pixels_HWC
    if have == 1:
        return np.repeat(pixels_HWC, channels, axis=-1)
    grey_HW = pixels_HWC @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow weighs them
    return (grey_HW + 0.5).astype(np.uint8)[..., None]


def tiny(cells: MediaCells, rows: np.ndarray) -> bool:
    """Whether pictures are so small that threads which decode them wait for each other more than they help."""
    pixels = cells.head_NF[rows, 0] * cells.head_NF[rows, 1]
    return bool(len(rows)) and float(np.median(pixels)) <= _TINY


def made_up_picture(size: tuple[int, int], mean: np.ndarray, std: np.ndarray, rng: np.random.Generator) -> bytes:
    """A tiny PNG of random colours with these means and spreads, which becomes smooth when it is fitted to a size."""
    from PIL import Image

    share = 8 / max(size)
    shape = (max(1, round(size[0] * share)), max(1, round(size[1] * share)), len(mean))
    value = np.clip((mean + std * rng.normal(size=shape)) * 255, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(value[:, :, 0] if len(mean) == 1 else value).save(stream, "PNG")
    return stream.getvalue()
