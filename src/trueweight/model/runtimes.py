"""What runs a network for a leaf, by name."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from trueweight.data.batch import Batch
from trueweight.model.network import Network
from trueweight.model.protocols import Runtime
from trueweight.nn.decoding import Decoding
from trueweight.nn.encoding import Tensors

__all__ = ["RUNTIMES", "Double", "Eager"]


@dataclass(frozen=True, slots=True)
class Eager:
    """The network as it is."""

    network: Network

    def __call__(self, batch: Batch, how: Decoding, noise: Mapping[str, Tensors]) -> Mapping[str, Tensors]:
        """Answer without keeping anything for gradients."""
        with torch.inference_mode():
            return self.network.answer(batch, how, noise, sparsely=True)


@dataclass(frozen=True, slots=True)
class Double:
    """A copy of the network in float64: how far float32 is from it says how well-conditioned the answers are."""

    network: Network

    def __call__(self, batch: Batch, how: Decoding, noise: Mapping[str, Tensors]) -> Mapping[str, Tensors]:
        """Answer in float64."""
        inputs = {name: _doubled(tensors) for name, tensors in batch.inputs.items()}
        with torch.inference_mode():
            return self.network.answer(
                Batch(batch.rows, inputs, batch.targets),
                how,
                {name: _doubled(tensors) for name, tensors in noise.items()},
                sparsely=True,
            )


def _double(network: Network) -> Runtime:
    return Double(deepcopy(network).double())


def _doubled(tensors: Tensors) -> dict[str, Tensor]:
    return {name: t.double() if t.is_floating_point() else t for name, t in tensors.items()}


RUNTIMES: Mapping[str, Callable[[Network], Runtime]] = {"eager": Eager, "double": _double}
"""From a network in evaluation mode to what runs it."""
