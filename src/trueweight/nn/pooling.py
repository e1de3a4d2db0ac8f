"""From tokens to one vector per row and member.

Shape suffixes:
    B  rows * members    L  tokens    D  width
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Encoding, Form

__all__ = ["Pool", "Pooled", "pooled"]


def pooled(z: Encoding) -> Tensor:
    """The mean of an encoding's real tokens, (B, D); zeros where there is none."""
    if z.vector_BD is not None:
        return z.vector_BD
    tokens_BLD = z.tokens_BLD
    if z.mask_BL is None:
        if tokens_BLD.shape[1] == 1:
            return tokens_BLD.squeeze(1)  # a view also for its gradient, which picking the first would copy
        return tokens_BLD.sum(1) / max(tokens_BLD.shape[1], 1)
    real_BL1 = z.mask_BL.unsqueeze(2).to(tokens_BLD.dtype)
    return (tokens_BLD * real_BL1).sum(1) / real_BL1.sum(1).clamp_min(1.0)


class Pool(nn.Module):
    """One token a row from many.

    ``mean`` and ``max`` look at real tokens; ``last`` takes the last real one; ``attention`` is a mean weighted by a
    softmax of one learnt score a token; ``flatten`` lays all tokens side by side. Rows without a token give zeros.

    Args:
        kind: One of these.
        form: Of what comes in.

    Raises:
        ValueError: ``flatten`` of rows that may differ in length, or a kind that does not exist.

    Shape:
        tokens (B, L, D) -> (B, 1, D), or (B, 1, L * D) for ``flatten``.
    """

    def __init__(self, kind: str, form: Form) -> None:
        super().__init__()
        if kind not in ("mean", "max", "last", "attention", "flatten"):
            raise ValueError(f"unknown pooling {kind!r}")
        if kind == "flatten" and not form.size:
            raise ValueError("pooling 'flatten' needs rows of one length: use mean, max, last or attention")
        self.kind = kind
        self.score = nn.Linear(form.width, 1) if kind == "attention" else nn.Identity()
        places = int(torch.tensor(form.size).prod()) if kind == "flatten" else 1
        self.form = replace(form, width=form.width * places, grid_rank=0, levels=0, size=(), coded=False)

    def forward(self, z: Encoding) -> Encoding:
        """Pool."""
        return Encoding.single(self._vector(z), z.members)

    def _vector(self, z: Encoding) -> Tensor:
        tokens_BLD = z.tokens_BLD
        match self.kind:
            case "mean":
                return pooled(z)
            case "flatten":
                return tokens_BLD.flatten(1)
            case "last":
                return _last(z)
            case "max":
                return _greatest(z)
            case _:
                return self._attended(z)

    def _attended(self, z: Encoding) -> Tensor:
        score_BL1 = self.score(z.tokens_BLD)
        if z.mask_BL is not None:
            score_BL1 = score_BL1.masked_fill(~z.mask_BL.unsqueeze(2), torch.finfo(score_BL1.dtype).min)
        share_BL1 = torch.softmax(score_BL1, dim=1)
        if z.mask_BL is not None:  # rows without a token have nothing to share
            share_BL1 = share_BL1 * z.mask_BL.unsqueeze(2).to(share_BL1.dtype)
        return (share_BL1 * z.tokens_BLD).sum(1)


def _last(z: Encoding) -> Tensor:
    if z.mask_BL is None:
        return z.tokens_BLD[:, -1]
    count_B = z.mask_BL.sum(1)
    place_B11 = (count_B - 1).clamp_min(0).view(-1, 1, 1).expand(-1, 1, z.tokens_BLD.shape[2])
    last_BD = z.tokens_BLD.gather(1, place_B11).squeeze(1)
    return last_BD * (count_B > 0).unsqueeze(1).to(last_BD.dtype)


def _greatest(z: Encoding) -> Tensor:
    if z.mask_BL is None:
        return z.tokens_BLD.amax(1)
    hidden_BLD = z.tokens_BLD.masked_fill(~z.mask_BL.unsqueeze(2), torch.finfo(z.tokens_BLD.dtype).min)
    return torch.where(z.mask_BL.any(1, keepdim=True), hidden_BLD.amax(1), 0.0)


class Pooled(nn.Module):
    """An encoder, then a pooling.

    Args:
        encoder: Anything with a ``form`` that gives an Encoding.
        kind: See :class:`Pool`.
        form: Of the encoder.
    """

    def __init__(self, encoder: nn.Module, kind: str, form: Form) -> None:
        super().__init__()
        self.encoder, self.pool = encoder, Pool(kind, form)
        self.form = self.pool.form

    def forward(self, x: object) -> Encoding:
        """Encode and pool."""
        z: Encoding = self.pool(self.encoder(x))
        return z
