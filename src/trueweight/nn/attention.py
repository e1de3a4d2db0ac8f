"""Attention, and self-attention of several heads.

Shape suffixes in this file:
    B  rows    L  tokens    D  width    H  heads    K  width of a head    T  tokens that ask
"""

import torch
from torch import Tensor, nn

from trueweight.nn.positions import rotated
from trueweight.nn.precision import normed

__all__ = ["SelfAttention", "attend", "attended"]


def attended(mask_BL: Tensor | None) -> Tensor | None:
    """Which tokens each token may look at, (B, 1, 1, L) bool: the real ones. Where a row has none, all, so that its
    answer is finite: nobody reads it."""
    if mask_BL is None:
        return None
    return (mask_BL | ~mask_BL.any(1, keepdim=True))[:, None, None, :]


def attend(
    q_BHTK: Tensor, k_BHLK: Tensor, v_BHLK: Tensor, mask: Tensor | None = None, *, causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:  # fmt: skip
    """``softmax(q k^T / sqrt(K)) v``, (B, H, T, K), by torch's kernel, on a CPU in single precision: with gradients,
    that for bfloat16 took 2.3 times as long for 110 tokens and 9 times for 18 (one core with ``avx512_bf16``, 32 rows,
    4 heads of width 32), while linear layers took half.

    Args:
        q_BHTK: What asks.
        k_BHLK: What is asked.
        v_BHLK: What it answers.
        mask: Which keys a query sees, (B, 1, 1 or T, L) bool; None: all.
        causal: Whether a query sees no key behind its own place.
        dropout: Share of links that are dropped.
    """
    kernel = nn.functional.scaled_dot_product_attention
    if q_BHTK.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return kernel(q_BHTK, k_BHLK, v_BHLK, mask, dropout, is_causal=causal)
    with torch.autocast("cpu", enabled=False):
        return kernel(q_BHTK.float(), k_BHLK.float(), v_BHLK.float(), mask, dropout, is_causal=causal)


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
        q_BHLK, k_BHLK = normed(self.norm_q, q_BHLK), normed(self.norm_k, k_BHLK)
        if turn is not None:
            q_BHLK, k_BHLK = rotated(q_BHLK, turn), rotated(k_BHLK, turn)
        mixed_BHLK = attend(
            q_BHLK, k_BHLK, v_BHLK, self._mask(real_B11L, x_BLD), causal=self.causal and real_B11L is None,
            dropout=self.dropout if self.training else 0.0,
        )  # fmt: skip
        mixed_BLD: Tensor = self.out(mixed_BHLK.transpose(1, 2).flatten(2))
        return mixed_BLD

    def _mask(self, real_B11L: Tensor | None, x_BLD: Tensor) -> Tensor | None:
        if real_B11L is None or not self.causal:
            return real_B11L
        before_LL = torch.ones(x_BLD.shape[1], x_BLD.shape[1], dtype=torch.bool, device=x_BLD.device).tril()
        return real_B11L & before_LL
