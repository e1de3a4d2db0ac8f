"""Low-rank adaptation: begins as nothing, is trained alone, and merged is the same as beside."""

import copy
import math

import pytest
import torch
from torch import nn

from trueweight.nn.lora import Adapted, adapt, merge


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 3, bias=False)))


def adapted(rank: int = 2, alpha: float = 3.0) -> tuple[nn.Sequential, nn.Sequential]:
    """As it was, and with all layers but the last adapted."""
    before = network()
    after = copy.deepcopy(before)
    assert adapt(after, [after[0].weight, after[2].weight], rank=rank, alpha=alpha) == 2
    return before, after


def test_it_begins_as_nothing() -> None:
    before, after = adapted()
    x = torch.randn(5, 6)
    assert torch.equal(after(x), before(x))


@pytest.mark.parametrize("shape", [(6,), (4, 6), (2, 3, 6)], ids=str)
def test_it_computes_the_formula(shape: tuple[int, ...]) -> None:
    layer = Adapted(nn.Linear(6, 8), 2, 3.0)
    nn.init.normal_(layer.up_OK)
    x = torch.randn(shape)
    weight, up, down = layer.base.weight, layer.up_OK, layer.down_KI
    expected = x @ weight.T + layer.base.bias + 3.0 / math.sqrt(2) * (x @ down.T) @ up.T
    torch.testing.assert_close(layer(x), expected)


def test_merged_equals_beside() -> None:
    _, after = adapted()
    with torch.no_grad():
        for module in after.modules():
            if isinstance(module, Adapted):
                module.up_OK.normal_()
    x = torch.randn(7, 6)
    expected = after(x)
    merge(after)
    assert not any(isinstance(module, Adapted) for module in after.modules())
    assert list(after.state_dict()) == list(network().state_dict())
    assert all(p.requires_grad for p in after.parameters())
    # One matrix instead of two products: float32 rounding of sums of at most eight numbers, twice.
    torch.testing.assert_close(after(x), expected, rtol=1e-5, atol=1e-5)


def test_merging_what_learnt_nothing_changes_no_bit() -> None:
    before, after = adapted()
    merge(after)
    assert all(torch.equal(a, b) for a, b in zip(after.parameters(), before.parameters(), strict=True))


def test_only_the_small_matrices_learn() -> None:
    _, after = adapted()
    after(torch.randn(5, 6)).square().sum().backward()
    learns = {name for name, p in after.named_parameters() if p.grad is not None}
    assert learns == {"0.up_OK", "0.down_KI", "2.up_OK", "2.down_KI", "3.0.weight"}
    # Down cannot know where to go before up has moved.
    assert not after[0].down_KI.grad.any()
    assert after[0].up_OK.grad.any()


def test_gradients_match_finite_differences() -> None:
    layer = Adapted(nn.Linear(3, 4), 2, 1.0).double()
    nn.init.normal_(layer.up_OK)
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    def through(x: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.func.functional_call(layer, {"up_OK": up, "down_KI": down}, (x,))
        return found

    assert torch.autograd.gradcheck(through, (x, layer.up_OK, layer.down_KI))


def test_the_step_of_the_first_update_does_not_grow_with_the_rank() -> None:
    """What the root is for: the addition after one step of the same size is about as large at rank 64 as at rank 4;
    with ``alpha / rank`` it would be a quarter."""
    sizes = {}
    for rank in (4, 64):
        torch.manual_seed(0)
        layer = Adapted(nn.Linear(256, 256, bias=False), rank, 1.0)
        x = torch.randn(512, 256)
        layer(x).sum(1).pow(2).mean().backward()
        with torch.no_grad():
            layer.up_OK.sub_(layer.up_OK.grad.sign() * 1e-3)  # as adaptive optimisers do
            sizes[rank] = float((layer(x) - layer.base(x)).norm())
    assert sizes[64] / sizes[4] == pytest.approx(1.0, rel=0.5)


def test_a_rank_wider_than_the_matrix_is_the_matrix() -> None:
    layer = Adapted(nn.Linear(6, 3), 99, 2.0)
    assert layer.up_OK.shape == (3, 3)
    assert layer.factor == 2.0 / math.sqrt(3)
