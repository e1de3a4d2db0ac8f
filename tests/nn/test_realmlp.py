"""RealMLP's network against a slow one, and the law that a factor is a rate."""

import math

import pytest
import torch
from torch import nn

from trueweight.nn.numeric import smooth_clip
from trueweight.nn.realmlp import FAST, SLOW, RealPerceptron
from trueweight.train.fused import Fused, adam_update


def network(*, members: int = 1, rate: float = 2.0, activation: str = "selu", seed: int = 0) -> RealPerceptron:
    torch.manual_seed(seed)
    return RealPerceptron(
        3, 2, (4, 20), [6, 5], members=members, dropout=0.0, activation=activation, rate=rate, frequencies=4, sigma=0.3,
        embedding_size=3,
    )  # fmt: skip


def rows(count: int = 7) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    codes = [torch.randint(0, n, (count, 1), generator=rng, dtype=torch.int32) for n in (4, 20)]
    return {
        "number": torch.randn(count, 3, generator=rng) * 2, "code": torch.cat(codes, dim=1),
        "flag": torch.randint(0, 2, (count, 2), generator=rng).float(),
    }  # fmt: skip


def slowly(net: RealPerceptron, x: dict[str, torch.Tensor], row: int, member: int) -> torch.Tensor:
    """One row through one member, weight by weight, as the paper writes it."""
    waves, k, c = net.waves, net.members, 3
    fine = SLOW * net.rate

    def of(p: torch.Tensor, *shape: int) -> torch.Tensor:
        return p.detach().reshape(k, *shape)[member]

    parts = []
    for column in range(c):
        value = smooth_clip(x["number"][row, column])
        frequency, phase = (of(p, c, 4)[column] * fine for p in (waves.frequency_M, waves.phase_M))
        mixed = torch.cos(2 * math.pi * value * frequency + phase) @ (of(waves.weight_MFD, c, 4, 2)[column] * fine)
        parts += [value.reshape(1), mixed + of(waves.bias_M, c, 2)[column] * fine]
    y = torch.cat([*parts, net.others({name: t[row : row + 1] for name, t in x.items()})[0].detach()])
    y = y * (1 + FAST * net.rate * of(net.scale_M, len(y)))
    for layer in net.layers:
        width = layer.weight_KDO.shape[2]
        z = y @ layer.weight_KDO.detach()[member] * net.rate / math.sqrt(len(y)) + fine * of(layer.bias_M, width)
        y = z + (1 + fine * of(layer.keep_M, width)) * (nn.functional.selu(z) - z)
    return y


@pytest.mark.parametrize("members", [1, 3])
def test_it_is_so_many_perceptrons_of_their_own(members: int) -> None:
    net, x = network(members=members).eval(), rows()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())) * 0.1)
        found = net(x).tokens_BLD[:, 0].unflatten(0, (7, members))
    for row in range(7):
        for member in range(members):
            torch.testing.assert_close(found[row, member], slowly(net, x, row, member), rtol=1e-4, atol=1e-5)


def test_the_rate_says_nothing_before_the_first_step() -> None:
    x = rows()
    torch.testing.assert_close(network(rate=1.0)(x).tokens_BLD, network(rate=30.0)(x).tokens_BLD, rtol=1e-4, atol=1e-5)


def test_a_step_of_adam_is_as_many_times_as_long_as_the_rate() -> None:
    x = rows(40)

    def moved(rate: float) -> dict[str, torch.Tensor]:
        net = network(rate=rate)
        before = {name: p.detach().clone() for name, p in net.named_parameters()}
        groups = [{"params": list(net.parameters()), "weight_decay": 0.0}]
        optimizer = Fused(
            groups, 1e-4, ("step", "exp_avg", "exp_avg_sq"), adam_update((0.9, 0.99), 1e-12, decoupled=True), "adamw"
        )
        net(x).tokens_BLD.square().sum().backward()
        optimizer.step()
        return {name: (p.detach() - before[name]).abs() * rate for name, p in net.named_parameters()}

    slow, fast = moved(2.0), moved(8.0)
    for name in ("scale_M", "layers.0.weight_KDO", "layers.1.bias_M", "waves.phase_M"):
        torch.testing.assert_close(4 * slow[name], fast[name], rtol=2e-2, atol=1e-7)


def test_weights_that_are_no_matrices_are_spared_by_decay() -> None:
    flat = {name for name, p in network(members=3).named_parameters() if p.ndim < 2}
    expected = {"scale_M", "waves.frequency_M", "waves.phase_M", "waves.bias_M"}
    assert flat == expected | {f"layers.{i}.{kind}_M" for i in (0, 1) for kind in ("bias", "keep")}
