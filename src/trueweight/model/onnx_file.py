"""A network as an ONNX file: prepared tensors in, every head's outputs out, for any number of rows and of steps.

Torch has two exporters. The newer one, by ``torch.export``, took 5 to 50 times as long for our networks, and wrote
files of n-gram readers that onnxruntime refuses (torch 2.13, onnxscript 0.7.2, onnxruntime 1.32). The older one traces
the network on an example, in well under a second. What it cannot see, a choice that Python makes by the size of the
example, is why every file is asked about other sizes before it is used: see :mod:`trueweight.model.onnx_runtime`.
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import torch
from torch import Tensor, nn

from trueweight.data.batch import Batch
from trueweight.errors import SpecError
from trueweight.model.network import Network
from trueweight.nn.decoding import GREEDY
from trueweight.nn.encoding import Tensors

__all__ = ["Flat", "OnnxFile", "flat_inputs", "unflat", "why_not_flat", "write_onnx"]

OPSET = 18
"""Of the operators in our files; onnxruntime knows it since 1.14."""
_LARGEST = 2**31 - 2**24
"""Bytes of weights that fit into one file of this format."""


@dataclass(frozen=True, slots=True)
class OnnxFile:
    """One network. In the file, inputs are called ``f0.number``, outputs ``t0.probability``: fields and targets by
    number, since their names may hold anything."""

    content: bytes
    inputs: tuple[tuple[str, str], ...]
    """Field and array, in the file's order."""
    outputs: tuple[tuple[str, str], ...]
    """Target and output, in the file's order."""

    def input_names(self) -> list[str]:
        """As the file calls them."""
        return _numbered("f", self.inputs)

    def output_names(self) -> list[str]:
        """As the file calls them."""
        return _numbered("t", self.outputs)


def _numbered(letter: str, pairs: tuple[tuple[str, str], ...]) -> list[str]:
    first = list(dict.fromkeys(one for one, _ in pairs))
    return [f"{letter}{first.index(one)}.{name}" for one, name in pairs]


class Flat(nn.Module):
    """A network from a list of tensors to a list of tensors, as exporters and compilers like it.

    Args:
        network: In evaluation mode.
        inputs: Field and array of each tensor.
        outputs: Target and output of each tensor that comes out.
    """

    def __init__(
        self, network: Network, inputs: tuple[tuple[str, str], ...], outputs: tuple[tuple[str, str], ...]
    ) -> None:
        super().__init__()
        self.network, self.inputs, self.outputs = network, inputs, outputs

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Every head's outputs, one after the other."""
        given: dict[str, dict[str, Tensor]] = {}
        for (field, array), tensor in zip(self.inputs, tensors, strict=True):
            given.setdefault(field, {})[array] = tensor
        rows_R = torch.arange(tensors[0].shape[0], device=tensors[0].device)
        found = self.network.answer(Batch(rows_R, given, {}), GREEDY, {})
        return tuple(found[target][output] for target, output in self.outputs)


def flat_inputs(batch: Batch) -> tuple[tuple[str, str], ...]:
    """Field and array of every tensor that a batch gives, in order."""
    return tuple((field, array) for field, tensors in batch.inputs.items() for array in tensors)


def why_not_flat(network: Network) -> str:
    """Why a network cannot be one pass from tensors to tensors, known before any work; "" if it can."""
    if not network.fields:
        return "the network reads no columns"
    for target in network.targets:
        if network.asks_targets(target) or network.head(target).noise(torch.arange(1), 0):
            return f"target {target!r} is answered step by step or by drawing, not by one pass through a network"
    return ""


