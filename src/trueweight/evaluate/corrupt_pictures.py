"""Pictures gone wrong, at the size at which the model sees them: noise, blur, light, rotation, compression, cover.

Most are those of Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to common corruptions and
perturbations", arXiv:1903.12261, section 3; with three strengths of our own, named in their units. Pixels are from 0
(black) to 1 (full) in these.

Shape suffixes:
    N  rows    H  height    W  width    C  channels
"""

import io
import struct
import zlib
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import pyarrow as pa

from trueweight.data.cells import Cells, MediaCells
from trueweight.data.columns.image import ImageCodec
from trueweight.data.media import UnusableError, content_of, in_threads
from trueweight.data.pictures import calm
from trueweight.data.preparation import marked
from trueweight.data.reading import column_part
from trueweight.data.signature import ColumnFacts
from trueweight.evaluate.corrupt import Family, Suite, missing_suite

__all__ = ["PICTURES", "Pictures", "load_pictures", "png", "write_pictures"]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Pictures as the model sees them."""

    pixel_NHWC: np.ndarray
    """uint8."""
    missing_N: np.ndarray
    """bool; zeros among the pixels."""

    def changed(self, value_NHWC: np.ndarray) -> pa.Array:
        """Other pixels, from 0 to 255 and rounded, as raw cells."""
        return write_pictures(replace(self, pixel_NHWC=np.clip(np.rint(value_NHWC), 0, 255).astype(np.uint8)))


def load_pictures(cells: Cells, facts: ColumnFacts) -> Pictures | None:
    """Decode and fit as the column's codec does; what cannot be decoded is missing."""
    assert isinstance(cells, MediaCells)
    codec = column_part(facts).codec(facts.name, facts.learnt)  # type: ignore[attr-defined]
    assert isinstance(codec, ImageCodec)
    if not any(codec.size):
        return None
    pixel_NHWC = np.zeros((len(cells), *codec.size, len(codec.mean)), np.uint8)
    missing_N = cells.missing_N.copy()

    def one(row: int) -> None:
        try:
            pixel_NHWC[row] = codec.picture(content_of(cells, row))
        except UnusableError:
            missing_N[row] = True

    with calm():
        for _ in in_threads(one, np.flatnonzero(~missing_N).tolist(), at_once=8):
            pass
    return Pictures(pixel_NHWC, missing_N)


