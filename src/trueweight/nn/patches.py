"""Pictures as tokens: patches, and standardised values.

Shape suffixes in this file:
    B  rows    H  height    W  width of a picture    C  channels    P  side of a patch    L  patches    D  width
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Encoding, Form, Tensors

__all__ = ["PatchStem", "Standardized"]


class Standardized(nn.Module):
    """uint8 (B, H, W, C) -> float (B, C, H, W) in channels-last memory: ``(x / 255 - mean) / std``.

    Args:
        mean: Of each channel, from 0 to 1; C of them.
        std: Of each channel, above 0.
    """

    scale_C: Tensor
    shift_C: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        scale = [1 / (255 * s) for s in std]
        self.register_buffer("scale_C", torch.tensor(scale), persistent=False)
        self.register_buffer("shift_C", torch.tensor([m / s for m, s in zip(mean, std, strict=True)]), persistent=False)

    def forward(self, pixel_BHWC: Tensor) -> Tensor:
        """Standardise."""
        return (pixel_BHWC.to(self.scale_C.dtype) * self.scale_C - self.shift_C).permute(0, 3, 1, 2)


class PatchStem(nn.Module):
    """Pictures cut into squares, each made a token by one linear layer.

    Source: Dosovitskiy et al. 2020, arXiv:2010.11929, section 3.1. Where the side of a patch does not divide that of
    the picture, the right and lower edges are filled with the mean colour.

    Args:
        grid: H, W.
        mean: Of each channel, from 0 to 1; C of them.
        std: Of each channel, above 0.
        patch: P.
        width: D.

    Shape:
        ``pixel`` (B, H, W, C) uint8 -> tokens (B, L, D), grid (ceil(H / P), ceil(W / P)).
    """

    def __init__(
        self, grid: tuple[int, ...], mean: Sequence[float], std: Sequence[float], patch: int, width: int
    ) -> None:
        super().__init__()
        high, wide = (-(-side // patch) for side in grid)
        self.size, self.padding = (high, wide), (0, wide * patch - grid[1], 0, high * patch - grid[0])
        self.standardized = Standardized(mean, std)
        self.cut = nn.Conv2d(len(mean), width, patch, stride=patch)
        nn.init.xavier_uniform_(self.cut.weight.view(width, -1))
        nn.init.zeros_(self.cut.bias)  # type: ignore[arg-type]  # it has one
        self.form = Form(width, grid_rank=2, size=self.size)

    def forward(self, x: Tensors) -> Encoding:
        """Cut and embed."""
        value_BCHW = self.standardized(x["pixel"])
        if any(self.padding):
            value_BCHW = nn.functional.pad(value_BCHW, self.padding)
        tokens_BLD = self.cut(value_BCHW).flatten(2).transpose(1, 2)
        return Encoding(tokens_BLD, None, self.size)
