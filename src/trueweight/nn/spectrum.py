"""Convolutions over sounds as pictures of time by frequency. Padding never reaches a real step.

Shape suffixes in this file:
    B  rows    T  steps    F  bands    C  channels    L  T * F
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from trueweight.nn.cnn1d import NORMS, POOLS
from trueweight.nn.dropout import Dropout
from trueweight.nn.encoding import Encoding, Form, Tensors
from trueweight.nn.mlp import ACTIVATIONS
from trueweight.nn.stems import real_mask

__all__ = ["SpectrumCnn"]


class SpectrumCnn(nn.Module):
    """A convolution that takes every second step and band, then further ones, each followed by pooling if asked.

    A filter sees neighbouring bands as it sees neighbouring steps, so what it knows of one pitch holds for others too.
    Behind the last layer, bands are averaged. Source: DS-CNN of Zhang et al. 2017, "Hello Edge: keyword spotting on
    microcontrollers", arXiv:1711.07128, section 4.4; there separable, without pooling, and with a first filter of 10
    by 4.

    Args:
        mean: Of each band, over training rows.
        std: Of each band, above 0.
        channels: Of each layer, at least one.
        kernel_sizes: Side of each layer's filters, odd.
        normalization: One of ``nn.cnn1d.NORMS``; over real steps alone.
        activation: One of ``nn.mlp.ACTIVATIONS``.
        dropout: Probability of zeroing a unit behind the last layer during training, in [0, 1).
        pool: "none", "max" or "mean", of 2 by 2 places behind each layer but the first.
        separable: Filter each channel alone and then mix channels, with a norm and an activation behind each.

    Raises:
        ValueError: A filter has an even side, which has no middle.

    Shape:
        ``frame`` (B, T, F) -> tokens (B, T', channels[-1]), grid (T',).
    """

    mean_F: Tensor
    std_F: Tensor

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], channels: Sequence[int], kernel_sizes: Sequence[int], *,
        normalization: str, activation: str, dropout: float, pool: str, separable: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        if even := [side for side in kernel_sizes if side % 2 == 0]:
            raise ValueError(f"filters over time and frequency have odd sides, not {even[0]}")
        if pool not in POOLS:
            raise ValueError(f"unknown pool {pool!r}")
        self.register_buffer("mean_F", torch.tensor(mean), persistent=False)
        self.register_buffer("std_F", torch.tensor(std), persistent=False)
        first, *others = kernel_sizes
        layers = [Filters(1, channels[0], first, 2, normalization, activation)]
        self.pooled: list[int] = []
        """Layers behind which comes the pooling."""
        for (before, after), side in zip(pairwise(channels), others, strict=True):
            if separable:
                layers.append(Filters(before, before, side, 1, normalization, activation, groups=before))
                layers.append(Filters(before, after, 1, 1, normalization, activation))
            else:
                layers.append(Filters(before, after, side, 1, normalization, activation))
            self.pooled += [len(layers) - 1] if pool != "none" else []
        self.layers, self.kind = nn.ModuleList(layers), pool
        self.dropout = Dropout(dropout)
        self.form = Form(channels[-1], grid_rank=1)

    def forward(self, x: Tensors) -> Encoding:
        """Convolve."""
        frame_BTF = x["frame"].to(self.mean_F.dtype)
        mask_BT = real_mask(x.get("frame.length"), frame_BTF.shape[1])
        if mask_BT is None:  # all rows are of one length
            mask_BT = torch.ones(frame_BTF.shape[:2], dtype=torch.bool, device=frame_BTF.device)
        y_BCTF = ((frame_BTF - self.mean_F) / self.std_F * mask_BT.unsqueeze(2)).unsqueeze(1)
        for place, layer in enumerate(self.layers):
            y_BCTF, mask_BT = layer(y_BCTF, mask_BT)
            if place in self.pooled and min(y_BCTF.shape[2:]) > 1:
                y_BCTF, mask_BT = halved(y_BCTF, mask_BT, self.kind)
        tokens_BTC = self.dropout(y_BCTF.mean(3).transpose(1, 2))
        return Encoding(tokens_BTC, mask_BT, (tokens_BTC.shape[1],))


class Filters(nn.Module):
    """A convolution, a norm and an activation. (B, C, T, F) and its mask (B, T) -> the same, zero at padding.

    Args:
        width_in: Channels that come in.
        width: Channels that go out.
        side: Of the filters, odd.
        stride: From one place to the next, both ways; what is left is rounded up.
        normalization: See above.
        activation: See above.
        groups: Of channels that do not see each other.
    """

    def __init__(
        self, width_in: int, width: int, side: int, stride: int, normalization: str, activation: str, *, groups: int = 1
    ) -> None:
        super().__init__()
        bias = normalization != "batch"  # which takes any constant out again
        self.conv = nn.Conv2d(width_in, width, side, stride, side // 2, groups=groups, bias=bias)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
        self.norm, self.activation = NORMS[normalization](width), ACTIVATIONS[activation]()

    def forward(self, x_BCTF: Tensor, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Filter."""
        step = self.conv.stride[0]
        mask_BT = mask_BT[:, ::step]
        y_BTFC = self.conv(x_BCTF).permute(0, 2, 3, 1)
        _, steps, bands, _ = y_BTFC.shape
        real_BL = mask_BT.repeat_interleave(bands, dim=1)
        y_BLC = self.activation(self.norm(y_BTFC.flatten(1, 2), real_BL))
        y_BLC = y_BLC * real_BL.unsqueeze(2).to(y_BLC.dtype)
        return y_BLC.unflatten(1, (steps, bands)).permute(0, 3, 1, 2), mask_BT


def halved(x_BCTF: Tensor, mask_BT: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """The largest, or the mean, of 2 by 2 real places; at an odd end, of those that are there.

    Args:
        x_BCTF: Zero where it is not real.
        mask_BT: Steps that are real.
        kind: "max" or "mean".
    """
    real_B1T1, later_BT = mask_BT[:, None, :, None], mask_BT[:, ::2]
    if kind == "max":
        y_BCTF = nn.functional.max_pool2d(x_BCTF.masked_fill(~real_B1T1, -torch.inf), 2, ceil_mode=True)
        return y_BCTF.masked_fill(~later_BT[:, None, :, None], 0.0), later_BT
    pool = nn.AvgPool2d(2, ceil_mode=True, divisor_override=1)
    count_B1TF = pool(real_B1T1.to(x_BCTF.dtype).expand(-1, 1, -1, x_BCTF.shape[3]))
    return pool(x_BCTF) / count_B1TF.clamp_min(1.0), later_BT
