"""What runs a network for a leaf, by name."""

import os
import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch import Tensor, nn

from trueweight.data.batch import Batch
from trueweight.errors import SpecError
from trueweight.files import cache_dir, private_dir
from trueweight.model.network import Network
from trueweight.model.onnx_file import Flat, flat_inputs, unflat, why_not_flat
from trueweight.model.onnx_runtime import OnnxRuntime
from trueweight.model.padding import LARGEST, bucket_of, first_rows, with_rows
from trueweight.model.protocols import Runtime
from trueweight.nn.decoding import Decoding
from trueweight.nn.encoding import Tensors

__all__ = ["KEPT", "RUNTIMES", "Compiled", "Double", "Eager", "why_not"]


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


def _channels_last(network: Network) -> Runtime:
    """Filters of two dimensions in the order in which pictures are stored, in a copy."""
    copy = deepcopy(network)
    for parameter in copy.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return Eager(copy)


def _channels_first(network: Network) -> Runtime:
    """Pictures in the other order, before each convolution of a copy."""
    copy = deepcopy(network)
    for module in copy.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(_first)
    return Eager(copy)


def _first(_: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor]:
    return (args[0].contiguous(),)


class Compiled:
    """The network by torch's compiler, in batches of 1, 2, 4, … 64 rows: each size is compiled once, and batches of
    other sizes are filled up with rows that are dropped afterwards.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._flat: Flat | None = None
        self._run: Callable[..., tuple[Tensor, ...]] | None = None

    def __call__(self, batch: Batch, how: Decoding, noise: Mapping[str, Tensors]) -> Mapping[str, Tensors]:
        """Answer, 64 rows at a time."""
        rows = len(batch.rows)
        if not rows:
            return Eager(self._network)(batch, how, noise)
        if self._run is None:
            self._make(batch, how)
        parts = [self._some(batch, start, min(rows, start + LARGEST)) for start in range(0, rows, LARGEST)]
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        return {t: {key: torch.cat([part[t][key] for part in parts]) for key in out} for t, out in first.items()}

    def _some(self, batch: Batch, start: int, end: int) -> dict[str, Tensors]:
        assert self._run is not None  # made before, as is the next
        assert self._flat is not None
        inputs = {name: {key: t[start:end] for key, t in ts.items()} for name, ts in batch.inputs.items()}
        filled = with_rows(Batch(batch.rows[start:end], inputs, {}), bucket_of(end - start))
        with torch.inference_mode():
            values = self._run(*(filled.inputs[field][array] for field, array in self._flat.inputs))
        return first_rows(unflat(values, self._flat.outputs), end - start)

    def _make(self, batch: Batch, how: Decoding) -> None:
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(private_dir(cache_dir() / "compiled")))
        with torch.inference_mode():
            answers = self._network.answer(batch, how, {})
        outputs = tuple((target, output) for target, found in answers.items() for output in found)
        self._flat = Flat(self._network, flat_inputs(batch), outputs).eval()
        compile_it = cast(Callable[..., Callable[..., tuple[Tensor, ...]]], torch.compile)
        self._run = compile_it(self._flat, dynamic=False)


RUNTIMES: Mapping[str, Callable[[Network], Runtime]] = {
    "eager": Eager, "double": _double, "channels_last": _channels_last, "channels_first": _channels_first,
    "compiled": Compiled, "onnx": OnnxRuntime,
}  # fmt: skip
"""From a network in evaluation mode to what runs it."""

KEPT = ("channels_last", "channels_first", "compiled", "onnx")
"""Those that are dear to make: a leaf makes them once and keeps them, and its weights must not change from then on."""


def why_not(name: str, network: Network) -> str:
    """Why a runtime makes no sense for a network here; "" if it does."""
    if name.startswith("channels"):
        pictures = any(isinstance(module, nn.Conv2d) for module in network.modules())
        return "" if pictures else "there are no convolutions of pictures"
    if name in ("compiled", "onnx") and (reason := why_not_flat(network)):
        return reason
    if name == "compiled" and not any(shutil.which(compiler) for compiler in ("g++", "clang++", "c++")):
        return "there is no C++ compiler"
    if name == "onnx":
        if network.device.type != "cpu":
            return f"the network is on a {network.device.type} device; its file is run on the CPU"
        missing = [package for package in ("onnx", "onnxruntime") if find_spec(package) is None]
        return f"{' and '.join(missing)} not installed: pip install 'trueweight[onnx]'" if missing else ""
    if name not in RUNTIMES:
        raise SpecError(f"unknown runtime {name!r}", hint=f"choose from {', '.join(RUNTIMES)}")
    return ""
