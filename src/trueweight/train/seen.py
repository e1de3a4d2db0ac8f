"""How many rows each weight matrix meets in a step: what decides whether work on the matrix itself is dear.

A dense layer over 65 patches of 256 pictures meets 16,640 rows, and filters over 8 by 8 places of 500 pictures meet
32,000. That is found by one forward pass of a few rows, in which every product with a weight is noted.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trueweight.data.batch import to_device
from trueweight.data.feed import Feed
from trueweight.train.loop import Streams, quiet
from trueweight.train.watching import Watching

__all__ = ["rows_seen"]

FEW = 16
"""Rows that are tried. Where they differ in length, a few from all over the table stand for the rest."""


def rows_seen(network: nn.Module, feed: Feed, batch_size: int, device: torch.device) -> dict[str, float]:
    """Rows that each weight is multiplied with in one training step, by its name.

    Weights that no product was seen of are left out. The network and torch's random state are as before afterwards.

    Args:
        network: On the device.
        feed: Rows to learn from.
        batch_size: Rows per step.
        device: Of the network.
    """
    few = min(FEW, len(feed))
    batch = to_device(feed.batch(torch.linspace(0, len(feed) - 1, few).long()), device)
    named = {name: p for name, p in network.named_parameters() if p.requires_grad}
    training = network.training
    network.eval()  # batch norm must not remember these rows
    try:
        with quiet(device), torch.no_grad(), _Products(named) as products:
            network(batch, Streams(0, device).at(1))
    finally:
        network.train(training)
    return {name: work / named[name].numel() * batch_size / few for name, work in products.work.items() if work}


class _Products(Watching):  # type: ignore[no-untyped-call]  # torch says no types here
    """Adds up the multiplications of each weight.

    Args:
        named: Weights by name; told by their memory, so that views and transposed ones are known.
    """

    def __init__(self, named: Mapping[str, Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work: dict[str, int] = {}
        self._names = {p.untyped_storage()._cdata: name for name, p in named.items()}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do it, and note."""
        made = func(*args, **(kwargs or {}))
        if (product := _PRODUCTS.get(func)) is not None:
            first, second, work = product(*args, made=made)
            for operand in {t.untyped_storage()._cdata for t in (first, second)}:
                if (name := self._names.get(operand)) is not None:
                    self.work[name] = self.work.get(name, 0) + work
        return made


def _matrices(a: Tensor, b: Tensor, *_: Any, made: Tensor) -> tuple[Tensor, Tensor, int]:
    return a, b, made.numel() * a.shape[-1]


def _added(_: Tensor, a: Tensor, b: Tensor, *__: Any, made: Tensor) -> tuple[Tensor, Tensor, int]:
    return a, b, made.numel() * a.shape[-1]


def _filtered(x: Tensor, weight: Tensor, *_: Any, made: Tensor) -> tuple[Tensor, Tensor, int]:
    return x, weight, made.numel() * weight[0].numel()


_ATEN = torch.ops.aten
_PRODUCTS: Mapping[Any, Callable[..., tuple[Tensor, Tensor, int]]] = {
    _ATEN.mm.default: _matrices, _ATEN.bmm.default: _matrices, _ATEN.addmm.default: _added,
    _ATEN.baddbmm.default: _added, _ATEN.convolution.default: _filtered,
}  # fmt: skip
