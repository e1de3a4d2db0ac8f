"""Attention within texts that lie end to end, so that whatever is not attention computes nothing that is padding.

Only attention needs to know where a text begins. Texts of about one length are laid side by side for it, which pads a
little; behind their ends nothing is masked, because causal attention never looks there.

Shape suffixes in this file:
    M  tokens of all texts, end to end    P  texts    Q  places of all groups    g  texts of a group
    t  places of each in it    H  heads    K  width of a head
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trueweight.nn.attention import attend

__all__ = ["Lines", "turned", "turns_of"]

ALIKE = 0.75
"""Least share of the longest text's length that others of its group have. Each group is a call of the kernel more: of
texts of 10 to 512 tokens ten groups are made, whose places are an eighth padding."""

SHORT = 16
"""Texts up to so many tokens are one group."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Where each token of M stands among the places of all groups."""

    groups: tuple[tuple[int, int], ...]
    """(texts, places of each) of every group."""
    to_place_Q: Tensor
    """The token at each place; at places behind a text's end, some other."""
    to_token_M: Tensor
    """The place of each token."""

    @classmethod
    def of(cls, count_P: Tensor) -> "Lines":
        """Of texts that have so many tokens, the longest first, none empty."""
        groups = tuple(_groups(count_P.tolist()))
        device = count_P.device
        rows = torch.tensor([texts for texts, _ in groups], device=device)
        places = torch.tensor([most for _, most in groups], device=device)
        width_P = places.repeat_interleave(rows)
        from_P, first_P = width_P.cumsum(0) - width_P, count_P.cumsum(0) - count_P
        to_token_M = torch.arange(int(count_P.sum()), device=device)
        to_token_M = to_token_M + (from_P - first_P).repeat_interleave(count_P)
        total = sum(texts * most for texts, most in groups)
        to_place_Q = torch.zeros(total, dtype=torch.int64, device=device)
        to_place_Q[to_token_M] = torch.arange(len(to_token_M), device=device)
        return cls(groups, to_place_Q, to_token_M)

    def attend(self, q_MHK: Tensor, k_MHK: Tensor, v_MHK: Tensor) -> Tensor:
        """Each token a mean of those of its text up to itself, (M, H, K)."""
        if len(self.to_place_Q) == len(self.to_token_M):  # the order of tokens is that of places
            spread = (q_MHK, k_MHK, v_MHK)
        else:
            spread = tuple(self._spread(t) for t in (q_MHK, k_MHK, v_MHK))  # type: ignore[assignment]
        mixed = [_mixed(*group) for group in zip(*(self._cut(t) for t in spread), strict=True)]
        mixed_QHK = torch.cat(mixed) if len(mixed) > 1 else mixed[0]
        if len(self.to_place_Q) == len(self.to_token_M):
            return mixed_QHK
        found_MHK: Tensor = _Gathered.apply(mixed_QHK, self.to_token_M, None)  # type: ignore[no-untyped-call]
        return found_MHK

    def _spread(self, t_MHK: Tensor) -> Tensor:
        spread_QHK: Tensor = _Gathered.apply(t_MHK, self.to_place_Q, self.to_token_M)  # type: ignore[no-untyped-call]
        return spread_QHK

    def _cut(self, t_QHK: Tensor) -> Iterator[Tensor]:
        """(g, H, t, K) of every group."""
        start = 0
        for texts, most in self.groups:
            yield t_QHK[start : start + texts * most].view(texts, most, *t_QHK.shape[1:]).transpose(1, 2)
            start += texts * most


def _mixed(q_gHtK: Tensor, k_gHtK: Tensor, v_gHtK: Tensor) -> Tensor:
    mixed_gHtK = attend(q_gHtK, k_gHtK, v_gHtK, causal=True)
    return mixed_gHtK.transpose(1, 2).flatten(0, 1)


def _groups(counts: list[int]) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(counts):
        longest, end = counts[start], start + 1
        least = ALIKE * longest if longest > SHORT else 1
        while end < len(counts) and counts[end] >= least:
            end += 1
        yield end - start, longest
        start = end


def turns_of(turn: tuple[Tensor, Tensor], place_M: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines for :func:`turned`, each (M, H, K): what is the same for all layers is laid out once.

    Args:
        turn: Of ``positions.rotation``, for all places up to the last.
        place_M: Of each token in its text.
        heads: H.
    """
    cos_MK, sin_MK = (t.index_select(0, place_M) for t in turn)
    cos_M1K, sin_M1K = torch.cat([cos_MK, cos_MK], 1).unsqueeze(1), torch.cat([-sin_MK, sin_MK], 1).unsqueeze(1)
    return cos_M1K.repeat(1, heads, 1), sin_M1K.repeat(1, heads, 1)


def turned(x_MHK: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """``positions.rotated`` by whole rows of memory instead of halves: two passes and a copy instead of seven, and as
    many on the way back, for which nothing is kept."""
    found_MHK: Tensor = _Turned.apply(x_MHK, *turns)  # type: ignore[no-untyped-call]
    return found_MHK


class _Turned(torch.autograd.Function):
    """``x * cos + swap(x) * sin`` with the halves swapped and the first half's sines negative. The gradient is turned
    back, by the same with negative sines."""

    @staticmethod
    def forward(ctx: Any, x_MHK: Tensor, cos_MHK: Tensor, sin_MHK: Tensor) -> Tensor:
        ctx.save_for_backward(cos_MHK, sin_MHK)
        return torch.addcmul(x_MHK * cos_MHK, _swapped(x_MHK), sin_MHK)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (gradient,), (cos_MHK, sin_MHK) = gradients, ctx.saved_tensors
        return torch.addcmul(gradient * cos_MHK, _swapped(gradient), sin_MHK, value=-1), None, None


def _swapped(x_MHK: Tensor) -> Tensor:
    half = x_MHK.shape[-1] // 2
    return torch.cat([x_MHK[..., half:], x_MHK[..., :half]], -1)


class _Gathered(torch.autograd.Function):
    """Rows by number, whose gradient is gathered too where all gradients that are not zero have one place to go to:
    adding them up one by one, as of any gather, takes several times as long."""

    @staticmethod
    def forward(ctx: Any, t: Tensor, index: Tensor, back: Tensor | None) -> Tensor:
        ctx.rows, ctx.scattered = len(t), back is None
        ctx.save_for_backward(index if back is None else back)
        return t.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (index,), (gradient,) = ctx.saved_tensors, gradients
        if not ctx.scattered:
            return gradient.index_select(0, index), None, None
        return gradient.new_zeros(ctx.rows, *gradient.shape[1:]).index_copy_(0, index, gradient), None, None
