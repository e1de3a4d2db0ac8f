"""Residual networks of He et al. 2016.

Shape suffixes in this file:
    B  rows    C  channels    H  height    W  width of a picture    L  places    D  width
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Encoding, Form, Tensors
from trueweight.nn.patches import Standardized

__all__ = ["BOTTLENECK", "STAGES", "Resnet"]

STAGES: Mapping[int, tuple[int, ...]] = {
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2), 26: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3),
}  # fmt: skip
"""Blocks of each stage by the number of layers: He et al. 2016, arXiv:1512.03385, table 1; 10 is ours, 26 that of
Wightman et al. 2021, arXiv:2110.00476."""
BOTTLENECK = frozenset({26, 50, 101, 152})
"""Numbers of layers with blocks that narrow and widen again."""


class Blur(nn.Module):
    """Each place averaged with its neighbours, and every so many kept: what a step would skip is not lost.

        y = sum_ij k_i k_j x_ij    with k = (1, 2, 1) / 4, the edge repeated

    Source: Zhang 2019, "Making convolutional networks shift-invariant again", arXiv:1904.11486, section 3.2.

    Args:
        width: Channels.
        stride: Step between places kept.

    Shape:
        (B, C, H, W) -> (B, C, H', W'), H' = H / stride rounded up.
    """

    kernel_C133: Tensor

    def __init__(self, width: int, stride: int = 1) -> None:
        super().__init__()
        line_3 = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel_C133", line_3.outer(line_3).expand(width, 1, 3, 3).contiguous(), persistent=False)
        self.stride = stride

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Average."""
        padded_BCHW = nn.functional.pad(x_BCHW, (1, 1, 1, 1), mode="replicate")
        return nn.functional.conv2d(padded_BCHW, self.kernel_C133, stride=self.stride, groups=x_BCHW.shape[1])


class Branch(nn.Sequential):
    """What a block adds: convolutions with batch norm, and relu between them.

    Args:
        sides: Of each convolution's filter.
        widths: Channels before, between and after them.
        strided: Which of them takes the stride.
        stride: Step between places read.
        blurred: Average neighbours before the step.
    """

    def __init__(
        self, sides: Sequence[int], widths: Sequence[int], strided: int, stride: int, *, blurred: bool = False
    ) -> None:
        layers: list[nn.Module] = []
        for i, side in enumerate(sides):
            step = stride if i == strided else 1
            layers += [Blur(widths[i])] if blurred and step > 1 else []
            layers += [convolution(widths[i], widths[i + 1], side, step), nn.BatchNorm2d(widths[i + 1]), nn.ReLU()]
        super().__init__(*layers[:-1])


class Block(nn.Module):
    """``relu(branch(x) + short(x))``. With 26 layers, and 50 and more, the branch is a bottleneck, whose stride is
    taken by the 3x3 convolution instead of the first (Goyal et al. 2017, arXiv:1706.02677, section 5), as everybody
    does by now.

    Args:
        width_in: Channels that come in.
        width: Of the stage: 64, 128, 256, 512.
        stride: Step between places read.
        bottleneck: Whether to narrow and widen again.
        averaged: Let the short way average 2 by 2 places where it takes a step, instead of skipping three of four:
            ResNet-D of He et al. 2018, arXiv:1812.01187, section 4.2.
        blurred: Average neighbours before the branch takes a step.
    """

    def __init__(
        self, width_in: int, width: int, stride: int, *, bottleneck: bool, averaged: bool = False, blurred: bool = False
    ) -> None:
        super().__init__()
        self.width = 4 * width if bottleneck else width
        self.branch = (
            Branch((1, 3, 1), (width_in, width, width, self.width), 1, stride, blurred=blurred)
            if bottleneck
            else Branch((3, 3), (width_in, width, width), 0, stride, blurred=blurred)
        )
        self.short: nn.Module = nn.Identity()
        if stride > 1 or width_in != self.width:
            means = averaged and stride > 1
            layers = [convolution(width_in, self.width, 1, 1 if means else stride), nn.BatchNorm2d(self.width)]
            pool = [nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)] if means else []
            self.short = nn.Sequential(*pool, *layers)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """One block."""
        y_BCHW: Tensor = torch.relu(self.branch(x_BCHW) + self.short(x_BCHW))
        return y_BCHW


