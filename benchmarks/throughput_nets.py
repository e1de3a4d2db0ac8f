"""The networks of the throughput benchmark in plain PyTorch, rows for them, and a training loop written by hand.

Imports torch only: other frameworks train the same networks on the same kind of rows in a venv of their own.
"""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn import functional

RATE = 1e-3


@dataclass(frozen=True)
class Rows:
    """What the hand-written loop reads: tensors in memory, and how a batch of them becomes an input."""

    inputs: Tensor
    labels: Tensor
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy


class ByHandMlp(nn.Module):
    """16 numbers, standardised, to one."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class ByHandLeNet(nn.Module):
    """28 x 28 bytes to 10 classes."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 6, 5), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(6, 16, 5), nn.MaxPool2d(2), nn.ReLU(),
            nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.float().mul_(1 / 255).sub_(0.5))


class ByHandCnn(nn.Module):
    """32 x 32 x 3 bytes to 10 classes, batch norm."""

    def __init__(self) -> None:
        super().__init__()

        def stage(inputs: int, outputs: int) -> list[nn.Module]:
            def layer(inputs: int) -> list[nn.Module]:
                return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

            first = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(outputs)]
            return [*first, nn.ReLU(), *layer(outputs)]

        self.body = nn.Sequential(*stage(3, 32), *stage(32, 64), *stage(64, 128))
        self.head = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x.float().mul_(1 / 255).sub_(0.5)).mean((2, 3)))


class ByHandLstm(nn.Module):
    """Series of 40 steps to 4 classes, the state after the last step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 64, batch_first=True)
        self.head = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class ByHandTransformer(nn.Module):
    """64 tokens to 4 classes: two pre-norm layers of width 128, four heads, rotary positions, mean of the tokens."""

    def __init__(self, words: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, 128, padding_idx=0)
        self.norm_in, self.norm_out = nn.RMSNorm(128, 1e-6), nn.RMSNorm(128, 1e-6)
        self.norms = nn.ModuleList(nn.RMSNorm(128, 1e-6) for _ in range(4))
        self.qkv = nn.ModuleList(nn.Linear(128, 384) for _ in range(2))
        self.out = nn.ModuleList(nn.Linear(128, 128) for _ in range(2))
        self.up = nn.ModuleList(nn.Linear(128, 512) for _ in range(2))
        self.down = nn.ModuleList(nn.Linear(512, 128) for _ in range(2))
        self.head = nn.Linear(128, 4)
        angles = torch.outer(torch.arange(64), 10000 ** -(torch.arange(16) / 16))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def turned(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, -1)
        length = x.shape[-2]
        cos, sin = self.cos[:length], self.sin[:length]
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm_in(self.embedding(x))
        rows, length, _ = h.shape
        for layer in range(2):
            qkv = self.qkv[layer](self.norms[2 * layer](h)).view(rows, length, 3, 4, 32).permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(self.turned(qkv[0]), self.turned(qkv[1]), qkv[2])
            h = h + self.out[layer](seen.transpose(1, 2).reshape(rows, length, 128))
            h = h + self.down[layer](functional.gelu(self.up[layer](self.norms[2 * layer + 1](h))))
        return self.head(self.norm_out(h).mean(1))


@dataclass(frozen=True)
class ByHand:
    """One network as a researcher in a hurry would write it."""

    build: Callable[[], nn.Module]
    batch_size: int
    made: Callable[[int], Rows]
    """So many rows of noise, of the shapes and types that the benchmark's data set has."""
    channels_last: bool = False
    """The faster of both on the machine where this was written."""


def _labels(rows: int, classes: int) -> Tensor:
    return torch.randint(0, classes, (rows,))


def _pixels(channels: int, side: int) -> Callable[[int], Rows]:
    return lambda n: Rows(torch.randint(0, 256, (n, channels, side, side), dtype=torch.uint8), _labels(n, 10))


def _texts(n: int) -> Rows:
    return Rows(torch.randint(1, 284, (n, 64)), _labels(n, 4))


NETS = {
    "mlp": ByHand(ByHandMlp, 128, lambda n: Rows(torch.randn(n, 16), torch.randn(n, 1), functional.mse_loss)),
    "lenet": ByHand(ByHandLeNet, 64, _pixels(1, 28)),
    "cnn": ByHand(ByHandCnn, 128, _pixels(3, 32), channels_last=True),
    "lstm": ByHand(ByHandLstm, 64, lambda n: Rows(torch.randn(n, 40, 1), _labels(n, 4))),
    "transformer": ByHand(lambda: ByHandTransformer(284), 32, _texts),
}


def seconds_by_hand(net: ByHand, rows: Rows, steps: int) -> float:
    """Of a step, as a researcher in a hurry would write the loop."""
    network = net.build().train()
    layout = torch.channels_last if net.channels_last else torch.contiguous_format
    inputs = rows.inputs
    if inputs.ndim == 4:
        network, inputs = network.to(memory_format=layout), inputs.contiguous(memory_format=layout)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, fused=True)
    taken, size = 0, net.batch_size
    gc.disable()
    start = perf_counter()
    while taken < steps:
        for index in torch.randperm(len(inputs))[: len(inputs) // size * size].split(size):
            optimizer.zero_grad()
            loss = rows.loss(network(inputs.index_select(0, index)), rows.labels.index_select(0, index))
            loss.backward()
            optimizer.step()
            taken += 1
            if taken == steps:
                break
    seconds = (perf_counter() - start) / steps
    gc.enable()
    return seconds
