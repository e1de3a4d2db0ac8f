"""Which of the weights that were taken over go on learning."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from trueweight.errors import SpecError
from trueweight.model.network import Network
from trueweight.nn.lora import adapt
from trueweight.seeds import stream_seed
from trueweight.spec.start import StartSpec

__all__ = ["Taken", "hold"]

_NORMS = (nn.modules.batchnorm._BatchNorm,)
"""Layers that remember what they saw, without any gradient."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Weights that one part of a network took over."""

    source: str
    """Where they stood."""
    module: nn.Module
    """That holds them."""
    named: Mapping[str, nn.Parameter]
    """By name within the body; several names may be of one parameter."""
    layers: int
    """Of the body, whose names begin with the number of the layer; 0: it has none."""
    buffers: int = 0
    """Tensors beside them that are no parameters."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """Each once."""
        return list({id(p): p for p in self.named.values()}.values())

    @property
    def tensors(self) -> int:
        """How many tensors were copied."""
        return len(self.parameters) + self.buffers

    @property
    def weights(self) -> int:
        """How many numbers were copied."""
        return sum(p.numel() for p in self.parameters)


def hold(network: Network, taken: Sequence[Taken], asked: StartSpec, seed: int) -> None:
    """Keep weights from learning, as asked for.

    Args:
        network: That took them over.
        taken: What was.
        asked: Which of it goes on learning.
        seed: Of the small matrices of ``train: lora``.

    Raises:
        SpecError: Last layers are asked for of something without layers, or a small matrix of what has none.
    """
    if asked.train == "whole":
        return
    held = [p for one in taken for p in _held(one, asked)]
    for parameter in held:
        parameter.requires_grad_(False)
    network.rest(_resting(taken, held, whole=asked.train == "frozen"))
    if asked.train == "lora":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "lora") % 2**31)
            found = adapt(network, held, rank=asked.rank, alpha=asked.alpha)
        if not found:
            hint = "use train: frozen or whole"
            raise SpecError("nothing that was taken over has a linear layer", where="model.start_from.train", hint=hint)


def _held(taken: Taken, asked: StartSpec) -> Iterable[nn.Parameter]:
    if asked.train != "last_layers":
        return taken.parameters
    if not taken.layers:
        hint = "use train: frozen, lora or whole"
        problem = f"what was taken over from {taken.source} is not made of layers that could be counted"
        raise SpecError(problem, where="model.start_from.train", hint=hint)
    if asked.layers > taken.layers:
        problem = f"{asked.layers} last layers of {taken.source}, which has {taken.layers}"
        hint = f"at most {taken.layers}; that leaves its table of tokens as it is"
        raise SpecError(problem, where="model.start_from.layers", hint=hint)
    first = taken.layers - asked.layers
    learning = {id(p) for name, p in taken.named.items() if _layer(name, taken.layers) >= first}
    return [p for p in taken.parameters if id(p) not in learning]


def _layer(name: str, layers: int) -> int:
    """Which layer a name belongs to: what comes behind all of them counts to the last, what comes before to none."""
    first = name.split(".", maxsplit=1)[0]
    if first.isdigit():
        return int(first)
    return layers - 1 if first in ("last", "pooler") else -1


def _resting(taken: Sequence[Taken], held: Sequence[nn.Parameter], *, whole: bool) -> list[nn.Module]:
    """What answers while the rest learns as it will answer later: batch norms of held layers, which would otherwise
    remember other rows; and all of a frozen body, whose dropout would be noise that nothing learns from."""
    known = {id(p) for p in held}
    modules = [inner for one in taken for inner in one.module.modules()]
    if whole:
        return [m for m in modules if (own := list(m.parameters())) and all(id(p) in known for p in own)]
    return [m for m in modules if isinstance(m, _NORMS) and all(id(p) in known for p in m.parameters())]