class Resnet(nn.Module):
    """Pictures to tokens, one for each place of the last stage.

    Args:
        grid: H, W of the pictures.
        mean: Of each channel, from 0 to 1.
        std: Of each channel, above 0.
        layers: One of :data:`STAGES`.
        small: Begin with a 3x3 convolution without stride and without pooling, as for pictures of 32 pixels: section
            4.2 of the paper.
        zero_residual: Begin with blocks that change nothing: Goyal et al. 2017, section 5.
        checkpointing: Compute each block again in the backward pass instead of keeping what it made.
        width: Channels of the first stage; each further one has twice as many.
        deep: Variant D of He et al. 2018, arXiv:1812.01187: three convolutions of 3x3 for that of 7x7 (unless small),
            and short ways that average.
        blurred: Average neighbours before each step of a branch.

    Shape:
        ``pixel`` (B, H, W, C) uint8 -> tokens (B, L, D), D = 8 or 32 times the width.
    """

    def __init__(
        self, grid: tuple[int, ...], mean: Sequence[float], std: Sequence[float], layers: int, *, small: bool,
        zero_residual: bool, checkpointing: bool, width: int = 64, deep: bool = False, blurred: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.checkpointing = checkpointing
        self.options: Mapping[str, str | int | bool] = {
            "layers": layers, "width": width, "channels": len(mean), "variant": "d" if deep else "b",
            "blur_pool": blurred, "small": small,
        }  # fmt: skip
        """What another network must agree on to be put into this one, in the words of specs."""
        self.standardized = Standardized(mean, std)
        self.stem = _stem(len(mean), width, small=small, deep=deep, blurred=blurred)
        self.blocks, reached = nn.ModuleList(), width
        for stage, count in enumerate(STAGES[layers]):
            for i in range(count):
                block = Block(
                    reached, width * 2**stage, 2 if stage and not i else 1, bottleneck=layers in BOTTLENECK,
                    averaged=deep, blurred=blurred,
                )  # fmt: skip
                self.blocks.append(block)
                reached = block.width
                if zero_residual:
                    nn.init.zeros_(list(block.branch)[-1].weight)  # type: ignore[arg-type]  # a batch norm
        halvings = 3 if small else 5
        high, wide = (-(-side // 2**halvings) for side in grid)
        self.form = Form(reached, grid_rank=2, size=(high, wide))

    def forward(self, x: Tensors) -> Encoding:
        """Encode."""
        z_BCHW = self.stem(self.standardized(x["pixel"]))
        for block in self.blocks:
            z_BCHW = self._again(block, z_BCHW) if self._forgets() else block(z_BCHW)
        return Encoding(z_BCHW.flatten(2).transpose(1, 2), None, (z_BCHW.shape[2], z_BCHW.shape[3]))

    def _forgets(self) -> bool:
        return self.checkpointing and self.training and torch.is_grad_enabled()

    def _again(self, block: nn.Module, x_BCHW: Tensor) -> Tensor:
        """Activation checkpointing: Chen et al. 2016, arXiv:1604.06174. The second time, batch norms leave their
        running means alone."""
        from torch.utils.checkpoint import checkpoint

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), _unheard(block)

        y_BCHW: Tensor = checkpoint(block, x_BCHW, use_reentrant=False, context_fn=contexts)
        return y_BCHW


def _stem(channels: int, width: int, *, small: bool, deep: bool, blurred: bool) -> nn.Sequential:
    """Pixels to the first stage's channels, at a quarter of the side unless small."""
    if deep and not small:
        half = max(1, width // 2)
        first = [
            convolution(channels, half, 3, 2), nn.BatchNorm2d(half), nn.ReLU(),
            convolution(half, half, 3, 1), nn.BatchNorm2d(half), nn.ReLU(), convolution(half, width, 3, 1),
        ]  # fmt: skip
    else:
        first = [convolution(channels, width, 3, 1) if small else convolution(channels, width, 7, 2)]
    pool: list[nn.Module] = [nn.Identity()] if small else [nn.MaxPool2d(3, stride=2, padding=1)]
    if blurred and not small:
        pool = [nn.MaxPool2d(3, stride=1, padding=1), Blur(width, 2)]
    return nn.Sequential(*first, nn.BatchNorm2d(width), nn.ReLU(), *pool)


@contextmanager
def _unheard(block: nn.Module) -> Iterator[None]:
    norms = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, usual, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked.sub_(1)


def convolution(width_in: int, width_out: int, side: int, stride: int) -> nn.Conv2d:
    """Without bias, since batch norm follows; begins as in He et al. 2015, arXiv:1502.01852, by its outputs."""
    layer = nn.Conv2d(width_in, width_out, side, stride=stride, padding=side // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer
