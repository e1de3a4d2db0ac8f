"""Embeddings of numbers, batched over columns: no Python loop over columns in ``forward``.

Shape suffixes in this file:
    B  rows    C  numeric columns    T  bins, padded    F  frequencies    D  width of one column's embedding
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["BOUND", "EmbedSome", "Embedding", "Periodic", "PiecewiseLinear", "SmoothClip", "smooth_clip"]

BOUND = 3.0
"""Where :func:`smooth_clip` levels off."""


def smooth_clip(x: Tensor) -> Tensor:
    """``x / sqrt(1 + (x / 3)^2)``: nearly x near 0, never beyond 3, so that outliers cannot shout.

    Source: RealMLP, Holzmueller et al. 2024, "Better by Default", arXiv:2407.04491, section 3.1.
    """
    x = x.clamp(-1e9, 1e9)  # the square of more would not fit float32, and infinity times zero is no answer
    return x * torch.rsqrt(1.0 + (x / BOUND).square())


class Embedding(nn.Module, ABC):
    """Embeds numbers after :func:`smooth_clip`: (B, C) -> (B, D'). Clipping has no weights, so that training may do it
    for all rows at once, and then asks for what follows alone."""

    def forward(self, x_BC: Tensor) -> Tensor:
        """Clip and embed."""
        return self.of_clipped(smooth_clip(x_BC))

    @abstractmethod
    def of_clipped(self, t_BC: Tensor) -> Tensor:
        """Embed what is clipped already."""


class SmoothClip(Embedding):
    """:func:`smooth_clip` in the place of an embedding: (B, C) -> (B, C)."""

    def of_clipped(self, t_BC: Tensor) -> Tensor:
        """The same."""
        return t_BC


class PiecewiseLinear(Embedding):
    """A learnt piecewise linear function of each number.

        e[t] = clip((x - edge[t]) / (edge[t + 1] - edge[t]), 0, 1)
        y[c] = linear[c] * x[c] + bias[c] + e[c] @ weight[c]

    Source: Gorishniy et al. 2022, "On Embeddings for Numerical Features in Tabular Deep Learning",
    arXiv:2203.05556, section 3.2, with the separate linear term and zero initial weights of its authors' later
    implementation. We differ at the ends: numbers and edges pass through :func:`smooth_clip` first and the outer
    bins reach to its bounds, so that the encoding always lies in [0, 1], whatever is asked after training.

    Shape:
        (B, C) -> (B, C * D).

    Args:
        knots: For each column, inner bin edges in the unit of the input, ascending; may be empty.
        width: D.
    """

    scale_C1T: Tensor
    shift_C1T: Tensor

    def __init__(self, knots: Sequence[Sequence[float]], width: int) -> None:
        super().__init__()
        scale, shift = _bins(knots)
        self.register_buffer("scale_C1T", scale.unsqueeze(1), persistent=False)
        self.register_buffer("shift_C1T", shift.unsqueeze(1), persistent=False)
        columns, bins = scale.shape
        self.weight_CTD = nn.Parameter(torch.zeros(columns, bins, width))
        limit = width**-0.5
        self.linear_CD = nn.Parameter(torch.empty(columns, width).uniform_(-limit, limit))
        self.bias_CD = nn.Parameter(torch.empty(columns, width).uniform_(-limit, limit))

    def of_clipped(self, t_BC: Tensor) -> Tensor:
        """Embed all columns by one batched product."""
        t_CB1 = t_BC.t().unsqueeze(2)
        e_CBT = torch.addcmul(self.shift_C1T, t_CB1, self.scale_C1T).clamp(0.0, 1.0)
        y_CBD = torch.baddbmm(self.bias_CD.unsqueeze(1), e_CBT, self.weight_CTD)
        y_CBD = torch.addcmul(y_CBD, t_CB1, self.linear_CD.unsqueeze(1))
        return y_CBD.transpose(0, 1).flatten(1)


class EmbedSome(Embedding):
    """Embeds some columns and passes the others on, softly clipped: (B, C) -> (B, D of the embedding + others).

    Args:
        embedding: For the chosen columns.
        chosen: Their places, in the order that ``embedding`` knows them.
        others: Places of the rest.
    """

    chosen: Tensor
    others: Tensor

    def __init__(self, embedding: Embedding, chosen: Sequence[int], others: Sequence[int]) -> None:
        super().__init__()
        self.embedding: Embedding = embedding
        self.register_buffer("chosen", torch.tensor(list(chosen)), persistent=False)
        self.register_buffer("others", torch.tensor(list(others)), persistent=False)

    def of_clipped(self, t_BC: Tensor) -> Tensor:
        """Embedded columns first."""
        embedded = self.embedding.of_clipped(t_BC.index_select(1, self.chosen))
        return torch.cat([embedded, t_BC.index_select(1, self.others)], dim=1)


class Periodic(Embedding):
    """Sines and cosines of learnt frequencies, then a linear layer and ReLU, for each number.

        v = 2 pi * frequency[c] * x[c];  y[c] = relu([cos v, sin v] @ weight[c] + bias[c])

    Source: Gorishniy et al. 2022, arXiv:2203.05556, section 3.3 ("PLR"), with :func:`smooth_clip` before.

    Shape:
        (B, C) -> (B, C * D).

    Args:
        columns: C.
        width: D.
        frequencies: F.
        sigma: Standard deviation of the first frequencies.
    """

    def __init__(self, columns: int, width: int, *, frequencies: int = 16, sigma: float = 0.1) -> None:
        super().__init__()
        self.frequency_CF = nn.Parameter(torch.empty(columns, frequencies))
        nn.init.trunc_normal_(self.frequency_CF, std=sigma, a=-3 * sigma, b=3 * sigma)
        limit = (2 * frequencies) ** -0.5
        self.weight_CFD = nn.Parameter(torch.empty(columns, 2 * frequencies, width).uniform_(-limit, limit))
        self.bias_CD = nn.Parameter(torch.empty(columns, width).uniform_(-limit, limit))

    def of_clipped(self, t_BC: Tensor) -> Tensor:
        """Embed all columns by one batched product."""
        v_CBF = 2 * math.pi * t_BC.t().unsqueeze(2) * self.frequency_CF.unsqueeze(1)
        waves_CBF = torch.cat([torch.cos(v_CBF), torch.sin(v_CBF)], dim=2)
        y_CBD = torch.baddbmm(self.bias_CD.unsqueeze(1), waves_CBF, self.weight_CFD).relu()
        return y_CBD.transpose(0, 1).flatten(1)


def _bins(knots: Sequence[Sequence[float]]) -> tuple[Tensor, Tensor]:
    """Scale and shift of each column's bins, (C, T) each; padding has both 0, so that it encodes to 0."""
    edges = [_edges(column) for column in knots]
    bins = max(len(e) - 1 for e in edges)
    scale, shift = torch.zeros(len(edges), bins), torch.zeros(len(edges), bins)
    for c, e in enumerate(edges):
        inverse = 1.0 / (e[1:] - e[:-1])
        scale[c, : len(inverse)] = inverse.float()
        shift[c, : len(inverse)] = (-e[:-1] * inverse).float()
    return scale, shift


def _edges(knots: Sequence[float]) -> Tensor:
    """Distinct edges of one column after clipping, the bounds at both ends, float64."""
    inner = smooth_clip(torch.tensor(list(knots), dtype=torch.float64))
    edges = [-BOUND]
    for edge in inner.tolist():
        if edge - edges[-1] > 1e-4 and BOUND - edge > 1e-4:  # narrower bins would only amplify rounding
            edges.append(edge)
    return torch.tensor([*edges, BOUND], dtype=torch.float64)
