"""``muon`` with the options of airbench94_muon against that program's own loop (Jordan 2024), written out here.

Its losses are sums, its logits are divided by the width of the head, and the head begins with a spread of 1. Ours are
means and plain logits, so that rates are multiplied with the rows of a batch, and the head's divided by the width's
square.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trueweight.spec.run import TrainSpec
from trueweight.train.schedule import Schedule

BATCH, WIDTH, CLASSES, STEPS = 40, 12, 5, 6
DECAY = 2e-6 * BATCH
BIAS, HEAD = 0.053 * BATCH, 0.67 * BATCH / WIDTH**2
TRAIN: dict[str, Any] = {
    "batch_size": BATCH,
    "optimizer": {
        "type": "muon", "learning_rate": 0.24, "momentum": 0.6, "iterations": 3, "layers": "all", "normalized": True,
        "others": "sgd", "other_momentum": 0.85, "other_learning_rate": HEAD, "other_weight_decay": DECAY / HEAD,
        "bias_learning_rate": BIAS, "bias_weight_decay": DECAY / BIAS,
    },
    "lr_schedule": {"warmup": 0, "decay": 1},
}  # fmt: skip


class Pictures(nn.Module):
    def __init__(self, scale: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.GELU(), nn.Conv2d(8, WIDTH, 3, bias=False),
            nn.BatchNorm2d(WIDTH), nn.GELU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.heads = nn.ModuleDict({"y": nn.Linear(WIDTH, CLASSES, bias=False)})
        self.scale = scale
        for norm in (self.body[1], self.body[4]):
            norm.weight.requires_grad_(requires_grad=False)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.heads["y"](self.body(x)) * self.scale


def theirs(network: Pictures, x: Tensor, y: Tensor) -> None:
    filters = [p for p in network.parameters() if p.ndim == 4]
    biases = [p for p in network.parameters() if p.ndim == 1 and p.requires_grad]
    groups = [
        {"params": biases, "lr": 0.053, "weight_decay": DECAY / 0.053},
        {"params": [network.heads["y"].weight], "lr": 0.67, "weight_decay": DECAY / 0.67},
    ]
    rest = torch.optim.SGD(groups, momentum=0.85, nesterov=True)
    buffers = [torch.zeros_like(p) for p in filters]
    for step in range(STEPS):
        network.zero_grad()
        functional.cross_entropy(network(x), y, label_smoothing=0.2, reduction="sum").backward()
        # Ours would be at zero one step later: a share of 1 / (STEPS + 1) below theirs.
        left = 1 - (step + 1) / (STEPS + 1)
        for group, rate in zip(rest.param_groups, (0.053, 0.67), strict=True):
            group["lr"] = rate * left
        rest.step()
        with torch.no_grad():
            for p, buffer in zip(filters, buffers, strict=True):
                buffer.mul_(0.6).add_(p.grad)
                push = p.grad.add(buffer, alpha=0.6)
                p.mul_(len(p) ** 0.5 / p.norm())
                p.add_(newton_schulz(push.reshape(len(p), -1)).view(p.shape), alpha=-0.24 * left)


def newton_schulz(g: Tensor) -> Tensor:
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm() + 1e-7)
    x = x.T if g.shape[0] > g.shape[1] else x
    for _ in range(3):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if g.shape[0] > g.shape[1] else x


def ours(network: Pictures, x: Tensor, y: Tensor) -> None:
    train = TrainSpec.model_validate(TRAIN)
    optimizer: Any = train.optimizer.build(network)  # type: ignore[union-attr]
    schedule = Schedule.of(STEPS, warmup=train.lr_schedule.warmup, decay=train.lr_schedule.decay)
    peaks = [group["lr"] for group in optimizer.param_groups]
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        functional.cross_entropy(network(x), y, label_smoothing=0.2).backward()
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = peak * schedule.factor(step)
        optimizer.step()


def test_the_same_network_comes_out():
    one, two = Pictures(1.0), Pictures(1 / WIDTH)
    start = {name: p.detach().clone() for name, p in one.named_parameters()}
    with torch.no_grad():
        two.heads["y"].weight.mul_(WIDTH)
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(BATCH, 3, 8, 8, generator=rng, dtype=torch.float64)
    y = torch.randint(CLASSES, (BATCH,), generator=rng)
    ours(one, x, y)
    theirs(two, x, y)
    for name, p in one.named_parameters():
        other = two.get_parameter(name) / (WIDTH if name.startswith("heads") else 1)
        # In float64; but the 1e-7 that both add to a gradient's norm is more beside a mean's than beside a sum's.
        torch.testing.assert_close(p, other, rtol=0, atol=1e-6)
        assert not p.requires_grad or (p - start[name]).abs().max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_in_either_precision_the_loss_falls(dtype: torch.dtype):
    network = Pictures(1.0).float()
    optimizer: Any = TrainSpec.model_validate(TRAIN).optimizer.build(network)  # type: ignore[union-attr]
    rng = torch.Generator().manual_seed(1)
    y = torch.arange(BATCH) % CLASSES
    x = torch.randn(BATCH, 3, 8, 8, generator=rng) + torch.randn(CLASSES, 3, 1, 1, generator=rng)[y]
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            z = network(x)
        loss = functional.cross_entropy(z.float(), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
