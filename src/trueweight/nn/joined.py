"""Fusion by a transformer over the tokens of all encodings.

Shape suffixes in this file:
    B  rows    L  tokens    D  width
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.pooling import pooled
from trueweight.nn.positions import waves
from trueweight.nn.transformer import Blocks, Wishes

__all__ = ["TokenFusion"]


class TokenFusion(nn.Module):
    """All encodings' tokens as one sequence, read by a transformer.

    Each encoding is projected to one width; its tokens get a learnt vector that says whose they are, and waves that
    say their place in it. Without any encoding the class token alone is read.

    Args:
        forms: Of the encodings, in order; each of one member.
        width: D.
        wishes: What the blocks are made like.
        class_token: Whether a learnt token in front stands for all; else the mean of the real tokens does.

    Raises:
        ValueError: An encoding of several members.
    """

    def __init__(self, forms: Mapping[str, Form], width: int, wishes: Wishes, *, class_token: bool) -> None:
        super().__init__()
        if several := [name for name, form in forms.items() if form.members > 1]:
            raise ValueError(
                f"fusion 'transformer' joins single networks, and the encoder of {several[0]!r} holds "
                f"{forms[several[0]].members}: set its members to 1, or use fusion concat"
            )
        self.names, self.ranks = tuple(forms), tuple(form.grid_rank for form in forms.values())
        self.project = nn.ModuleList(nn.Linear(form.width, width) for form in forms.values())
        self.whose = nn.ParameterList(torch.randn(width) * width**-0.5 for _ in forms)
        self.class_token = nn.Parameter(torch.randn(1, 1, width) * width**-0.5) if class_token else None
        self.register_buffer("nothing", torch.zeros(1, 0, width), persistent=False)
        self.blocks = Blocks(width, wishes)
        self.form = Form(width)

    nothing: Tensor

    def forward(self, parts: Mapping[str, Encoding], rows: int) -> Encoding:
        """Join."""
        front_1LD = self.nothing if self.class_token is None else self.class_token
        found = [front_1LD.expand(rows, -1, -1), *self._tokens(parts)]
        tokens_BLD, mask_BL = torch.cat(found, dim=1), self._mask(parts, found)
        if not tokens_BLD.shape[1]:
            return Encoding(tokens_BLD.new_zeros(rows, 1, tokens_BLD.shape[2]))
        tokens_BLD = self.blocks(tokens_BLD, mask_BL)
        if self.class_token is not None:
            return Encoding(tokens_BLD[:, :1])
        return Encoding(pooled(Encoding(tokens_BLD, mask_BL)).unsqueeze(1))

    def _tokens(self, parts: Mapping[str, Encoding]) -> list[Tensor]:
        found = []
        for name, rank, project, whose_D in zip(self.names, self.ranks, self.project, self.whose, strict=True):
            tokens_BLD = project(parts[name].tokens_BLD) + whose_D
            if rank:
                tokens_BLD = tokens_BLD + waves(tokens_BLD.shape[1], tokens_BLD.shape[2], tokens_BLD)
            found.append(tokens_BLD)
        return found

    def _mask(self, parts: Mapping[str, Encoding], found: list[Tensor]) -> Tensor | None:
        masks = [None, *(parts[name].mask_BL for name in self.names)]
        if all(mask is None for mask in masks):
            return None
        full = [torch.ones(t.shape[:2], dtype=torch.bool, device=t.device) for t in found]
        return torch.cat([all_BL if mask is None else mask for mask, all_BL in zip(masks, full, strict=True)], dim=1)
