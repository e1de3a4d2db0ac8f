"""Several perceptrons in the manner of RealMLP, computed as one batched product per layer.

Source: Holzmueller et al. 2024, "Better by Default", arXiv:2407.04491.

A rate of a weight's own is a factor here: a weight that is stored as ``p`` and used as ``c * p`` moves ``c`` times as
far in a step of Adam, which knows no sizes of gradients.

Shape suffixes in this file:
    R  rows    K  members    C  numeric columns    F  frequencies    D  width    O  outputs    M  all of a kind, flat
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from trueweight.nn.dropout import Dropout
from trueweight.nn.encoding import Encoding, Form, Tensors
from trueweight.nn.numeric import smooth_clip
from trueweight.nn.tabular import TableEmbedding

__all__ = ["RealPerceptron"]

SLOW, FAST = 0.1, 6.0
"""Rates of biases, embeddings and activations, and of the inputs' scales, as factors of that of hidden layers."""

_ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "selu": nn.functional.selu, "mish": nn.functional.mish, "relu": nn.functional.relu,
}  # fmt: skip


class RealPerceptron(nn.Module):
    """Embedded numbers, flags and codes, scaled, through layers: one token per row and member.

    Args:
        numbers: C.
        flags: How many.
        cardinalities: Codes of each column of codes; up to nine are one-hot, more are embedded.
        hidden_sizes: Of the layers; none gives the scaled inputs.
        members: K.
        dropout: Of hidden units.
        activation: "selu", "mish" or "relu".
        rate: Of hidden layers.
        frequencies: F.
        sigma: Of the first frequencies.
        embedding_size: Places of each number.
    """

    def __init__(
        self,
        numbers: int,
        flags: int,
        cardinalities: Sequence[int],
        hidden_sizes: Sequence[int],
        *,
        members: int,
        dropout: float,
        activation: str,
        rate: float,
        frequencies: int,
        sigma: float,
        embedding_size: int,
    ) -> None:
        super().__init__()
        self.waves = (
            Waves(numbers, members, width=embedding_size, frequencies=frequencies, sigma=sigma, rate=SLOW * rate)
            if numbers
            else None
        )
        self.others = TableEmbedding(None, [], flags, cardinalities, None) if flags or cardinalities else None
        width = numbers * embedding_size + sum(self.others.chunks if self.others else [])
        self.rate, self.members = rate, members
        self.scale_M = nn.Parameter(torch.zeros(members * width))
        sizes = [width, *hidden_sizes]
        self.layers = nn.Sequential(
            *(Layer(a, b, members, rate=rate, activation=activation, dropout=dropout) for a, b in pairwise(sizes))
        )
        self.form = Form(width=sizes[-1], members=members)

    def forward(self, x: Tensors) -> Encoding:
        """Encode."""
        parts: list[Tensor] = [] if self.waves is None else [self.waves(x["number"])]
        if self.others is not None:
            parts.append(self.others(x).expand(self.members, -1, -1))
        x_KRD = torch.cat(parts, dim=2)
        scale_K1D = 1 + FAST * self.rate * self.scale_M.view(self.members, 1, -1)
        y_KRD: Tensor = self.layers(x_KRD * scale_K1D)
        return Encoding(y_KRD.transpose(0, 1).flatten(0, 1).unsqueeze(1), members=self.members)


class Waves(nn.Module):
    """Each number softly clipped, and beside it a linear mixture of waves of it: (R, C) -> (K, R, C * width).

        y[c] = [x[c], cos(2 pi * frequency[c] * x[c] + phase[c]) @ weight[c] + bias[c]]

    Source: as above, section 3.3 ("PBLD").
    """

    def __init__(self, columns: int, members: int, *, width: int, frequencies: int, sigma: float, rate: float) -> None:
        super().__init__()
        self.members, self.columns, self.rate, every = members, columns, rate, members * columns
        self.frequency_M = nn.Parameter(torch.randn(every * frequencies) * sigma / rate)
        self.phase_M = nn.Parameter(torch.empty(every * frequencies).uniform_(-math.pi, math.pi) / rate)
        limit = frequencies**-0.5
        self.weight_MFD = nn.Parameter(torch.empty(every, frequencies, width - 1).uniform_(-limit, limit) / rate)
        self.bias_M = nn.Parameter(torch.zeros(every * (width - 1)))

    def forward(self, x_RC: Tensor) -> Tensor:
        """Embed the columns of all members by one batched product."""
        x_MR1 = smooth_clip(x_RC).t().repeat(self.members, 1).unsqueeze(2)
        places = len(x_MR1)
        frequency_M1F, phase_M1F = (p.view(places, 1, -1) * self.rate for p in (self.frequency_M, self.phase_M))
        wave_MRF = torch.cos(2 * math.pi * x_MR1 * frequency_M1F + phase_M1F)
        bias_M1D = self.bias_M.view(places, 1, -1) * self.rate
        y_MRD = torch.cat([x_MR1, torch.baddbmm(bias_M1D, wave_MRF, self.weight_MFD * self.rate)], dim=2)
        y_KCRD = y_MRD.view(self.members, self.columns, *y_MRD.shape[1:])
        return y_KCRD.transpose(1, 2).flatten(2)


class Layer(nn.Module):
    """A linear layer of each member's own, and an activation of which each unit learns how much it keeps.

    z = x @ weight / sqrt(D) + bias;  y = z + keep * (f(z) - z)
    """

    def __init__(
        self, width_in: int, width_out: int, members: int, *, rate: float, activation: str, dropout: float
    ) -> None:
        super().__init__()
        self.members, self.rate, self.f = members, rate, _ACTIVATIONS[activation]
        self.weight_KDO = nn.Parameter(torch.randn(members, width_in, width_out) / rate)
        self.bias_M = nn.Parameter(torch.zeros(members * width_out))
        self.keep_M = nn.Parameter(torch.zeros(members * width_out))
        self.dropout = Dropout(dropout)

    def forward(self, x_KRD: Tensor) -> Tensor:
        """One layer."""
        bias_K1O = SLOW * self.rate * self.bias_M.view(self.members, 1, -1)
        z_KRO = torch.baddbmm(bias_K1O, x_KRD, self.weight_KDO * (self.rate * x_KRD.shape[2] ** -0.5))
        keep_K1O = 1 + SLOW * self.rate * self.keep_M.view(self.members, 1, -1)
        y_KRO: Tensor = self.dropout(z_KRO + keep_K1O * (self.f(z_KRO) - z_KRO))
        return y_KRO
