"""Pictures: decoded once, all of one size, as bytes."""

import base64
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal, cast

import numpy as np
import pyarrow as pa
from pydantic import Field, field_validator

from trueweight.data.bins import bins_of
from trueweight.data.cells import Cells, MediaCells, ReadOptions
from trueweight.data.column import FieldArrays, Sense
from trueweight.data.gist import gist_of
from trueweight.data.media import UnusableError, content_of, in_threads, read_media, undecodable
from trueweight.data.picture_facts import learn_pictures
from trueweight.data.pictures import calm, made_up_picture, picture_head, tiny
from trueweight.data.preparation import PreparationSpec, picture_of
from trueweight.data.quantiles import tellable
from trueweight.data.sample import BottomK
from trueweight.spec.base import AugmentationPart, EncoderPart, PartSpec, Spec, only_for

__all__ = ["ImageCodec", "ImageColumn", "ResizingSpec"]

_log = logging.getLogger("trueweight.data")

_RUN = 32
"""Pictures that a thread decodes at once."""

Side = Annotated[int, Field(ge=1, le=1024)]


@dataclass(frozen=True, slots=True)
class ImageCodec:
    """``pixel``: uint8 (H, W, C), the training rows' mean colour where missing. ``flag``: missing marks."""

    name: str
    size: tuple[int, int]
    """Height and width; (0, 0) if no picture was there to learn from, and nothing is encoded."""
    mean: tuple[float, ...]
    """Of each channel, from 0 to 1."""
    std: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    flags: bool
    mirrors: bool = True
    """See :class:`~trueweight.data.column.Sense`."""
    preparation: PreparationSpec | None = None
    """None fits pictures whole."""

    def shapes(self) -> dict[str, int]:
        if not any(self.size):
            return {}
        return {"pixel": len(self.mean)} | ({"flag": 1} if self.flags else {})

    def cardinalities(self) -> list[int]:
        return []

    def knots(self) -> list[list[float]]:
        return []

    def labels(self) -> dict[str, list[str]]:
        colours = ("grey",) if len(self.mean) == 1 else ("red", "green", "blue")
        words = {"pixel": [f"{self.name} {colour}" for colour in colours], "flag": [f"{self.name} missing"]}
        return {key: words[key] for key in self.shapes()}

    def senses(self) -> dict[str, Sense]:
        if not any(self.size):
            return {}
        sense = Sense(grid=self.size, mean=self.mean, std=self.std, covariance=self.covariance, mirrors=self.mirrors)
        return {"pixel": sense}

    def encode(self, cells: Cells) -> FieldArrays:
        """Decoded in threads, straight into one array. What cannot be decoded is missing, with one warning for all."""
        assert isinstance(cells, MediaCells)
        if not any(self.size):
            return {}
        pixel_NHWC = np.empty((len(cells), *self.size, len(self.mean)), np.uint8)
        missing_N = cells.missing_N.copy()
        given = np.flatnonzero(~missing_N)

        def several(rows: np.ndarray) -> None:
            for row in rows:
                try:
                    pixel_NHWC[row] = self.picture(content_of(cells, int(row)))
                except UnusableError:
                    missing_N[row] = True

        with calm():
            for _ in in_threads(several, np.array_split(given, -(-len(given) // _RUN) or 1), tiny=tiny(cells, given)):
                pass
        # Only now: to fill all rows in advance takes half as long as to decode them.
        pixel_NHWC[missing_N] = np.round(np.asarray(self.mean) * 255).astype(np.uint8)
        if broken := int((missing_N & ~cells.missing_N).sum()):
            _log.warning("%s", undecodable(self.name, broken, "picture"))
        flag = {"flag": missing_N.astype(np.float32)[:, None]} if self.flags else {}
        return {"pixel": pixel_NHWC} | flag

    def picture(self, content: bytes) -> np.ndarray:
        """One file as the model sees it, (H, W, C) uint8; raises UnusableError where it cannot be decoded."""
        return picture_of(content, self.size, len(self.mean), self.preparation)

    def to_json(self) -> dict[str, Any]:
        raw = asdict(replace(self, preparation=None))
        raw["preparation"] = None if self.preparation is None else self.preparation.model_dump(mode="json")
        lists = {"size": list(self.size), "mean": list(self.mean), "std": list(self.std)}
        return raw | lists | {"covariance": [list(row) for row in self.covariance]}


class ResizingSpec(Spec):
    """Pictures that are smaller at the beginning of the run, where a step then takes less time."""

    initial: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Share of each side, rounded to multiples of 4 pixels."""

    until: Annotated[float, Field(gt=0, lt=1)] = 0.75
    """Share of the steps from which on pictures have their full size. Answers are always given at full size."""


class ImageColumn(PartSpec):
    """Pictures (PNG, JPEG, WebP, TIFF, BMP, the first frame of GIF) as bytes, paths or ``data:`` addresses.

    All become one size, whole and in their proportions. They stay in colour if one in a hundred is; else one channel of
    grey is kept. Transparency is not kept: transparent places become white, since what lies below them means nothing,
    and whether a file has an alpha channel tells where it comes from rather than what it shows.

    Facts learnt: "count" and "missing" (rows), "size" (height, width), "channels", "mean" and "std" of each channel,
    "covariance" of patches of 2 by 2 pixels, "bins" (pictures between edges of their brightness; all from at most
    1,024 pictures), and how many were "looked_at" for that and how many of them are "broken": their heads are right,
    and yet they cannot be decoded. In colour and beside a target of classes also "mirror": whether classes differ from
    their mirror images, and by how much; see ``data/mirrors.py``.

    Example:
        ``photo: {type: image, size: 64, augment: [horizontal_flip, shift], encoder: cnn}``
    """

    type: Literal["image"] = "image"
    """Registered name."""

    size: Side | tuple[Side, Side] | None = None
    """Side of a square, or height and width, in pixels. Null takes the size that all have, up to 128; where they
    differ, a square."""

    preparation: PreparationSpec | None = None
    """How pictures come to that size, and colours become numbers: what another maker's model was trained with. Null:
    whole, in their proportions, and standardised by the training pictures' own means and spreads."""

    encoder: EncoderPart | None = None
    """What reads the pixels, alone or in a row such as ``[cnn, lstm]``. Null: chosen by the recipe."""

    augment: list[AugmentationPart] | None = None
    """Changes of training pictures that leave what they show. Null: chosen by the recipe; [] for none."""

    progressive_resizing: ResizingSpec | None = None
    """Train on smaller pictures first; the encoder must read any size. Which step sees which size follows from the plan
    alone. Null: all at full size."""

    @field_validator("augment")
    @classmethod
    def _changes_what_it_reads(cls, parts: list[PartSpec] | None) -> list[PartSpec] | None:
        return only_for("pixel", "pictures", parts)

    def read(self, raw: pa.ChunkedArray, options: ReadOptions) -> MediaCells:
        """Find the files and look at their heads: height, width, channels. Nothing is decoded."""
        with calm():
            return read_media(raw, options, picture_head, 3, "picture")

    def learn(self, cells: Cells, rows: np.ndarray, sample: BottomK, *, min_group: int) -> dict[str, Any]:
        """Facts from the rows given: size, colours, no single picture."""
        assert isinstance(cells, MediaCells)
        facts = learn_pictures(cells, rows, sample, self._asked(), min_group, self._channels())
        bright_N = gist_of("image", cells, sample.rows)
        assert bright_N is not None
        told = tellable(bright_N[~np.isnan(bright_N)], facts["count"], len(rows), min_group)
        return facts | {"bins": bins_of(told, min_group)}

    def _asked(self) -> tuple[int, int] | None:
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def _channels(self) -> int | None:
        return None if self.preparation is None else self.preparation.channels

    def codec(self, name: str, learnt: Mapping[str, Any]) -> ImageCodec:
        """The codec for facts that :meth:`learn` found."""
        high, wide = learnt["size"] if learnt["count"] else (0, 0)
        covariance = tuple(tuple(row) for row in learnt["covariance"])
        flags = learnt["missing"] > 0 and learnt["count"] > 0
        asked = self.preparation
        mean, std = tuple(learnt["mean"]), tuple(learnt["std"])
        if asked is not None and asked.mean is not None and asked.std is not None:
            mean, std = asked.mean, asked.std
        return ImageCodec(name, (high, wide), mean, std, covariance, flags, not _differs(learnt), asked)

    def codec_from_json(self, raw: Mapping[str, Any]) -> ImageCodec:
        """The inverse of :meth:`ImageCodec.to_json`."""
        high, wide = raw["size"]
        covariance = tuple(tuple(row) for row in raw["covariance"])
        mean, std = tuple(raw["mean"]), tuple(raw["std"])
        mirrors = raw.get("mirrors", True)  # bundles of earlier versions do not say
        asked = PreparationSpec.from_json(raw.get("preparation"))
        return ImageCodec(raw["name"], (high, wide), mean, std, covariance, raw["flags"], mirrors, asked)

    def synthetic(self, learnt: Mapping[str, Any], rng: np.random.Generator, n: int) -> pa.Array:
        """Smooth noise in the learnt colours, as ``data:`` addresses of tiny PNG files."""
        high, wide = learnt["size"]
        mean, std = np.asarray(learnt["mean"]), np.asarray(learnt["std"])
        empty = rng.uniform(size=n) < (0.1 if learnt["missing"] else 0.0)
        files = [made_up_picture((high, wide), mean, std, rng) for _ in range(n)]
        addresses = [f"data:image/png;base64,{base64.b64encode(file).decode()}" for file in files]
        cells = [None if gone else cell for gone, cell in zip(empty, addresses, strict=True)]
        return pa.array(cells, pa.string())

    def summary(self, learnt: Mapping[str, Any]) -> str:
        """``pictures of 32 × 32, in colour``."""
        if not learnt["count"]:
            return "no pictures"
        high, wide = learnt["size"]
        odd = f"; {learnt['broken']:,} of {learnt['looked_at']:,} broken" if learnt.get("broken") else ""
        told = self.mirrored(learnt)
        odd += f"; {told}" if told else ""
        return f"pictures of {high} × {wide}, {'grey' if learnt['channels'] == 1 else 'in colour'}{odd}"

    def mirrored(self, learnt: Mapping[str, Any]) -> str:
        """Why pictures are not mirrored, or what speaks against it where that was asked for; "" where nothing does."""
        if not _differs(learnt):
            return ""
        wary = any(part.type == "horizontal_flip" and cast(Any, part).wary for part in self.augment or ())
        return f"{'mirrored: no, ' if wary else ''}classes differ from their mirror images"


def _differs(learnt: Mapping[str, Any]) -> bool:
    return bool(learnt.get("mirror", {}).get("differs"))
