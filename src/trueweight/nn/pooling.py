"""From tokens to one vector per row and member.

Shape suffixes:
    B  rows * members    L  tokens    D  width
"""

from torch import Tensor

from trueweight.nn.encoding import Encoding

__all__ = ["pooled"]


def pooled(z: Encoding) -> Tensor:
    """The mean of an encoding's real tokens, (B, D); zeros where there is none."""
    tokens_BLD = z.tokens_BLD
    if z.mask_BL is None:
        if tokens_BLD.shape[1] == 1:
            return tokens_BLD[:, 0]
        return tokens_BLD.sum(1) / max(tokens_BLD.shape[1], 1)
    real_BL1 = z.mask_BL.unsqueeze(2).to(tokens_BLD.dtype)
    return (tokens_BLD * real_BL1).sum(1) / real_BL1.sum(1).clamp_min(1.0)
