"""Residual networks: sizes, and what checkpointing may not change."""

from typing import Any

import pytest
import torch
from torch import Tensor

from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.model.encoders.resnet import ResnetEncoder
from trueweight.nn.resnet import Block, Blur, Resnet

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.2)


def resnet(
    side: int, *, layers: int = 18, small: bool = False, zero: bool = False, again: bool = False, **options: Any
) -> Resnet:
    torch.manual_seed(0)
    return Resnet((side, side), MEAN, STD, layers, small=small, zero_residual=zero, checkpointing=again, **options)


def pixels(side: int, rows: int = 2) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return {"pixel": torch.randint(0, 256, (rows, side, side, 3), generator=rng, dtype=torch.uint8)}


@pytest.mark.parametrize(("side", "small", "grid"), [(64, False, 2), (33, False, 2), (32, True, 4), (9, True, 2)])
def test_the_grid_is_as_promised(side: int, small: bool, grid: int) -> None:
    module = resnet(side, small=small).eval()
    z = module(pixels(side))
    assert z.grid == module.form.size == (grid, grid)
    assert z.tokens_BLD.shape == (2, grid * grid, 512)


@pytest.mark.parametrize("bottleneck", [False, True])
def test_a_block_is_its_formula(bottleneck: bool) -> None:
    torch.manual_seed(0)
    block = Block(8, 4, 2, bottleneck=bottleneck).double().eval()
    x = torch.randn(2, 8, 6, 6).double()
    y = x
    convolutions = [m for m in block.branch if isinstance(m, torch.nn.Conv2d)]
    assert [c.kernel_size[0] for c in convolutions] == ([1, 3, 1] if bottleneck else [3, 3])
    assert [c.stride[0] for c in convolutions] == ([1, 2, 1] if bottleneck else [2, 1])
    for i, layer in enumerate(convolutions):  # a fresh batch norm divides by sqrt(1 + eps)
        y = torch.nn.functional.conv2d(y, layer.weight, stride=layer.stride, padding=layer.padding) / (1 + 1e-5) ** 0.5
        y = y if i == len(convolutions) - 1 else y.clamp_min(0)
    short = torch.nn.functional.conv2d(x, block.short[0].weight, stride=2) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(block(x), (y + short).clamp_min(0), rtol=1e-10, atol=1e-10)


def test_short_ways_of_variant_d_average() -> None:
    torch.manual_seed(0)
    block = Block(8, 4, 2, bottleneck=False, averaged=True).double().eval()
    torch.nn.init.zeros_(block.branch[-1].weight)
    x = torch.randn(2, 8, 6, 6).double()
    mean = x.view(2, 8, 3, 2, 3, 2).mean((3, 5))
    weight = next(m for m in block.short if isinstance(m, torch.nn.Conv2d)).weight[:, :, 0, 0]
    expected = torch.einsum("bchw,dc->bdhw", mean, weight) / (1 + 1e-5) ** 0.5
    torch.testing.assert_close(block(x), expected.clamp_min(0), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("side", [31, 64])
@pytest.mark.parametrize("small", [False, True])
def test_variant_d_with_blur_keeps_the_grid(side: int, small: bool) -> None:
    options = {"deep": True, "blurred": True, "width": 8, "layers": 10}
    module = resnet(side, small=small, **options).eval()
    z = module(pixels(side))
    assert z.grid == module.form.size
    assert z.tokens_BLD.shape == (2, z.grid[0] * z.grid[1], 64)
    assert sum(isinstance(m, torch.nn.Conv2d) for m in module.stem) == (1 if small else 3)


def test_a_blur_is_the_average_of_its_formula() -> None:
    x = torch.randn(1, 2, 5, 6)
    blurred = Blur(2, 2)(x)
    assert blurred.shape == (1, 2, 3, 3)
    around = x[0, 1, 1:4, 1:4]
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    torch.testing.assert_close(Blur(2)(x)[0, 1, 2, 2], (around * kernel).sum())
    torch.testing.assert_close(Blur(2)(torch.ones(1, 2, 5, 6)), torch.ones(1, 2, 5, 6))  # an even area stays, edges too
    torch.testing.assert_close(blurred, Blur(2)(x)[:, :, ::2, ::2])


def test_zero_residual_blocks_begin_as_their_short_way() -> None:
    module = resnet(16, small=True, zero=True).eval()
    x = torch.randn(1, 64, 8, 8)
    torch.testing.assert_close(module.blocks[0](x), torch.relu(x))


@pytest.mark.parametrize("layers", [18, 50])
def test_checkpointing_changes_neither_gradients_nor_running_means(layers: int) -> None:
    def trained(again: bool) -> list[Tensor]:
        module = resnet(8, small=True, layers=layers, again=again).train()
        for _ in range(2):
            module(pixels(8, 4)).tokens_BLD.square().mean().backward()
        return [*(p.grad for p in module.parameters()), *module.buffers()]

    assert all(map(torch.equal, trained(True), trained(False)))


def test_small_pictures_begin_gently_unless_told_otherwise() -> None:
    from trueweight.data.column import Sense

    def stride(side: int, small: bool | None) -> int:
        layout = Layout({"pixel": 3}, senses={"pixel": Sense(grid=(side, side), mean=MEAN, std=STD)})
        module = ResnetEncoder(small=small).build(layout)
        return module.stem[0].stride[0]

    assert [stride(32, None), stride(64, None), stride(96, None), stride(32, False)] == [1, 1, 2, 2]


def test_only_pictures_are_read() -> None:
    with pytest.raises(SpecError, match="reads pictures, and these columns are none"):
        ResnetEncoder().build(Layout({"number": 3}))
