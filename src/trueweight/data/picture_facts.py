"""What a column of pictures is learnt to be: one size, grey or in colour, means, spreads and how neighbours vary.

Shape suffixes:
    N  rows    H  height    W  width    C  channels    P  values of a patch    M  patches
"""

from typing import Any

import numpy as np

from trueweight.data.cells import MediaCells
from trueweight.data.media import UnusableError, content_of, in_threads
from trueweight.data.pictures import calm, decoded, fitted, tiny
from trueweight.data.sample import BottomK

__all__ = ["LARGEST", "PATCH", "learn_pictures", "pictures_of", "shared_size"]

LARGEST = 128
"""Longest side that a size chosen by the data has."""

PATCH = 2
"""Side of the patches whose covariance is kept."""

_SQUARES = (16, 24, 32, 48, 64, 96, 128)
_LOOKED_AT = 1024
"""Pictures that means and spreads are found on: a thousand times a thousand pixels are more than enough."""

_TINT = 2.0
"""Mean difference of channels, in steps of 255, from which a picture is in colour."""

_COLOURFUL = 0.01
"""Share of pictures in colour from which all are kept in colour."""


def shared_size(head_NF: np.ndarray) -> tuple[int, int]:
    """One size for all: that of all, if they agree, else the largest usual square that half of them fill.

    Larger pictures are shrunk until their longer side is :data:`LARGEST`.

    Args:
        head_NF: Height, width and channels of each; at least one.
    """
    sizes = head_NF[:, :2]
    if (sizes == sizes[0]).all():
        high, wide = (int(side) for side in sizes[0])
        share = min(1.0, LARGEST / max(high, wide))
        return max(1, round(high * share)), max(1, round(wide * share))
    middle = float(np.median(sizes.max(1)))
    side = max((square for square in _SQUARES if square <= middle), default=_SQUARES[0])
    return side, side


def learn_pictures(
    cells: MediaCells,
    rows: np.ndarray,
    sample: BottomK,
    size: tuple[int, int] | None,
    min_group: int,
    channels: int | None = None,
) -> dict[str, Any]:
    """Facts from these rows; see :class:`~trueweight.data.columns.image.ImageColumn`.

    Args:
        cells: Of all rows.
        rows: Training rows.
        sample: Those of them that are looked at for sizes.
        size: What the user asked for.
        min_group: Pictures that hide each other.
        channels: Grey or in colour, where that was asked for.
    """
    missing = int(cells.missing_N[rows].sum())
    count = len(rows) - missing
    seen = sample.rows[~cells.missing_N[sample.rows]]
    few = count < min(min_group, len(rows)) or not len(seen)
    chosen = size or ((32, 32) if few else shared_size(cells.head_NF[seen]))
    facts: dict[str, Any] = {"count": count, "missing": missing, "size": list(chosen)}
    some = seen[:0] if few else BottomK.of(seen, k=_LOOKED_AT).rows
    looked_at = pictures_of(cells, some, chosen)[1]
    facts |= {"looked_at": 0 if few else min(len(seen), _LOOKED_AT)}
    facts |= {"broken": facts["looked_at"] - len(looked_at)}
    if not len(looked_at):
        count = channels or 3
        return facts | {"channels": count, "mean": [0.5] * count, "std": [0.25] * count, "covariance": []}
    return facts | _colours(looked_at, channels)


def pictures_of(cells: MediaCells, rows: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pictures in colour and of one size: the rows that can be decoded, and (N, H, W, 3) uint8."""

    def one(row: int) -> np.ndarray | None:
        try:
            return fitted(decoded(content_of(cells, row), size), size, 3)
        except UnusableError:
            return None

    with calm():
        found = list(in_threads(one, map(int, rows), at_once=8, tiny=tiny(cells, rows)))
    whole = [pixels for pixels in found if pixels is not None]
    kept = rows[np.array([pixels is not None for pixels in found], bool)]
    return kept, np.stack(whole) if whole else np.zeros((0, *size, 3), np.uint8)


def _colours(pixel_NHWC: np.ndarray, asked: int | None) -> dict[str, Any]:
    tint_N = np.array([_tint(pixels) for pixels in pixel_NHWC])
    channels = asked or (3 if (tint_N > _TINT).mean() >= _COLOURFUL else 1)
    value = pixel_NHWC if channels == 3 else pixel_NHWC[..., :1]  # grey ones have three equal channels
    if channels == 1 and tint_N.any():
        value = (pixel_NHWC @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    flat = value.reshape(-1, channels).astype(np.float32) / 255
    return {
        "channels": channels,
        "mean": [round(float(x), 4) for x in flat.mean(0, dtype=np.float64)],
        "std": [round(max(float(x), 1 / 255), 4) for x in flat.std(0, dtype=np.float64)],
        "covariance": _covariance(value),
    }


def _tint(pixels_HWC: np.ndarray) -> float:
    value = pixels_HWC.astype(np.int16)
    return float(np.abs(value[..., 0] - value[..., 1]).mean() + np.abs(value[..., 1] - value[..., 2]).mean())


def _covariance(value_NHWC: np.ndarray) -> list[list[float]]:
    """Of all patches, values in order of row, column, channel and divided by 255; [] if pictures are smaller."""
    high, wide = value_NHWC.shape[1:3]
    if min(high, wide) < PATCH:
        return []
    width = PATCH**2 * value_NHWC.shape[3]
    total_PP, sum_P, count = np.zeros((width, width)), np.zeros(width), 0
    for one_HWC in value_NHWC:
        corners = [one_HWC[i : high - 1 + i, j : wide - 1 + j] for i in range(PATCH) for j in range(PATCH)]
        patch_MP = np.concatenate(corners, axis=2).reshape(-1, width).astype(np.float64) / 255
        total_PP, sum_P, count = total_PP + patch_MP.T @ patch_MP, sum_P + patch_MP.sum(0), count + len(patch_MP)
    mean_P = sum_P / count
    return [[float(f"{x:.4g}") for x in row] for row in total_PP / count - np.outer(mean_P, mean_P)]
