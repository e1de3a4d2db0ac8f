"""Convolutions along a sequence: sounds, series, texts. Padding never reaches a real step.

Shape suffixes in this file:
    B  rows * members    L  steps    D  width    G  groups    E  channels of a group
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from trueweight.nn.dropout import Dropout
from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.mlp import ACTIVATIONS

__all__ = ["POOLS", "Cnn1d", "StepBatchNorm", "StepGroupNorm"]

POOLS = ("none", "max", "mean")
"""What becomes of two neighbouring steps behind a layer."""


class Cnn1d(nn.Module):
    """Layers of convolutions along the steps of another encoding.

        y = dropout(activation(norm(conv(x)))),  zero where x is padding;  then y + x if asked and as wide;  then pooled

    Every layer keeps the number of steps (what it looks at beyond the ends is zero) until its pooling halves it,
    rounding up. With several kernel sizes each layer has filters of all of them, side by side.
    Source: kernel sizes side by side of Kim 2014, "Convolutional neural networks for sentence classification",
    arXiv:1408.5882, section 2, there in one layer; separable ones of Chollet 2017, "Xception", arXiv:1610.02357,
    section 2, without a norm in between.

    Args:
        form: Of what comes in.
        channels: Width of each layer, at least one.
        kernel_sizes: Steps that a filter looks at. More than one share a layer's channels equally; repeats count once.
        normalization: "none", "batch", "group", "layer" or "rms". batch mixes the real steps of all rows while
            training.
        activation: One of ``nn.mlp.ACTIVATIONS``.
        dropout: Probability of zeroing a unit during training, in [0, 1).
        residual: Add a layer's input to its output where the widths agree.
        pool: "none", "max" or "mean" of two neighbouring steps behind each layer.
        separable: Filter each channel alone and then mix channels: fewer weights, less work.

    Raises:
        ValueError: No channels, no kernel size, more kernel sizes than channels, or a norm or pooling of no known name.

    Shape:
        tokens (B, L, D) -> (B, L', channels[-1]), grid (L',); L' = L without pooling.
    """

    def __init__(
        self,
        form: Form,
        channels: Sequence[int],
        kernel_sizes: Sequence[int],
        *,
        normalization: str = "batch",
        activation: str = "relu",
        dropout: float = 0.0,
        residual: bool = False,
        pool: str = "none",
        separable: bool = False,
    ) -> None:
        super().__init__()
        sizes = tuple(dict.fromkeys(kernel_sizes))
        if not channels or not sizes or min(channels) < len(sizes):
            raise ValueError(f"{len(sizes)} kernel sizes do not fit layers of {list(channels)} channels")
        if normalization not in NORMS or pool not in POOLS:
            raise ValueError(f"unknown normalization {normalization!r} or pool {pool!r}")
        widths = [form.width, *channels]
        self.layers = nn.ModuleList(
            Layer(a, b, sizes, normalization, activation, dropout, residual=residual, separable=separable)
            for a, b in pairwise(widths)
        )
        self.pool = pool
        steps = form.size[0] if len(form.size) == 1 else None
        for _ in channels:
            steps = steps if steps is None or pool == "none" else -(-steps // 2)
        size = () if steps is None else (steps,)
        self.form = replace(form, width=channels[-1], grid_rank=1, levels=0, size=size, coded=False)

    def forward(self, z: Encoding) -> Encoding:
        """Convolve."""
        x_BLD, mask_BL = z.tokens_BLD, z.mask_BL
        if mask_BL is not None:
            x_BLD = x_BLD * mask_BL.unsqueeze(2).to(x_BLD.dtype)
        for layer in self.layers:
            x_BLD = layer(x_BLD, mask_BL)
            if self.pool != "none":
                x_BLD, mask_BL = _halved(x_BLD, mask_BL, self.pool)
        return Encoding(x_BLD, mask_BL, (x_BLD.shape[1],), members=z.members)


def _halved(x_BLD: Tensor, mask_BL: Tensor | None, kind: str) -> tuple[Tensor, Tensor | None]:
    """The larger, or the mean, of each two neighbours that are real; a last one without a neighbour stays.

    What is not real is zero in ``x``.
    """
    real_BL = torch.ones_like(x_BLD[:, :, 0], dtype=torch.bool) if mask_BL is None else mask_BL
    first_BLD, second_BLD = x_BLD[:, 0::2], functional.pad(x_BLD, (0, 0, 0, 1))[:, 1::2]
    first_BL, second_BL = real_BL[:, 0::2], functional.pad(real_BL, (0, 1))[:, 1::2]
    sum_BLD, both_BL1 = first_BLD + second_BLD, (first_BL & second_BL).unsqueeze(2)
    pair_BLD = sum_BLD / 2 if kind == "mean" else torch.maximum(first_BLD, second_BLD)
    y_BLD = torch.where(both_BL1, pair_BLD, sum_BLD)
    return y_BLD, None if mask_BL is None else first_BL | second_BL


class Layer(nn.Module):
    """One layer; see :class:`Cnn1d`. (B, L, D) and its mask -> (B, L, width), zero at padding."""

    def __init__(
        self, width_in: int, width: int, sizes: Sequence[int], normalization: str, activation: str, dropout: float,
        *, residual: bool, separable: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        shares = [width // len(sizes) + (place < width % len(sizes)) for place in range(len(sizes))]
        bias = normalization != "batch"  # which takes any constant out again
        one = Separable if separable else Slide
        self.filters = nn.ModuleList(one(width_in, w, k, bias=bias) for w, k in zip(shares, sizes, strict=True))
        self.norm = NORMS[normalization](width)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = Dropout(dropout)
        self.residual = residual and width_in == width

    def forward(self, x_BLD: Tensor, mask_BL: Tensor | None) -> Tensor:
        """One layer."""
        found = [one(x_BLD) for one in self.filters]
        joined_BLD = found[0] if len(found) == 1 else torch.cat(found, dim=2)
        y_BLD: Tensor = self.dropout(self.activation(self.norm(joined_BLD, mask_BL)))
        if self.residual:
            y_BLD = x_BLD + y_BLD
        if mask_BL is not None:
            y_BLD = y_BLD * mask_BL.unsqueeze(2).to(y_BLD.dtype)
        return y_BLD


class Slide(nn.Module):
    """A convolution along the steps, as many out as in.

    Computed as one over pictures of height 1 with channels last, which tokens are already: on a CPU about twice as
    fast as ``Conv1d``, and many times where each channel is filtered alone.

    Args:
        width_in: D.
        width: D of what goes out.
        size: Steps that a filter looks at; of an even number one more lies behind.
        groups: Parts of the channels that do not see each other.
        bias: Add a constant to each channel.
    """

    def __init__(self, width_in: int, width: int, size: int, *, groups: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width_in, width, (1, size), groups=groups, bias=bias)
        self.margins = ((size - 1) // 2, size // 2)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Slide."""
        padded_BLD = functional.pad(x_BLD, (0, 0, *self.margins))
        y_BLD: Tensor = self.conv(padded_BLD.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        return y_BLD


class Separable(nn.Sequential):
    """A filter for each channel alone, then a mixture of channels at each step."""

    def __init__(self, width_in: int, width: int, size: int, *, bias: bool) -> None:
        mixing = nn.Linear(width_in, width, bias=bias)
        nn.init.kaiming_normal_(mixing.weight, nonlinearity="relu")
        super().__init__(Slide(width_in, width_in, size, groups=width_in, bias=False), mixing)


class StepBatchNorm(nn.Module):
    """Batch normalisation over the real steps of all rows; at inference by what was learnt, each step alone.

        y = (x - mean_D) / sqrt(variance_D + 1e-5) * weight_D + bias_D

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, section 3; running means with momentum 0.1 and the unbiased
    variance, as in ``nn.BatchNorm1d``, which it equals where nothing is padding.

    Args:
        width: D.

    Shape:
        (B, L, D) and a mask (B, L) or None -> (B, L, D).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x_BLD: Tensor, mask_BL: Tensor | None) -> Tensor:
        """Normalise; where the layers around compute in half precision, in float32: means need all of its digits."""
        x_BLD = x_BLD.float() if x_BLD.dtype in (torch.bfloat16, torch.float16) else x_BLD
        if self.training:
            mean_D, var_D = self._of_batch(x_BLD, mask_BL)
        else:
            mean_D, var_D = self.running_mean, self.running_var
        return (x_BLD - mean_D) * (torch.rsqrt(var_D + 1e-5) * self.weight) + self.bias

    def _of_batch(self, x_BLD: Tensor, mask_BL: Tensor | None) -> tuple[Tensor, Tensor]:
        real_BL1 = torch.ones_like(x_BLD[:, :, :1]) if mask_BL is None else mask_BL.unsqueeze(2).to(x_BLD.dtype)
        count = real_BL1.sum()
        mean_D = (x_BLD * real_BL1).sum((0, 1)) / count.clamp_min(1.0)
        var_D = ((x_BLD - mean_D).square() * real_BL1).sum((0, 1)) / count.clamp_min(1.0)
        with torch.no_grad():  # a batch of one step has no variance, and one of none teaches nothing
            share = 0.1 * (count > 1).to(x_BLD.dtype)
            self.running_mean.lerp_(mean_D, share)
            self.running_var.lerp_(var_D * count / (count - 1.0).clamp_min(1.0), share)
        return mean_D, var_D


class StepGroupNorm(nn.Module):
    """Group normalisation: each row alone, over its real steps and the channels of a group.

    Source: Wu and He 2018, "Group normalization", arXiv:1803.08494, section 3; as many groups as divide the width, at
    most 8.

    Args:
        width: D.

    Shape:
        (B, L, D) and a mask (B, L) or None -> (B, L, D).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.groups = max(g for g in range(1, min(8, width) + 1) if width % g == 0)
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x_BLD: Tensor, mask_BL: Tensor | None) -> Tensor:
        """Normalise."""
        x_BLGE = x_BLD.view(*x_BLD.shape[:2], self.groups, x_BLD.shape[2] // self.groups)
        real_BL11 = torch.ones_like(x_BLGE[:, :, :1, :1])
        if mask_BL is not None:
            real_BL11 = mask_BL[:, :, None, None].to(x_BLD.dtype)
        count_B111 = (real_BL11.sum(1, keepdim=True) * x_BLGE.shape[3]).clamp_min(1.0)
        mean_B1G1 = (x_BLGE * real_BL11).sum((1, 3), keepdim=True) / count_B111
        var_B1G1 = ((x_BLGE - mean_B1G1).square() * real_BL11).sum((1, 3), keepdim=True) / count_B111
        y_BLD: Tensor = ((x_BLGE - mean_B1G1) * torch.rsqrt(var_B1G1 + 1e-5)).flatten(2)
        return y_BLD * self.weight + self.bias


class _EachStep(nn.Module):
    """A norm that looks at each step alone, and so needs no mask."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x_BLD: Tensor, mask_BL: Tensor | None) -> Tensor:  # noqa: ARG002  # as the others take it
        """Normalise."""
        y_BLD: Tensor = self.norm(x_BLD)
        return y_BLD


NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "none": lambda width: _EachStep(nn.Identity()),  # noqa: ARG005
    "batch": StepBatchNorm,
    "group": StepGroupNorm,
    "layer": lambda width: _EachStep(nn.LayerNorm(width)),
    "rms": lambda width: _EachStep(nn.RMSNorm(width)),
}
