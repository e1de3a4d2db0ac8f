"""From column tensors to a sequence of tokens: where recurrent networks, transformers and 1-d convolutions begin.

Shape suffixes in this file:
    B  rows    T  steps    C  channels    D  width    H  height    W  width of a picture    V  token numbers
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Ahead, Encoding, Form, Tensors, ahead_of

__all__ = ["FrameStem", "RowStem", "TokenStem", "real_mask"]


def real_mask(length_B: Tensor | None, steps: int) -> Tensor | None:
    """(B, T) bool: steps that are no padding. None where there are no lengths, for then there is no padding."""
    if length_B is None:
        return None
    return torch.arange(steps, device=length_B.device) < length_B.unsqueeze(1)


class TokenStem(nn.Module):
    """An embedding of each token.

    Args:
        vocabulary: V; number 0 is padding.
        width: D.

    Shape:
        ``token`` (B, T, 1) -> tokens (B, T, D), grid (T,).
    """

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        nn.init.normal_(self.embedding.weight[1:].detach(), std=width**-0.5)
        self.shared = False
        """Whether the table is also a decoder's, for which number 0 is the end of a text and no padding."""
        self.form = Form(width, grid_rank=1, coded=True)

    def forward(self, x: Tensors) -> Encoding:
        """Look up."""
        token_BT = x["token"].squeeze(2).long()
        mask_BT = real_mask(x.get("token.length"), token_BT.shape[1])
        token_BTD = self.embedding(token_BT)
        if self.shared and mask_BT is not None:
            token_BTD = token_BTD * mask_BT.unsqueeze(2).to(token_BTD.dtype)
        return Encoding(token_BTD, mask_BT, (token_BT.shape[1],), code_BL=token_BT)


class FrameStem(nn.Module):
    """Each step standardised by channel, then a linear layer if a width is asked for.

    Args:
        mean: Of each channel, C of them.
        std: Of each channel, above 0.
        width: D; None passes the channels on.

    Shape:
        ``frame`` (B, T, C) -> tokens (B, T, D), grid (T,); zeros at padding.
    """

    mean_C: Tensor
    std_C: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], width: int | None) -> None:
        super().__init__()
        self.register_buffer("mean_C", torch.tensor(mean), persistent=False)
        self.register_buffer("std_C", torch.tensor(std), persistent=False)
        self.linear, self.widens = nn.Identity() if width is None else nn.Linear(len(mean), width), width is not None
        self.form = Form(width or len(mean), grid_rank=1)

    def ahead(self) -> Mapping[str, Ahead]:
        """See ``nn.encoding.Foreseeing``."""
        return {"frame": self._standardised}

    def _standardised(self, frame_NTC: Tensor) -> Tensor:
        return (frame_NTC.to(self.mean_C.dtype) - self.mean_C) / self.std_C

    def forward(self, x: Tensors) -> Encoding:
        """Standardise and widen."""
        frame_BTC = x.get(ahead_of("frame"))
        if frame_BTC is None:
            frame_BTC = self._standardised(x["frame"])
        mask_BT = real_mask(x.get("frame.length"), frame_BTC.shape[1])
        tokens_BTD = self.linear(frame_BTC) if self.widens else frame_BTC
        if mask_BT is not None:
            tokens_BTD = tokens_BTD * mask_BT.unsqueeze(2).to(tokens_BTD.dtype)
        return Encoding(tokens_BTD, mask_BT, (frame_BTC.shape[1],))


class RowStem(nn.Module):
    """Pictures read line by line, as recurrent networks do.

    Args:
        grid: H, W.
        mean: Of each channel, from 0 to 1; C of them.
        std: Of each channel, above 0.
        width: D; None passes the line on, W * C values wide.

    Shape:
        ``pixel`` (B, H, W, C) uint8 -> tokens (B, H, D), grid (H,).
    """

    mean_C: Tensor
    std_C: Tensor

    def __init__(self, grid: tuple[int, ...], mean: Sequence[float], std: Sequence[float], width: int | None) -> None:
        super().__init__()
        high, wide = grid
        self.register_buffer("mean_C", torch.tensor(mean), persistent=False)
        self.register_buffer("std_C", torch.tensor(std), persistent=False)
        self.linear = nn.Identity() if width is None else nn.Linear(wide * len(mean), width)
        self.form = Form(width or wide * len(mean), grid_rank=1, size=(high,))

    def forward(self, x: Tensors) -> Encoding:
        """Standardise, and join each line."""
        value_BHWC = (x["pixel"].to(self.mean_C.dtype) / 255 - self.mean_C) / self.std_C
        tokens_BHD = self.linear(value_BHWC.flatten(2))
        return Encoding(tokens_BHD, None, (tokens_BHD.shape[1],))
