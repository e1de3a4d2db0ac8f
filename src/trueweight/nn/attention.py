"""Self-attention of several heads.

Shape suffixes in this file:
    B  rows    L  tokens    D  width    H  heads    K  width of a head
"""

import torch
from torch import Tensor, nn

from trueweight.nn.positions import rotated

__all__ = ["SelfAttention", "attended"]


def attended(mask_BL: Tensor | None) -> Tensor | None:
    """Which tokens each token may look at, (B, 1, 1, L) bool: the real ones. Where a row has none, all, so that its
    answer is finite: nobody reads it."""
    if mask_BL is None:
        return None
    return (mask_BL | ~mask_BL.any(1, keepdim=True))[:, None, None, :]


class SelfAttention(nn.Module):
    """Every token a mean of all tokens, by how well they match it.

        softmax(q k^T / sqrt(K)) v, for each head; heads side by side, then a linear layer

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2. Optional: rotary places (see ``nn.positions``), and
    queries and keys scaled to unit mean square, as Dehghani et al. 2023, arXiv:2302.05442, do against diverging
    logits (there by layer norm, here by rms norm).

    Args:
        width: D, a multiple of ``heads``.
        heads: H.
        dropout: Probability of dropping a link while training.
        qk_norm: Whether queries and keys are normalised.
        causal: Whether a token sees only itself and those before it.
        biases: Of the linear layers.
    """

    def __init__(
        self, width: int, heads: int, *, dropout: float, qk_norm: bool, causal: bool, biases: bool = True
    ) -> None:
        super().__init__()
        self.heads, self.dropout, self.causal = heads, dropout, causal
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=biases), nn.Linear(width, width, bias=biases)
        self.norm_q = nn.RMSNorm(width // heads, eps=1e-6) if qk_norm else nn.Identity()
        self.norm_k = nn.RMSNorm(width // heads, eps=1e-6) if qk_norm else nn.Identity()
        nn.init.xavier_uniform_(self.qkv.weight)
        if biases:
            nn.init.zeros_(self.qkv.bias)
            nn.init.zeros_(self.out.bias)

    def forward(self, x_BLD: Tensor, real_B11L: Tensor | None, turn: tuple[Tensor, Tensor] | None) -> Tensor:
        """Attend.

        Args:
            x_BLD: Tokens.
            real_B11L: From :func:`attended`.
            turn: From ``positions.rotation``, or None.
        """
        split_BL3HK = self.qkv(x_BLD).unflatten(2, (3, self.heads, -1))
        q_BHLK, k_BHLK, v_BHLK = split_BL3HK.permute(2, 0, 3, 1, 4).unbind(0)
        q_BHLK, k_BHLK = self.norm_q(q_BHLK), self.norm_k(k_BHLK)
        if turn is not None:
            q_BHLK, k_BHLK = rotated(q_BHLK, turn), rotated(k_BHLK, turn)
        mixed_BHLK = nn.functional.scaled_dot_product_attention(
            q_BHLK, k_BHLK, v_BHLK, self._mask(real_B11L, x_BLD), self.dropout if self.training else 0.0,
            is_causal=self.causal and real_B11L is None,
        )  # fmt: skip
        mixed_BLD: Tensor = self.out(mixed_BHLK.transpose(1, 2).flatten(2))
        return mixed_BLD

    def _mask(self, real_B11L: Tensor | None, x_BLD: Tensor) -> Tensor | None:
        if real_B11L is None or not self.causal:
            return real_B11L
        before_LL = torch.ones(x_BLD.shape[1], x_BLD.shape[1], dtype=torch.bool, device=x_BLD.device).tril()
        return real_B11L & before_LL
