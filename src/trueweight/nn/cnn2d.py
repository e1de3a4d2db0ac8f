"""Convolutions over pictures.

Shape suffixes in this file:
    B  rows    H  height    W  width    C  channels    D  width of tokens    L  H * W    P  values of a patch
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from trueweight.nn.dropout import Dropout
from trueweight.nn.encoding import Encoding, Form, Tensors
from trueweight.nn.mlp import ACTIVATIONS, Mlp

__all__ = ["Cnn2d", "PictureStem", "Stage", "StageNorm", "Topped", "whitening_filters"]

_PATCH = 2
_SOFT = 5e-4
"""Added to each variance before whitening, so that directions of mere noise are not blown up. airbench's value."""


def whitening_filters(covariance: Sequence[Sequence[float]], std: Sequence[float]) -> Tensor:
    """Filters whose outputs on patches of standardised pictures are uncorrelated and of variance 1: (2 P, C, 2, 2).

        w_i = v_i / sqrt(lambda_i + 5e-4)      and -w_i

    with eigenvectors v of the patches' covariance. Both signs, so that a rectifier behind loses neither half. Source:
    Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, section 3.2.

    Args:
        covariance: Of patches, P by P, values by row, column and channel.
        std: Of each channel, C of them.
    """
    spread_P = torch.tensor(list(std) * _PATCH**2, dtype=torch.float64)
    scaled_PP = torch.tensor(covariance, dtype=torch.float64) / spread_P.outer(spread_P)
    variance_P, vector_PP = torch.linalg.eigh(scaled_PP)
    filter_PP = (vector_PP / (variance_P.clamp_min(0) + _SOFT).sqrt()).T.flip(0)
    filter_PCHW = filter_PP.view(-1, _PATCH, _PATCH, len(std)).permute(0, 3, 1, 2)
    return torch.cat([filter_PCHW, -filter_PCHW]).float().contiguous()


