"""Changes of whole batches of texts, for training alone. They draw from torch's default generator.

Shape suffixes in this file:
    B  rows    T  tokens
"""

import torch
from torch import nn

from trueweight.nn.encoding import Tensors

__all__ = ["WordDropout"]

UNKNOWN = 1
"""Number of the token that stands for none; see ``data.column.FieldArrays``."""


class WordDropout(nn.Module):
    """Some tokens become the unknown one; padding stays.

    Args:
        probability: Of each token.

    Shape:
        ``token`` (B, T, 1) -> the same.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Tensors) -> Tensors:
        """Hide tokens."""
        token_BT1 = x["token"]
        hidden_BT1 = (torch.rand(token_BT1.shape, device=token_BT1.device) < self.probability) & (token_BT1 != 0)
        return {**x, "token": token_BT1.masked_fill(hidden_BT1, UNKNOWN)}
