"""How a folder of another maker prepares pictures: ``preprocessor_config.json``, read and written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueweight.data.preparation import FILTERS, PreparationSpec
from trueweight.errors import SpecError, VerifyError
from trueweight.model.foreign.folder import PREPARATION, json_of

__all__ = ["Prepared", "read_preparation", "written_preparation"]

_ENOUGH = 384
"""From so many pixels on, ConvNeXT's way does not cut: Liu et al. 2022, arXiv:2201.03545, code of evaluation."""

_TYPES = ("image_processor_type", "feature_extractor_type")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What becomes of a picture."""

    size: tuple[int, int]
    """Height and width."""
    asked: PreparationSpec


def read_preparation(folder: Path, channels: int) -> Prepared:
    """As the folder says.

    Args:
        folder: That has the file.
        channels: Of the model.

    Raises:
        SpecError: Pictures are prepared in a way that we have no part for.
        VerifyError: The file is missing, broken, or does not say enough.
    """
    raw = json_of(folder / PREPARATION)
    _refuse(raw, folder)
    size, fit = _size(raw, folder)
    number = raw.get("resample", FILTERS["bicubic" if _by_convnext(raw) else "bilinear"])
    names = {value: name for name, value in FILTERS.items()}
    if type(number) is not int or number not in names:
        raise VerifyError(
            f"resample is {number!r}", where=_at(folder), hint="Pillow's filters have numbers from 0 to 5"
        )
    mean, std = _colours(raw, folder, channels)
    asked = {"filter": names[number], "mean": mean, "std": std, **fit}
    return Prepared(size, PreparationSpec.model_validate(asked))


def _at(folder: Path) -> str:
    return str(folder / PREPARATION)


def _by_convnext(raw: Mapping[str, Any]) -> bool:
    return any(str(raw.get(name, "")).startswith("ConvNext") for name in _TYPES)


def _refuse(raw: Mapping[str, Any], folder: Path) -> None:
    """Tell all that cannot be done at once."""
    wrong = []
    if raw.get("do_resize", True) is not True:
        wrong.append(f"do_resize: {raw['do_resize']!r}, and pictures of one size are read here")
    if raw.get("do_rescale", True) is not True or not _is_pixel_share(raw.get("rescale_factor", 1 / 255)):
        wrong.append("do_rescale and rescale_factor, which do not bring pixels from 0 to 1")
    wrong += [
        f"{name}: {raw[name]!r}" for name in ("do_pad", "do_flip_channel_order", "do_reduce_labels") if raw.get(name)
    ]
    if wrong:
        hint = (
            "leave start_from out, or have the folder saved with a preparation of resizing, cutting and standardising"
        )
        raise SpecError(
            f"pictures are prepared in a way that no part does: {'; '.join(wrong)}", where=_at(folder), hint=hint
        )


def _size(raw: Mapping[str, Any], folder: Path) -> tuple[tuple[int, int], dict[str, Any]]:
    """The size that pictures end with, and how they come to it."""
    sides, short = _sides(raw.get("size"))
    if _by_convnext(raw) and (short or (sides and sides[0] == sides[1])):
        side = short or (sides or (0, 0))[0]
        share = _share_of(raw, folder)
        return (side, side), {"fit": "crop", "crop_share": share} if side < _ENOUGH else {"fit": "stretch"}
    cut, cut_short = _sides(raw.get("crop_size"))
    cut = cut or ((cut_short, cut_short) if cut_short else None)
    if raw.get("do_center_crop"):
        short = short or (sides[0] if sides and sides[0] == sides[1] and isinstance(raw["size"], int) else 0)
        if short and cut and cut[0] == cut[1] <= short:
            return cut, {"fit": "crop", "crop_share": cut[0] / short}
        problem = f"a middle of crop_size {raw.get('crop_size')!r} is cut from size {raw.get('size')!r}"
        hint = "a square that fits into the shorter side can be cut out here: size: {shortest_edge: N}"
        raise SpecError(problem, where=_at(folder), hint=hint)
    if sides:
        return sides, {"fit": "stretch"}
    problem = f"size is {raw.get('size')!r}, which does not give all pictures one size"
    raise VerifyError(problem, where=_at(folder), hint="a size has a height and a width, or is cut out of the middle")


def _share_of(raw: Mapping[str, Any], folder: Path) -> float:
    share = raw.get("crop_pct")
    if share is None:
        return 224 / 256
    if not _is_share(share) or share == 0:
        hint = "it should be the share of the shorter side that is cut out, above 0 and at most 1"
        raise VerifyError(f"crop_pct is {share!r}", where=_at(folder), hint=hint)
    return float(share)


def _sides(asked: Any) -> tuple[tuple[int, int] | None, int]:
    """Height and width, or the shorter side; older folders write one number."""
    if type(asked) is int and asked > 0:
        return (asked, asked), 0
    given = asked if isinstance(asked, dict) else {}
    high, wide, short = (given.get(name) for name in ("height", "width", "shortest_edge"))
    if type(high) is int and type(wide) is int and min(high, wide) > 0:
        return (high, wide), 0
    return None, short if type(short) is int and short > 0 else 0


def _colours(raw: Mapping[str, Any], folder: Path, channels: int) -> tuple[list[float], list[float]]:
    if not raw.get("do_normalize", True):
        return [0.0] * channels, [1.0] * channels
    return _of_channels(raw, "image_mean", folder, channels), _of_channels(raw, "image_std", folder, channels)


def _of_channels(raw: Mapping[str, Any], name: str, folder: Path, channels: int) -> list[float]:
    found = raw.get(name)
    values = [found] * channels if isinstance(found, int | float) else found
    if not isinstance(values, list) or len(values) != channels or not all(map(_is_share, values)):
        problem = f"{name} is {raw.get(name, 'missing')!r}, and the model reads {channels} channels"
        raise VerifyError(problem, where=_at(folder), hint="one number for each channel, from 0 to 1")
    if name == "image_std" and not all(values):
        hint = "colours are divided by it: one number above zero for each channel"
        raise VerifyError(f"{name} is {raw[name]!r}", where=_at(folder), hint=hint)
    return [float(value) for value in values]


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_pixel_share(value: Any) -> bool:
    """Whether pixels from 0 to 255 become numbers from 0 to 1."""
    return isinstance(value, int | float) and abs(value - 1 / 255) <= 1e-6


def written_preparation(
    size: tuple[int, int], mean: tuple[float, ...], std: tuple[float, ...], asked: PreparationSpec | None
) -> tuple[dict[str, Any], list[str]]:
    """The file's content, and what of the preparation it cannot say.

    Args:
        size: Height and width.
        mean: Of each channel.
        std: Of each channel.
        asked: None fits pictures whole.
    """
    fit = asked.fit if asked is not None else "whole"
    numbers: dict[str, Any] = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
    numbers |= {
        "image_mean": list(mean),
        "image_std": list(std),
        "resample": FILTERS[asked.filter if asked else "bilinear"],
    }
    sides = {"height": size[0], "width": size[1]}
    if asked is not None and fit == "crop" and size[0] == size[1]:
        short = int(round(size[0] / asked.crop_share, 6))
        cut = {"do_center_crop": True, "crop_size": sides, "size": {"shortest_edge": short}}
        return {"image_processor_type": "BitImageProcessor", **numbers, **cut}, []
    return {"image_processor_type": "ViTImageProcessor", **numbers, "size": sides}, list(_lost(fit, size))


def _lost(fit: str, size: tuple[int, int]) -> Iterator[str]:
    if fit != "stretch":
        done = "kept whole, with edges filled," if fit == "whole" else "cut to the middle"
        yield f"pictures of other proportions than {size[0]} × {size[1]}, which are {done} here and stretched there"
