"""How a transformer knows the order of its tokens.

Shape suffixes in this file:
    B  rows    L  tokens    D  width    H  heads    K  width of a head
"""

import torch
from torch import Tensor, nn

__all__ = ["Learned", "Sinusoidal", "rotated", "rotation", "rotation_at", "waves", "waves_at"]

BASE = 10_000.0
"""Longest wave, in tokens, over two pi; of both papers."""


def waves(count: int, width: int, like: Tensor) -> Tensor:
    """(L, D): ``sin(l / BASE^(2i / D))`` in the first half, the cosine in the second half.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5. There sines and cosines alternate; the order of places
    means nothing to what reads them.

    Args:
        count: L.
        width: D; of an odd width the last place is zero.
        like: Says type and device.
    """
    return waves_at(torch.arange(count, device=like.device), width, like)


def waves_at(place_L: Tensor, width: int, like: Tensor) -> Tensor:
    """:func:`waves` of some places, (L, D)."""
    angle_LK = _angles(place_L, width // 2, like)
    return nn.functional.pad(torch.cat([angle_LK.sin(), angle_LK.cos()], dim=1), (0, width % 2)).to(like.dtype)


def _angles(place_L: Tensor, half: int, like: Tensor, base: float = BASE) -> Tensor:
    """(L, half), at least in single precision: in bfloat16 places beyond 256 would be one another."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    speed_K = base ** (-torch.arange(half, device=like.device, dtype=dtype) / max(half, 1))
    return place_L.to(dtype).unsqueeze(1) * speed_K


class Sinusoidal(nn.Module):
    """Adds fixed waves to tokens scaled by ``sqrt(D)``, as Vaswani et al. 2017 do, section 3.4: (B, L, D)."""

    def forward(self, tokens_BLD: Tensor) -> Tensor:
        """Scale and add."""
        width = tokens_BLD.shape[2]
        scaled_BLD: Tensor = tokens_BLD * width**0.5 + waves(tokens_BLD.shape[1], width, tokens_BLD)
        return scaled_BLD


class Learned(nn.Module):
    """Adds a learnt vector for each place: (B, L, D). Tokens beyond the last place share its vector.

    Args:
        length: Places.
        width: D.
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(length, width)
        nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, tokens_BLD: Tensor) -> Tensor:
        """Look up and add."""
        return self.at(tokens_BLD, torch.arange(tokens_BLD.shape[1], device=tokens_BLD.device))

    def at(self, tokens_BLD: Tensor, place_L: Tensor) -> Tensor:
        """The same of tokens at other places than the first ones."""
        added_BLD: Tensor = tokens_BLD + self.table(place_L.clamp_max(self.table.num_embeddings - 1))
        return added_BLD


def rotation(count: int, width: int, like: Tensor, base: float = BASE) -> tuple[Tensor, Tensor]:
    """Cosines and sines for :func:`rotated`, each (L, K / 2).

    Args:
        count: L.
        width: K, even.
        like: Says type and device.
        base: Longest wave, in tokens, over two pi.
    """
    return rotation_at(torch.arange(count, device=like.device), width, like, base)


def rotation_at(place_L: Tensor, width: int, like: Tensor, base: float = BASE) -> tuple[Tensor, Tensor]:
    """:func:`rotation` of some places."""
    angle_LK = _angles(place_L, width // 2, like, base)
    return angle_LK.cos().to(like.dtype), angle_LK.sin().to(like.dtype)


def rotated(x_BHLK: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Along the last axis, each pair of places (k, k + K / 2) turned by an angle that grows with the token's place, so
    that products of two tokens know their distance alone.

    Source: RoFormer, Su et al. 2021, arXiv:2104.09864, section 3.2, with halves instead of neighbours as pairs.
    """
    cos_LK, sin_LK = turn
    a, b = x_BHLK.chunk(2, dim=-1)
    return torch.cat([a * cos_LK - b * sin_LK, b * cos_LK + a * sin_LK], dim=-1)
