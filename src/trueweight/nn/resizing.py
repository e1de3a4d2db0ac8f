"""Smaller pictures at the beginning of a run.

Shape suffixes in this file:
    B  rows    H  height    W  width    C  channels
"""

import math
from typing import cast

import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Encoding, Form, Tensors

__all__ = ["Resized", "reads_any_size", "sized_steps", "smaller_size", "tell"]

MULTIPLE = 4
"""Sides are multiples of it, so that networks can halve them twice."""


def smaller_size(grid: tuple[int, ...], share: float) -> tuple[int, int]:
    """Height and width of pictures that have about this share of each side: multiples of 4, none larger than before."""
    high, wide = (min(side, max(MULTIPLE, round(share * side / MULTIPLE) * MULTIPLE)) for side in grid)
    return high, wide


class Resized(nn.Module):
    """Pictures made smaller while less than a share of the run is over, and left as they are from there on.

    Source: progressive resizing as in the recipes of FFCV (Leclerc et al. 2023, arXiv:2306.12517) and Composer.

    Args:
        grid: H, W.
        initial: Share of each side that is left in the beginning.
        until: Share of the run from which on pictures have their full size.

    Shape:
        ``pixel`` (B, H, W, C) uint8 -> (B, H', W', C) uint8.
    """

    def __init__(self, grid: tuple[int, ...], initial: float, until: float) -> None:
        super().__init__()
        self.size, self.until = smaller_size(grid, initial), until
        self.progress = 1.0
        """How much of the run was over when the step began; 1 where there is no run."""

    def forward(self, x: Tensors) -> Tensors:
        """Make smaller."""
        pixel_BHWC = x["pixel"]
        if self.progress >= self.until or self.size == tuple(pixel_BHWC.shape[1:3]):
            return x
        small_BCHW = nn.functional.interpolate(
            pixel_BHWC.movedim(3, 1).float(), size=self.size, mode="bilinear", antialias=True
        )
        return {**x, "pixel": small_BCHW.round_().clamp_(0, 255).to(torch.uint8).movedim(1, 3)}


def sized_steps(network: nn.Module) -> float:
    """Share of a run's steps that see smaller pictures; 0 for most networks."""
    return max((module.until for module in network.modules() if isinstance(module, Resized)), default=0.0)


def tell(network: nn.Module, progress: float) -> None:
    """Let the network know how much of the run is over."""
    for module in network.modules():
        if isinstance(module, Resized):
            module.progress = progress


def reads_any_size(encoder: nn.Module, grid: tuple[int, ...], channels: int, flags: int, initial: float) -> bool:
    """Whether an encoder of pictures reads smaller ones too."""
    high, wide = smaller_size(grid, initial)
    pixel_BHWC: Tensor = torch.zeros(1, high, wide, channels, dtype=torch.uint8)
    training = encoder.training
    try:
        with torch.no_grad():
            z: Encoding = encoder.eval()({"pixel": pixel_BHWC, "flag": torch.zeros(1, flags)})
    except RuntimeError:  # of torch: shapes that do not fit
        return False
    finally:
        encoder.train(training)
    # Laid flat, tokens would be narrower; and an encoder that tells of a grid that is not there takes it for granted.
    form = cast(Form, encoder.form)
    return z.tokens_BLD.shape[2] == form.width and math.prod(z.grid) == z.tokens_BLD.shape[1]
