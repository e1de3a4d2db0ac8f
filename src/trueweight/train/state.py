"""What a fit changes: weights, their running average, and the optimiser's memory. To be copied and put back."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from trueweight.train.loop import Optimizer

__all__ = ["FitState", "load_weights", "optimizer_tensors", "weights_of"]

_AVERAGED_SHARE = 0.03
"""Time constant of the running average, as a share of the planned run."""


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, sharing memory with the network."""
    named = {f"weight/{name}": p.detach() for name, p in network.named_parameters()}
    return named | {f"buffer/{name}": b for name, b in network.named_buffers()}


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put weights back in place, bit for bit. Names that are not weights are passed over."""
    for name, mine in weights_of(network).items():
        mine.copy_(tensors[name])


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """An optimiser's memory as ``<parameter number>/<name>``, sharing memory with it.

    Raises:
        TypeError: It keeps something else than tensors, which a checkpoint could not hold.
    """
    found: dict[str, Tensor] = {}
    for number, values in optimizer.state_dict()["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                found[f"{number}/{name}"] = value
            elif value is not None:
                raise TypeError(f"optimiser state {name!r} is a {type(value).__name__}, not a tensor")
    return found


def _load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for path, tensor in tensors.items():
        number, name = path.split("/", 1)
        # torch keeps the very tensor it is given, and would then write into our copy.
        state.setdefault(int(number), {})[name] = tensor.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


class FitState:
    """Everything of a fit that lives in tensors.

    Args:
        network: Trained in place, on its final device.
        optimizer: Of the network's parameters.
        steps: Planned steps, which set how far back the running average reaches.
    """

    def __init__(self, network: nn.Module, optimizer: Optimizer, steps: int) -> None:
        self.network, self.optimizer = network, optimizer
        self.peaks: tuple[float, ...] = tuple(float(group["lr"]) for group in optimizer.param_groups)
        trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
        self._names = list(trained)
        self._raw = [p.detach() for p in trained.values()]
        self._average = [p.clone() for p in self._raw]
        self._every = max(1, min(8, steps // 100))
        self._share = 1 - math.exp(-self._every / max(1.0, _AVERAGED_SHARE * steps))

    def average(self, step: int) -> None:
        """Move the running average towards the weights. A plain mean at first, exponential later."""
        if step % self._every == 0:
            share = max(self._share, 1 / (1 + step // self._every))
            torch._foreach_lerp_(self._average, self._raw, share)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Inside, the network holds the averaged weights."""
        kept = [p.clone() for p in self._raw]
        torch._foreach_copy_(self._raw, self._average)
        try:
            yield
        finally:
            torch._foreach_copy_(self._raw, kept)

    def weights(self) -> dict[str, Tensor]:
        """A copy of the network's weights as they are now."""
        return {name: tensor.clone() for name, tensor in weights_of(self.network).items()}

    def tensors(self) -> dict[str, Tensor]:
        """Everything as it is now, sharing memory with the fit."""
        averages = {f"average/{name}": p for name, p in zip(self._names, self._average, strict=True)}
        memory = {f"optimizer/{path}": t for path, t in optimizer_tensors(self.optimizer).items()}
        return weights_of(self.network) | averages | memory

    def capture(self) -> dict[str, Tensor]:
        """A copy of everything, to go back to."""
        return {name: t.clone() for name, t in self.tensors().items()}

    def renew(self, copy: dict[str, Tensor]) -> None:
        """Bring a copy up to date, in its own memory: two of them would be a multiple of the weights."""
        for name, tensor in self.tensors().items():
            if name in copy:
                copy[name].copy_(tensor)
            else:
                copy[name] = tensor.clone()  # optimisers may begin to remember at their first step

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of :meth:`capture`."""
        load_weights(self.network, tensors)
        for name, mine in zip(self._names, self._average, strict=True):
            mine.copy_(tensors[f"average/{name}"])
        _load_optimizer(self.optimizer, within(tensors, "optimizer/"))


def within(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def shapes(network: nn.Module) -> dict[str, Any]:
    """Names and shapes of all weights, as plain JSON: tells networks of different make apart."""
    return {name: list(tensor.shape) for name, tensor in weights_of(network).items()}
