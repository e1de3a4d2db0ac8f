"""Pictures prepared as another maker's model wants them: cut or stretched, by a filter of Pillow's.

Shape suffixes:
    H  height    W  width    C  channels
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field

from trueweight.data.pictures import decoded, fitted, in_channels
from trueweight.spec.base import Conflict, Spec

__all__ = ["FILTERS", "PreparationSpec", "marked", "picture_of"]

FILTERS: Mapping[str, int] = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
"""Numbers by which Pillow, and with it the folders of other makers, know them."""

Channels = Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1, max_length=3)]
Spreads = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1, max_length=3)]


class PreparationSpec(Spec):
    """How pictures come to their size, and how their colours become numbers."""

    fit: Literal["whole", "crop", "stretch"] = "whole"
    """whole: within the size, in their proportions; what is left over gets the colour of the edge. crop: over the size,
    in their proportions, and its middle. stretch: to the size, whatever becomes of their proportions."""

    crop_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of ``fit: crop``: share of the covering picture's sides that is kept. 0.875 makes 256 pixels of a picture's
    shorter side, and keeps 224."""

    filter: Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"] = "bilinear"
    """By which Pillow resizes them."""

    mean: Channels | None = None
    """Of each channel (one: grey, three: red, green, blue), from 0 to 1; subtracted. Null: the training pictures'."""

    std: Spreads | None = None
    """Of each channel; divided by. Null: the training pictures'."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """A mean and a spread are of the same channels, and both or neither are given."""
        mean, std = raw.get("mean"), raw.get("std")
        if (mean is None) != (std is None):
            here, other = ("std", "mean") if mean is None else ("mean", "std")
            yield Conflict((here,), f"needs {other} beside it: give both, or leave both to the training pictures")
        elif (
            isinstance(mean, list | tuple) and isinstance(std, list | tuple) and {len(mean), len(std)} not in ({1}, {3})
        ):
            yield Conflict(("mean",), "mean and std need one number each, or three: pictures are grey, or in colour")
        if raw.get("crop_share", 1) != 1 and raw.get("fit", "whole") != "crop":
            yield Conflict(("crop_share",), "is of fit: crop: leave it out, or change that")

    @property
    def channels(self) -> int | None:
        """How many there are; None leaves it to the training pictures."""
        return None if self.mean is None else len(self.mean)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any] | None) -> Self | None:
        """Of a codec's plain data."""
        return None if raw is None else cls.model_validate(raw)


def picture_of(content: bytes, size: tuple[int, int], channels: int, asked: PreparationSpec | None) -> np.ndarray:
    """A file's picture as a model sees it, (H, W, C) uint8.

    Args:
        content: Of the file. One that :func:`marked` has this size already, and is taken as it is.
        size: Height and width.
        channels: 1 or 3.
        asked: None fits pictures whole, with torch's filter.

    Raises:
        UnusableError: It cannot be decoded.
    """
    if asked is None:
        return fitted(decoded(content, size), size, channels)
    pixels_HWC = decoded(content)
    if _MARK in content[:_HEAD] and pixels_HWC.shape[:2] == size:
        return in_channels(pixels_HWC, channels)
    number = FILTERS[asked.filter]

    def resized(value_HWC: np.ndarray, to: tuple[int, int]) -> np.ndarray:
        return _by_pillow(value_HWC, to, number)

    if asked.fit == "whole":
        return fitted(pixels_HWC, size, channels, resized)
    target = size if asked.fit == "stretch" else _covering(pixels_HWC.shape[:2], size, asked.crop_share)
    large_HWC = pixels_HWC if pixels_HWC.shape[:2] == target else resized(pixels_HWC, target)
    top, left = ((a - b) // 2 for a, b in zip(target, size, strict=True))
    return in_channels(np.ascontiguousarray(large_HWC[top : top + size[0], left : left + size[1]]), channels)


def _covering(now: tuple[int, ...], size: tuple[int, int], share: float) -> tuple[int, int]:
    """Height and width in the picture's proportions whose middle is kept. Rounded down, as other makers do."""
    high, wide = (max(side, int(round(side / share, 6))) for side in size)
    if high * now[1] >= wide * now[0]:  # flatter than asked for: its height decides
        return high, max(wide, int(high * now[1] / now[0]))
    return max(high, int(wide * now[0] / now[1])), wide


def _by_pillow(pixels_HWC: np.ndarray, size: tuple[int, int], number: int) -> np.ndarray:
    from PIL import Image

    grey = pixels_HWC.shape[2] == 1
    image = Image.fromarray(pixels_HWC[:, :, 0] if grey else pixels_HWC)
    small = np.asarray(image.resize((size[1], size[0]), Image.Resampling(number)))
    return small[:, :, None] if grey else small


_MARK = b"tEXtTrueweight\0prepared"
_HEAD = 64
"""Signature and size of a PNG file take 33 bytes; the mark stands behind them."""


def marked(png: bytes) -> bytes:
    """The content of a PNG file with a note that it was prepared: copies of pictures with changes in them are read
    again, and are not to be cut twice."""
    note = struct.pack(">I", len(_MARK) - 4) + _MARK + struct.pack(">I", zlib.crc32(_MARK))
    return png[:33] + note + png[33:]