def png(pixel_HWC: np.ndarray) -> bytes:
    """The content of a PNG file that holds these very pixels, neither filtered nor compressed: it is read once, right
    away. A suite writes thousands, and Pillow takes about ten times as long for each.

    Source: the PNG specification, third edition (W3C 2025), sections 5.2, 5.3 and 9.2.
    """
    high, wide, channels = pixel_HWC.shape
    row_HL = np.zeros((high, 1 + wide * channels), np.uint8)  # each row begins with its filter: 0, none
    row_HL[:, 1:] = pixel_HWC.reshape(high, -1)
    head = struct.pack(">IIBBBBB", wide, high, 8, _PNG_COLOUR[channels], 0, 0, 0)
    content = zlib.compress(row_HL.tobytes(), 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", content) + _chunk(b"IEND", b"")


_PNG_COLOUR = {1: 0, 3: 2}
"""Channels to what the format calls grey, and colours."""


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _image(pixel_HWC: np.ndarray) -> Any:
    from PIL import Image

    return Image.fromarray(pixel_HWC[:, :, 0] if pixel_HWC.shape[2] == 1 else pixel_HWC)


def _pixels(image: Any, channels: int) -> np.ndarray:
    pixel = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixel.reshape(*pixel.shape[:2], channels)


def write_pictures(loaded: Pictures) -> pa.Array:
    """As files in cells."""
    files = [None if gone else marked(png(p)) for gone, p in zip(loaded.missing_N, loaded.pixel_NHWC, strict=True)]
    return pa.array(files, pa.large_binary())


def _noisy(loaded: Pictures, strength: float, rng: np.random.Generator) -> pa.Array:
    return loaded.changed(loaded.pixel_NHWC + rng.normal(size=loaded.pixel_NHWC.shape) * (255 * strength))


def blurred(pixel_NHWC: np.ndarray, sigma: float) -> np.ndarray:
    """Each pixel the mean of its neighbours, weighted by a normal distribution of this many pixels; edges repeat."""
    reach = ceil(3 * sigma)
    weight_K = np.exp(-np.square(np.arange(-reach, reach + 1) / sigma) / 2)
    weight_K /= weight_K.sum()
    value = pixel_NHWC.astype(np.float64)
    for axis in (1, 2):
        length = value.shape[axis]
        place_LK = np.clip(np.arange(length)[:, None] + np.arange(-reach, reach + 1), 0, length - 1)
        matrix_LL = np.zeros((length, length))
        np.add.at(matrix_LL, (np.arange(length)[:, None], place_LK), weight_K)
        value = np.moveaxis(np.tensordot(matrix_LL, value, (1, axis)), 0, axis)
    return value


def _blurred(loaded: Pictures, strength: float, rng: np.random.Generator) -> pa.Array:  # noqa: ARG001
    return loaded.changed(blurred(loaded.pixel_NHWC, strength))


def _flatter(loaded: Pictures, strength: float, rng: np.random.Generator) -> pa.Array:  # noqa: ARG001
    mean_N111 = loaded.pixel_NHWC.mean((1, 2, 3), keepdims=True)
    return loaded.changed(mean_N111 + (loaded.pixel_NHWC - mean_N111) * strength)


def _lighter(loaded: Pictures, strength: float, rng: np.random.Generator) -> pa.Array:
    sign_N111 = rng.choice([-1.0, 1.0], size=(len(loaded.missing_N), 1, 1, 1))
    return loaded.changed(loaded.pixel_NHWC + sign_N111 * (255 * strength))


def _edge_colour(pixel_HWC: np.ndarray) -> tuple[int, ...]:
    channels = pixel_HWC.shape[2]
    edge = np.concatenate([pixel_HWC[[0, -1]].reshape(-1, channels), pixel_HWC[:, [0, -1]].reshape(-1, channels)])
    return tuple(int(x) for x in edge.mean(0).round())


def _turned(loaded: Pictures, strength: float, rng: np.random.Generator) -> pa.Array:
    from PIL import Image

    channels, turned_NHWC = loaded.pixel_NHWC.shape[3], np.empty_like(loaded.pixel_NHWC)
    for row, sign in enumerate(rng.choice([-1.0, 1.0], size=len(turned_NHWC))):
        pixel_HWC = loaded.pixel_NHWC[row]
        fill: Any = _edge_colour(pixel_HWC)
        turned = _image(pixel_HWC).rotate(
            sign * strength, Image.Resampling.BILINEAR, fillcolor=fill[0] if channels == 1 else fill
        )
        turned_NHWC[row] = _pixels(turned, channels)
    return loaded.changed(turned_NHWC)


def _compressed(loaded: Pictures, strength: float, rng: np.random.Generator) -> pa.Array:  # noqa: ARG001
    from PIL import Image

    channels, back_NHWC = loaded.pixel_NHWC.shape[3], np.empty_like(loaded.pixel_NHWC)
    for row, pixel_HWC in enumerate(loaded.pixel_NHWC):
        stream = io.BytesIO()
        _image(pixel_HWC).save(stream, "JPEG", quality=int(strength))
        back_NHWC[row] = _pixels(Image.open(stream), channels)
    return loaded.changed(back_NHWC)


def _covered(loaded: Pictures, strength: float, rng: np.random.Generator) -> pa.Array:
    pixel_NHWC = loaded.pixel_NHWC.copy()
    rows, high, wide, _ = pixel_NHWC.shape
    colour_C = pixel_NHWC.mean((0, 1, 2))
    tall, broad = (max(1, round(side * np.sqrt(strength / 100))) for side in (high, wide))
    top_N, left_N = rng.integers(0, high - tall + 1, rows), rng.integers(0, wide - broad + 1, rows)
    for row in range(rows):
        pixel_NHWC[row, top_N[row] : top_N[row] + tall, left_N[row] : left_N[row] + broad] = colour_C
    return loaded.changed(pixel_NHWC)


PICTURES = Family(
    "pictures",
    ("image",),
    load_pictures,
    write_pictures,
    (
        Suite("noise", "noise of {} of full brightness", (0.04, 0.1, 0.25), _noisy),
        Suite("blur", "a blur of {} pixels", (0.5, 1, 2), _blurred),
        Suite("contrast", "contrast at {} of what it was", (0.8, 0.5, 0.25), _flatter),
        Suite("brightness", "lighter or darker by {} of full brightness", (0.05, 0.15, 0.3), _lighter),
        Suite("rotation", "turned by {} degrees", (5, 15, 30), _turned),
        Suite("jpeg", "JPEG of quality {}", (80, 40, 10), _compressed),
        Suite("cover", "a square of {} % of the area covered", (4, 12, 25), _covered, mild=False),
        missing_suite(write_pictures),
    ),
)
