"""What linear models see of pictures, sounds, series and texts: a few numbers a row, without weights.

Shape suffixes in this file:
    B  rows    T  steps    C  channels    P  numbers of a row    K  n-grams
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Tensors, lengths_of
from trueweight.nn.entries import Entries

__all__ = ["FrameSummary", "PixelSummary", "WeightedBag"]

PIXELS = 144
"""Most numbers that a picture becomes."""

PIECES = 8
"""Parts of equal length that a series is averaged over."""


class PixelSummary(nn.Module):
    """Pictures averaged down to a few pixels, standardised by channel.

    Args:
        grid: H, W.
        mean: Of each channel, from 0 to 1; C of them.
        std: Of each channel, above 0.

    Shape:
        (B, H, W, C) uint8 -> (B, P) float, P at most 144.
    """

    mean_C: Tensor
    std_C: Tensor

    def __init__(self, grid: tuple[int, ...], mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        (high, wide), channels = grid, len(mean)
        shrink = max(1.0, math.sqrt(high * wide * channels / PIXELS))
        self.size = (max(1, int(high / shrink)), max(1, int(wide / shrink)))
        self.width = self.size[0] * self.size[1] * channels
        self.register_buffer("mean_C", torch.tensor(mean), persistent=False)
        self.register_buffer("std_C", torch.tensor(std), persistent=False)

    def forward(self, x: Tensors) -> Tensor:
        """Average and standardise."""
        value_BHWC = (x["pixel"].to(self.mean_C.dtype) / 255 - self.mean_C) / self.std_C
        small = nn.functional.adaptive_avg_pool2d(value_BHWC.movedim(3, 1), self.size)
        return small.flatten(1)


class FrameSummary(nn.Module):
    """Of each channel: mean, spread, and the means of parts of equal length.

    Args:
        mean: Of each channel; C of them.
        std: Of each channel, above 0.
        longest: Steps that a row has at most.

    Shape:
        (B, T, C) with lengths (B,) -> (B, C * 10 + 1): the last is the logarithm of the length.
    """

    mean_C: Tensor
    std_C: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], longest: int) -> None:
        super().__init__()
        self.width = len(mean) * (2 + PIECES) + 1
        self.longest = max(1, longest)
        self.register_buffer("mean_C", torch.tensor(mean), persistent=False)
        self.register_buffer("std_C", torch.tensor(std), persistent=False)

    def forward(self, x: Tensors) -> Tensor:
        """Average over time."""
        frame_BTC, length_B = x["frame"], lengths_of(x, "frame")
        place_T = torch.arange(frame_BTC.shape[1], device=frame_BTC.device)
        real_BT1 = (place_T < length_B.unsqueeze(1)).unsqueeze(2).to(self.mean_C.dtype)
        value_BTC = (frame_BTC.to(self.mean_C.dtype) - self.mean_C) / self.std_C * real_BT1
        count_B1 = length_B.clamp_min(1).unsqueeze(1).to(self.mean_C.dtype)
        mean_BC = value_BTC.sum(1) / count_B1
        spread_BC = (((value_BTC - mean_BC.unsqueeze(1)) * real_BT1).square().sum(1) / count_B1 + 1e-8).sqrt()
        piece_BT = (place_T * PIECES // length_B.clamp_min(1).unsqueeze(1)).clamp_max(PIECES - 1)
        belongs_BTP = torch.nn.functional.one_hot(piece_BT, PIECES).to(value_BTC.dtype) * real_BT1
        piece_BPC = belongs_BTP.transpose(1, 2) @ value_BTC / belongs_BTP.sum(1).clamp_min(1.0).unsqueeze(2)
        length_B1 = (count_B1 / self.longest).log()
        return torch.cat([mean_BC, spread_BC, piece_BPC.flatten(1), length_B1], dim=1)


class WeightedBag(nn.Module):
    """Weighted n-grams at their places.

    Args:
        vocabulary: K.
        mean: Of the weights, above 0. They are divided by it: an n-gram that is there then counts about as much as a
            level of a category, and one penalty suits both.

    Shape:
        (B, T, 1) numbers and (B, T, 1) weights -> (B, K).
    """

    unit: Tensor

    def __init__(self, vocabulary: int, mean: float = 1.0) -> None:
        super().__init__()
        self.width = vocabulary
        self.register_buffer("unit", torch.tensor(1.0 / mean), persistent=False)

    def forward(self, x: Tensors) -> Tensor:
        """Put each weight at its n-gram; padding weighs nothing."""
        code_BT, weight_BT = self._read(x)
        empty_BK = torch.zeros(code_BT.shape[0], self.width, dtype=weight_BT.dtype, device=weight_BT.device)
        return empty_BK.scatter_add(1, code_BT, weight_BT)

    def entries(self, x: Tensors) -> Entries:
        """The same by what is not zero: a column tells a row's n-grams in ascending order, each once."""
        code_BT, weight_BT = x["bag"].squeeze(2), x["weight"].squeeze(2)
        real_BT = weight_BT != 0
        # Of short rows among long ones most is padding: places by NumPy, a tenth of the time that marks take.
        real_N = torch.from_numpy(np.flatnonzero(real_BT.numpy(force=True))).to(code_BT.device)
        weight_N = weight_BT.reshape(-1)[real_N].to(self.unit.dtype) * self.unit
        return Entries(real_BT.sum(1), code_BT.reshape(-1)[real_N].long(), weight_N, self.width)

    def _read(self, x: Tensors) -> tuple[Tensor, Tensor]:
        return x["bag"].squeeze(2).long(), x["weight"].squeeze(2).to(self.unit.dtype) * self.unit