def write_onnx(network: Network, batch: Batch) -> OnnxFile:
    """The file of a network.

    Args:
        network: On the CPU. It is put into evaluation mode.
        batch: An example of two rows or more.

    Raises:
        SpecError: The network cannot be one, or something in it has no counterpart there; the onnx package is missing.
    """
    if reason := why_not_flat(network):
        raise SpecError(reason, where="onnx", hint="export models that answer with numbers, classes, sets or vectors")
    weighs = sum(t.numel() * t.element_size() for t in network.state_dict().values())
    if weighs > _LARGEST:
        raise SpecError(f"its weights are {weighs / 2**30:.1f} GiB, and one ONNX file holds 2", where="onnx")
    with torch.no_grad():
        answers = network.eval().answer(batch, GREEDY, {})
    outputs = tuple((target, output) for target, found in answers.items() for output in found)
    file = OnnxFile(b"", flat_inputs(batch), outputs)
    tensors = tuple(batch.inputs[field][array] for field, array in file.inputs)
    return OnnxFile(_traced(Flat(network, file.inputs, outputs).eval(), tensors, file), file.inputs, outputs)


def _traced(module: nn.Module, tensors: tuple[Tensor, ...], file: OnnxFile) -> bytes:
    ins, outs = file.input_names(), file.output_names()
    arrays = set(ins)
    axes = {name: {0: "rows"} | ({1: "steps"} if f"{name}.length" in arrays else {}) for name in ins}
    for number, name in enumerate(name for name in ins if f"{name}.length" in arrays):
        axes[name][1] = f"steps{number}"
    axes |= {name: {0: "rows"} for name in outs}
    _know_more()
    with TemporaryDirectory(prefix="trueweight-onnx-") as folder, _quietly():
        path = Path(folder) / "network.onnx"
        try:
            torch.onnx.export(
                module, tensors, str(path), dynamo=False, input_names=ins, output_names=outs, dynamic_axes=axes,
                opset_version=OPSET,
            )  # fmt: skip
        except Exception as error:  # whatever it is that this exporter has no counterpart for
            raise _told(error) from error
        return path.read_bytes()


def _told(error: Exception) -> SpecError:
    first = str(error).strip().partition("\n")[0][:200]
    if "onnx is not installed" in first:
        return SpecError("writing ONNX files needs the onnx package", hint="pip install 'trueweight[onnx]'")
    return SpecError(f"something in the network has no counterpart in ONNX: {first}", where="onnx")


@contextlib.contextmanager
def _quietly() -> Any:
    """The exporter warns of every choice by size, and prints graphs; that sizes are free is checked afterwards."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _rms_norm(graph: Any, x: Any, shape: Any, weight: Any, eps: Any) -> Any:
    """x / sqrt(mean(x^2) + eps) * weight, over the last axes: has no operator of its own before opset 23."""
    from torch.onnx import symbolic_helper

    helper = cast(Any, symbolic_helper)
    count = len(helper._get_const(shape, "is", "normalized_shape"))
    given = None if helper._is_none(eps) else float(helper._get_const(eps, "f", "eps"))
    small = torch.tensor(torch.finfo(torch.float32).eps if given is None else given)
    axes = graph.op("Constant", value_t=torch.arange(-count, 0))
    mean = graph.op("ReduceMean", graph.op("Mul", x, x), axes, keepdims_i=1)
    root = graph.op("Sqrt", graph.op("Add", mean, graph.op("Constant", value_t=small)))
    scaled = graph.op("Div", x, root)
    return scaled if helper._is_none(weight) else graph.op("Mul", scaled, weight)


_KNOWN: Mapping[str, Callable[..., Any]] = {"aten::rms_norm": _rms_norm}
"""Operators that the exporter lacks."""


def _know_more() -> None:
    for name, symbolic in _KNOWN.items():
        cast(Any, torch.onnx).register_custom_op_symbolic(name, symbolic, OPSET)


def unflat(values: "list[Tensor] | tuple[Tensor, ...]", outputs: tuple[tuple[str, str], ...]) -> dict[str, Tensors]:
    """The inverse of what :class:`Flat` does to outputs."""
    found: dict[str, dict[str, Tensor]] = {}
    for (target, output), value in zip(outputs, values, strict=True):
        found.setdefault(target, {})[output] = value
    return cast(dict[str, Tensors], found)
