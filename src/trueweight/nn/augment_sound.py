"""Changes of whole batches of log-mel spectra, for training alone. They draw from torch's default generator.

Values are natural logarithms of power, as ``data.sounds.log_mel`` gives them.

Shape suffixes in this file:
    B  rows    T  steps    C  bands    K  masks
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trueweight.nn.augment_frames import real_steps
from trueweight.nn.encoding import Tensors, lengths_of

__all__ = ["Gain", "Noise", "SpecAugment", "TimeShift"]

_NEPERS = math.log(10) / 10
"""A decibel of power, as a natural logarithm."""


class SpecAugment(nn.Module):
    """Hides stretches of time and of frequency behind the mean of each band.

    Widths are drawn evenly from nothing to the largest, places evenly among all that fit.

    Args:
        mean: Of each band over training rows, C of them.
        time_masks: Stretches of time in each row.
        time_share: Largest width, as a share of the row's own length.
        frequency_masks: Stretches of neighbouring bands in each row.
        frequency_share: Largest width, as a share of C.

    Shape:
        ``frame`` (B, T, C) -> the same.
    """

    mean_C: Tensor

    def __init__(
        self, mean: Sequence[float], *, time_masks: int, time_share: float, frequency_masks: int, frequency_share: float
    ) -> None:
        super().__init__()
        self.register_buffer("mean_C", torch.tensor(mean), persistent=False)
        self.time_masks, self.time_share = time_masks, time_share
        self.frequency_masks, self.frequency_share = frequency_masks, frequency_share

    def forward(self, x: Tensors) -> Tensors:
        """Hide."""
        frame_BTC = x["frame"]
        steps, bands = frame_BTC.shape[1:]
        length_B = lengths_of(x, "frame").to(torch.float32)
        width_B = torch.full_like(length_B, float(bands))
        hidden_BT = _stretches(length_B, self.time_share, self.time_masks, steps)
        hidden_BC = _stretches(width_B, self.frequency_share, self.frequency_masks, bands)
        hidden_BTC = (hidden_BT.unsqueeze(2) | hidden_BC.unsqueeze(1)) & real_steps(x)
        return {**x, "frame": torch.where(hidden_BTC, self.mean_C.to(frame_BTC.dtype), frame_BTC)}


def _stretches(size_B: Tensor, share: float, masks: int, places: int) -> Tensor:
    """(B, places) bool: in some of ``masks`` stretches, each at most ``share`` of the size wide."""
    drawn_2BK = torch.rand(2, len(size_B), masks, device=size_B.device)
    most_B1 = (size_B * share).floor().unsqueeze(1)
    width_BK = (drawn_2BK[0] * (most_B1 + 1)).floor().minimum(most_B1)
    start_BK = (drawn_2BK[1] * (size_B.unsqueeze(1) - width_BK + 1)).floor()
    place_P = torch.arange(places, device=size_B.device)
    start_BK1, width_BK1 = start_BK.unsqueeze(2), width_BK.unsqueeze(2)
    return ((place_P >= start_BK1) & (place_P < start_BK1 + width_BK1)).any(1)


class TimeShift(nn.Module):
    """Moves each row earlier or later within its length; the step at the end that opens up is repeated.

    Args:
        steps: Most to move by, either way; at most half of a row's length.

    Shape:
        ``frame`` (B, T, C) -> the same.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, x: Tensors) -> Tensors:
        """Move."""
        frame_BTC, length_B = x["frame"], lengths_of(x, "frame")
        most_B = (length_B // 2).clamp_max(self.steps)
        drawn_B = torch.rand(len(length_B), device=length_B.device) * (2 * most_B + 1)
        shift_B = drawn_B.floor().long().minimum(2 * most_B) - most_B
        place_BT = torch.arange(frame_BTC.shape[1], device=length_B.device) - shift_B.unsqueeze(1)
        last_B1 = (length_B - 1).clamp_min(0).unsqueeze(1)
        place_BT = torch.minimum(place_BT.clamp_min(0), last_B1)
        moved_BTC = frame_BTC.gather(1, place_BT.unsqueeze(2).expand_as(frame_BTC))
        return {**x, "frame": moved_BTC * real_steps(x).to(frame_BTC.dtype)}


class Gain(nn.Module):
    """Makes each row louder or softer as a whole.

    Args:
        decibels: Most, either way; drawn evenly.

    Shape:
        ``frame`` (B, T, C) -> the same.
    """

    def __init__(self, decibels: float) -> None:
        super().__init__()
        self.most = decibels * _NEPERS

    def forward(self, x: Tensors) -> Tensors:
        """Add to the logarithms."""
        frame_BTC = x["frame"]
        drawn_B = (2 * torch.rand(len(frame_BTC), device=frame_BTC.device) - 1) * self.most
        added_BTC = drawn_B.view(-1, 1, 1).to(frame_BTC.dtype) * real_steps(x).to(frame_BTC.dtype)
        return {**x, "frame": frame_BTC + added_BTC}


class Noise(nn.Module):
    """Adds the power of noise, equally loud in all bands, to that of each row.

        log(exp(frame) + level * e),  e exponential with mean 1, as the power of noise at one frequency is

    The level lies below the mean power of the row's own real steps, by decibels drawn evenly.

    Args:
        low: Least distance in decibels: the loudest noise.
        high: Largest distance.

    Shape:
        ``frame`` (B, T, C) -> the same.
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low * _NEPERS, high * _NEPERS

    def forward(self, x: Tensors) -> Tensors:
        """Add power."""
        frame_BTC, real_BT1 = x["frame"], real_steps(x)
        exact_BTC = frame_BTC.float()
        hidden_BTC = exact_BTC.masked_fill(~real_BT1, -math.inf)
        count_B = (lengths_of(x, "frame").clamp_min(1) * frame_BTC.shape[2]).float()
        loud_B = torch.logsumexp(hidden_BTC.flatten(1), 1) - count_B.log()
        drawn_B = self.low + (self.high - self.low) * torch.rand(len(frame_BTC), device=frame_BTC.device)
        level_B11 = (loud_B - drawn_B).view(-1, 1, 1)
        noise_BTC = torch.empty_like(exact_BTC).exponential_().clamp_min(1e-12).log()
        noisy_BTC = torch.logaddexp(exact_BTC, level_B11 + noise_BTC).to(frame_BTC.dtype)
        return {**x, "frame": torch.where(real_BT1, noisy_BTC, frame_BTC)}
