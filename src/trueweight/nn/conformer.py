"""Attention for what is far and convolution for what is near, in one block: how speech is read.

Shape suffixes in this file:
    B  rows    L  steps    D  width
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from trueweight.nn.attention import SelfAttention, attended
from trueweight.nn.dropout import Dropout
from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.positions import rotation

__all__ = ["Conformer", "ConformerWishes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformerWishes:
    """What blocks are made like."""

    layers: int
    heads: int
    hidden: int
    """Width of the perceptrons' hidden layer."""
    kernel: int
    """Steps that the convolution looks at, odd."""
    dropout: float


class HalfStep(nn.Module):
    """``down(drop(silu(up(norm(x)))))``, of which half is added: (B, L, D) -> (B, L, D)."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = Dropout(dropout)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Widen and narrow."""
        h_BLH = self.dropout(nn.functional.silu(self.up(self.norm(x_BLD))))
        y_BLD: Tensor = self.dropout(self.down(h_BLH))
        return y_BLD


class Convolution(nn.Module):
    """Norm, a gated linear unit, a filter of each channel along the steps, norm, silu, linear: (B, L, D) -> same.

    What lies beyond a row's real steps is zero for the filters. The norm behind them is over the width of each step,
    where Gulati et al. 2020 take batches: rows then do not see each other in training either.

    Args:
        width: D.
        kernel: Odd.
        dropout: Of what it gives.
    """

    def __init__(self, width: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.gate = nn.LayerNorm(width), nn.Linear(width, 2 * width)
        self.filter = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm_2, self.mix = nn.LayerNorm(width), nn.Linear(width, width)
        self.dropout = Dropout(dropout)

    def forward(self, x_BLD: Tensor, real_BL1: Tensor | None) -> Tensor:
        """Look at the neighbours."""
        h_BLD = nn.functional.glu(self.gate(self.norm(x_BLD)), dim=2)
        if real_BL1 is not None:
            h_BLD = h_BLD * real_BL1.to(h_BLD.dtype)
        h_BLD = self.filter(h_BLD.transpose(1, 2)).transpose(1, 2)
        y_BLD: Tensor = self.dropout(self.mix(nn.functional.silu(self.norm_2(h_BLD))))
        return y_BLD


class Block(nn.Module):
    """Half a perceptron, attention, convolution, half a perceptron, each added to what it read; then a norm.

    Source: Gulati et al. 2020, "Conformer: convolution-augmented transformer for speech recognition",
    arXiv:2005.08100, section 2.4.
    """

    def __init__(self, width: int, wishes: ConformerWishes) -> None:
        super().__init__()
        self.first = HalfStep(width, wishes.hidden, wishes.dropout)
        self.norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, wishes.heads, dropout=wishes.dropout, qk_norm=False, causal=False)
        self.dropout = Dropout(wishes.dropout)
        self.convolution = Convolution(width, wishes.kernel, wishes.dropout)
        self.second = HalfStep(width, wishes.hidden, wishes.dropout)
        self.last = nn.LayerNorm(width)

    def forward(
        self, x_BLD: Tensor, real_BL1: Tensor | None, real_B11L: Tensor | None, turn: tuple[Tensor, Tensor]
    ) -> Tensor:
        """One layer."""
        x_BLD = x_BLD + 0.5 * self.first(x_BLD)
        x_BLD = x_BLD + self.dropout(self.attention(self.norm(x_BLD), real_B11L, turn))
        x_BLD = x_BLD + self.convolution(x_BLD, real_BL1)
        x_BLD = x_BLD + 0.5 * self.second(x_BLD)
        y_BLD: Tensor = self.last(x_BLD)
        return y_BLD


class Conformer(nn.Module):
    """Blocks in a row over a sequence; places are rotary (Su et al. 2021, arXiv:2104.09864), which, like the relative
    ones of the paper, know distances alone.

    Args:
        form: Of what comes in; a grid is read line by line.
        width: D; a linear layer makes it where steps are of another width.
        wishes: What the blocks are made like.

    Shape:
        tokens (B, L, D_in) -> (B, L, D), zeros at padding.
    """

    def __init__(self, form: Form, width: int, wishes: ConformerWishes) -> None:
        super().__init__()
        self.widen = nn.Identity() if form.width == width else nn.Linear(form.width, width)
        self.dropout = Dropout(wishes.dropout)
        self.head_width = width // wishes.heads
        self.blocks = nn.ModuleList(Block(width, wishes) for _ in range(wishes.layers))
        steps = int(torch.tensor(form.size).prod()) if form.size else 0
        self.form = replace(form, width=width, grid_rank=1, levels=0, size=(steps,) if steps else ())

    def forward(self, z: Encoding) -> Encoding:
        """Encode."""
        x_BLD, mask_BL = self.dropout(self.widen(z.tokens_BLD)), z.mask_BL
        real_BL1 = None if mask_BL is None else mask_BL.unsqueeze(2)
        turn = rotation(x_BLD.shape[1], self.head_width, x_BLD)
        for block in self.blocks:
            x_BLD = block(x_BLD, real_BL1, attended(mask_BL), turn)
        if real_BL1 is not None:
            x_BLD = x_BLD * real_BL1.to(x_BLD.dtype)
        return Encoding(x_BLD, mask_BL, (x_BLD.shape[1],), members=z.members, code_BL=z.code_BL)