class PictureStem(nn.Module):
    """Standardised pixels, whitened in patches of 2 by 2 if asked.

    Args:
        grid: H, W.
        mean: Of each channel, from 0 to 1.
        std: Of each channel, above 0.
        covariance: Of patches, for whitening; () for none.
        stride: Of the whitening, in pixels.
        bias: Whether each whitened channel has a learnt one, 0 at first.

    Shape:
        (B, H, W, C) uint8 -> (B, C', H', W'), channels last in memory.
    """

    mean_C: Tensor
    std_C: Tensor
    filters: Tensor | None

    def __init__(
        self, grid: tuple[int, ...], mean: Sequence[float], std: Sequence[float],
        covariance: Sequence[Sequence[float]], stride: int, *, bias: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.register_buffer("mean_C", torch.tensor(mean) * 255, persistent=False)
        self.register_buffer("std_C", torch.tensor(std) * 255, persistent=False)
        # Kept with the weights: on another machine the eigenvectors may come out with other signs.
        self.register_buffer("filters", whitening_filters(covariance, std) if covariance else None)
        self.stride = stride
        self.width = len(mean) if self.filters is None else len(self.filters)
        self.bias = nn.Parameter(torch.zeros(self.width)) if bias and self.filters is not None else None
        high, wide = grid
        self.grid = (high, wide) if self.filters is None else ((high - 2) // stride + 1, (wide - 2) // stride + 1)

    def forward(self, pixel_BHWC: Tensor) -> Tensor:
        """Standardise and whiten."""
        value_BHWC = (pixel_BHWC.to(self.mean_C.dtype) - self.mean_C) / self.std_C
        value_BCHW = value_BHWC.movedim(3, 1)
        if self.filters is None:
            return value_BCHW
        return nn.functional.conv2d(value_BCHW, self.filters, self.bias, self.stride)


@dataclass(frozen=True, slots=True)
class StageNorm:
    """Which norm the layers of a stage have, and how."""

    kind: str = "batch"
    """"none", "batch" or "layer"."""
    momentum: float = 0.1
    """Share that each batch has in what a batch norm remembers of the rows."""
    eps: float = 1e-5
    """Added to variances."""
    scale: bool = True
    """Whether each channel has a learnt factor."""

    def build(self, width: int) -> nn.Module:
        """One, over so many channels."""
        if self.kind == "none":
            return nn.Identity()
        norm = (
            nn.BatchNorm2d(width, self.eps, self.momentum) if self.kind == "batch" else nn.GroupNorm(1, width, self.eps)
        )
        if not self.scale:
            # A factor of 1 that is no weight, rather than none: kernels of GPUs and ONNX want a factor beside the bias.
            del norm.weight
            norm.register_buffer("weight", torch.ones(width), persistent=False)
        return norm


_POOLS: Mapping[str, Callable[[], nn.Module]] = {
    "none": nn.Identity, "max": lambda: nn.MaxPool2d(2), "mean": lambda: nn.AvgPool2d(2),
}  # fmt: skip


class Stage(nn.Module):
    """Convolution, pooling, norm, activation; then convolutions at half the size, added to what they read if asked.

        y = act(norm(pool(conv(x))))      z = y + rest(y)   or   z = rest(y)

    Pooling before the norm and right behind the first convolution leaves the other convolutions a quarter of the work.

    Args:
        width_in: Channels that come in.
        width: Channels that go out.
        grid: Height and width that come in.
        kernel_size: Side of all filters.
        stride: Of the first convolution.
        convolutions: How many.
        padding: "same" keeps the size, "valid" looks at whole windows only.
        norm: Behind each convolution, before the activation.
        activation: One of ``nn.mlp.ACTIVATIONS``.
        residual: Add the first's output to the last's.
        pool: "none", "max" or "mean", over 2 by 2.
        separable: Filter each channel alone and then mix channels (Chollet 2017, "Xception", arXiv:1610.02357).
        initializer: Of the filters: "kaiming_normal" or "dirac".

    Raises:
        ValueError: The filters are larger than what comes in.
    """

    def __init__(
        self, width_in: int, width: int, grid: tuple[int, int], *, kernel_size: int, stride: int, convolutions: int,
        padding: str, norm: StageNorm, activation: str, residual: bool, pool: str, separable: bool,
        initializer: str = "kaiming_normal",
    ) -> None:  # fmt: skip
        super().__init__()
        margin = kernel_size - 1 if padding == "same" else 0

        def convolved(side: int, step: int) -> int:
            return (side + margin - kernel_size) // step + 1

        def layer(width_in: int, step: int) -> nn.Module:
            bias = norm.kind != "batch"  # which has one of its own
            conv = partial(_conv, initializer=initializer)
            if not separable:
                return conv(width_in, width, kernel_size, stride=step, margin=margin, bias=bias)
            each = conv(width_in, width_in, kernel_size, stride=step, margin=margin, bias=False, groups=width_in)
            return nn.Sequential(each, conv(width_in, width, 1, bias=bias))

        high, wide = (convolved(side, stride) for side in grid)
        act = ACTIVATIONS[activation]
        pooling = _POOLS[pool] if min(high, wide) > 1 else nn.Identity
        self.first = nn.Sequential(layer(width_in, stride), pooling(), norm.build(width), act())
        if pooling is not nn.Identity:
            high, wide = high // 2, wide // 2
        rest: list[nn.Module] = []
        for _ in range(convolutions - 1):
            rest += [layer(width, 1), norm.build(width), act()]
            high, wide = convolved(high, 1), convolved(wide, 1)
        if min(high, wide) < 1:
            raise ValueError(f"filters of {kernel_size} by {kernel_size} do not fit what is left of the picture")
        self.rest = nn.Sequential(*rest)
        self.residual = residual and convolutions > 1 and padding == "same"
        self.grid = (high, wide)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """One stage."""
        y_BCHW: Tensor = self.first(x_BCHW)
        z_BCHW: Tensor = self.rest(y_BCHW)
        return y_BCHW + z_BCHW if self.residual else z_BCHW


def _conv(
    width_in: int, width: int, size: int, *, bias: bool, stride: int = 1, margin: int = 0, groups: int = 1,
    initializer: str,
) -> nn.Module:  # fmt: skip
    """With first weights that keep the spread of what passes a rectifier (He et al. 2015, arXiv:1502.01852), or such
    that hand on what comes in; see :func:`_hand_on`.

    Args:
        width_in: Channels that come in.
        width: Channels that go out.
        size: Of the filters.
        bias: Whether each channel has one.
        stride: From one place to the next.
        margin: Zeros added to each axis, half of them (and the odd one) behind.
        groups: Of channels that do not see each other.
        initializer: "kaiming_normal" or "dirac".
    """
    conv = nn.Conv2d(width_in, width, size, stride, margin // 2, groups=groups, bias=bias)
    if initializer == "dirac":
        _hand_on(conv.weight, margin // 2 if margin else size // 2, groups)
    else:
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return conv if margin % 2 == 0 else nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), conv)


@torch.no_grad()
def _hand_on(filter_OIHW: Tensor, place: int, groups: int) -> None:
    """Let as many filters as channels come in give one of these channels each, unchanged; others stay as torch draws
    them.

    Source: Zagoruyko and Komodakis 2017, "DiracNets", arXiv:1706.00388; for part of the filters Jordan 2024,
    arXiv:2404.00498, section 3.3.

    Args:
        filter_OIHW: Weights of a convolution, I channels of its group.
        place: Of the 1 in a filter, along both sides: 0 means that the filter begins at the pixel.
        groups: Of channels that do not see each other.
    """
    inward = filter_OIHW.shape[1]
    for start in range(0, filter_OIHW.shape[0], filter_OIHW.shape[0] // groups):
        here = filter_OIHW[start : start + min(inward, filter_OIHW.shape[0] // groups)]
        channel = torch.arange(len(here))
        here.zero_()[channel, channel, place, place] = 1


class Cnn2d(nn.Module):
    """A stem and stages: what each place of the last grid sees becomes a token.

    Args:
        stem: Pixels to channels.
        stages: Each reading the one before.
        width: Channels of the last one.
        activation: Behind the whitening.
        dropout: Probability of zeroing a value of the last stage during training.
        flags: Places of the array ``flag``, for rows without a picture: each adds a learnt vector.

    Shape:
        ``pixel`` (B, H, W, C) uint8 -> tokens (B, L, D), grid (H', W').
    """

    def __init__(
        self, stem: PictureStem, stages: Sequence[Stage], width: int, *, activation: str, dropout: float, flags: int
    ) -> None:
        super().__init__()
        self.stem, self.stages = stem, nn.Sequential(*stages)
        self.whitened = ACTIVATIONS[activation]() if stem.filters is not None else nn.Identity()
        self.dropout = Dropout(dropout)
        self.missing = nn.Linear(flags, width, bias=False) if flags else None
        self.form = Form(width, grid_rank=2, size=stages[-1].grid)

    def forward(self, x: Tensors) -> Encoding:
        """Convolve."""
        y_BCHW = self.stages(self.whitened(self.stem(x["pixel"])))
        tokens_BLD = self.dropout(y_BCHW.flatten(2).transpose(1, 2))
        if self.missing is not None:
            tokens_BLD = tokens_BLD + self.missing(x["flag"]).unsqueeze(1)
        return Encoding(tokens_BLD, None, (y_BCHW.shape[2], y_BCHW.shape[3]))


class Topped(nn.Module):
    """An encoder with dense layers behind it, on each token alone.

    Args:
        encoder: Anything with a ``form`` that gives an Encoding.
        form: Of the encoder.
        hidden_sizes: Width of each layer.
        activation: Behind each layer.
        dropout: Probability of zeroing a unit during training.
    """

    def __init__(
        self, encoder: nn.Module, form: Form, hidden_sizes: Sequence[int], *, activation: str, dropout: float
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.mlp = Mlp(form.width, hidden_sizes, activation=activation, dropout=dropout)
        self.form = replace(form, width=hidden_sizes[-1])

    def forward(self, x: object) -> Encoding:
        """Encode and go on."""
        z: Encoding = self.encoder(x)
        return z.with_tokens(self.mlp(z.tokens_BLD))


def stages_for(grid: tuple[int, int]) -> int:
    """How many halvings leave about four places a side."""
    return max(1, min(6, round(math.log2(max(grid) / 4))))
