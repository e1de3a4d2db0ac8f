"""Changes of whole batches of series and sounds, for training alone. They draw from torch's default generator.

Shape suffixes in this file:
    B  rows    T  steps    C  channels
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Tensors, lengths_of

__all__ = ["Jitter", "Scaling", "real_steps"]


def real_steps(x: Tensors) -> Tensor:
    """(B, T, 1) bool: steps that are no padding."""
    place_T = torch.arange(x["frame"].shape[1], device=x["frame"].device)
    return (place_T < lengths_of(x, "frame").unsqueeze(1)).unsqueeze(2)


class Jitter(nn.Module):
    """Normal noise on every value; padding stays zero.

    Args:
        std: Of each channel, C of them.
        deviation: Of the noise, in these.

    Shape:
        ``frame`` (B, T, C) -> the same.
    """

    std_C: Tensor

    def __init__(self, std: Sequence[float], deviation: float) -> None:
        super().__init__()
        self.register_buffer("std_C", torch.tensor(std) * deviation, persistent=False)

    def forward(self, x: Tensors) -> Tensors:
        """Add noise."""
        frame_BTC = x["frame"]
        noise_BTC = torch.randn_like(frame_BTC) * self.std_C.to(frame_BTC.dtype)
        return {**x, "frame": frame_BTC + noise_BTC * real_steps(x)}


class Scaling(nn.Module):
    """Each channel of each row times a normal number about 1, measured from the channel's mean; padding stays zero.

    Args:
        mean: Of each channel, C of them.
        deviation: Of the factors.

    Shape:
        ``frame`` (B, T, C) -> the same.
    """

    mean_C: Tensor

    def __init__(self, mean: Sequence[float], deviation: float) -> None:
        super().__init__()
        self.register_buffer("mean_C", torch.tensor(mean), persistent=False)
        self.deviation = deviation

    def forward(self, x: Tensors) -> Tensors:
        """Make larger or smaller."""
        frame_BTC = x["frame"]
        mean_C = self.mean_C.to(frame_BTC.dtype)
        extra_B1C = torch.randn_like(frame_BTC[:, :1]) * self.deviation
        return {**x, "frame": frame_BTC + (frame_BTC - mean_C) * extra_B1C * real_steps(x)}
