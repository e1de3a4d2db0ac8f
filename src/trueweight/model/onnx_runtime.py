"""What runs a network's ONNX file for a leaf, by onnxruntime (``pip install 'trueweight[onnx]'``)."""

from collections.abc import Iterator, Mapping
from threading import Lock
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from trueweight.data.batch import Batch
from trueweight.errors import SpecError, TrueweightError, VerifyError
from trueweight.model.network import Network
from trueweight.model.onnx_file import OnnxFile, unflat, write_onnx
from trueweight.model.padding import first_batch, with_rows, with_steps
from trueweight.nn.decoding import GREEDY, Decoding
from trueweight.nn.encoding import Tensors

__all__ = ["OnnxRuntime", "onnx_session"]

_RELATIVE, _ABSOLUTE = 1e-3, 1e-4
"""Of outputs for other sizes than the example's: a wrong mask or a size that was taken for a constant is far beyond.
What answers may differ by at most is judged by golden rows, in their own units."""


_FEW, _LIGHT = 16, 2**22
"""Rows, and bytes of a file, that one thread may be quicker with than several that have to be woken."""
_TRIES, _CLEARLY = 20, 0.9


def onnx_session(content: bytes, threads: int | None = None) -> Any:
    """An open file.

    Args:
        content: Of the file.
        threads: That run it; by default as many as torch has.

    Raises:
        SpecError: onnxruntime is not installed, or cannot run it.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        hint = "pip install 'trueweight[onnx]'"
        raise SpecError("ONNX files are run by onnxruntime, which is not installed", hint=hint) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to others
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common ancestor
        first = str(error).strip().partition("\n")[0][:200]
        raise SpecError(f"onnxruntime cannot run the network's file: {first}", where="onnx") from error


class _Opened:
    """A file that is run, and what it calls things: looked up once, since a row of a table is answered in less time."""

    def __init__(self, file: OnnxFile, threads: int | None = None) -> None:
        self.file, self._session = file, onnx_session(file.content, threads)
        known = {one.name for one in self._session.get_inputs()}
        named = zip(file.input_names(), file.inputs, strict=True)
        self._inputs = [(name, field, array) for name, (field, array) in named if name in known]
        self._outputs = file.output_names()

    def __call__(self, batch: Batch) -> dict[str, Tensors]:
        """Answer."""
        given = {name: batch.inputs[field][array].numpy() for name, field, array in self._inputs}
        values: list[Tensor] = [torch.from_numpy(value) for value in self._session.run(self._outputs, given)]
        return unflat(values, self.file.outputs)


class OnnxRuntime:
    """Writes the file when it is first asked, unless it is given one.

    Args:
        network: In evaluation mode; answers where there is not one row, and says what the file must answer.
        file: Its file. Then the network's weights are never looked at.
    """

    def __init__(self, network: Network, file: OnnxFile | None = None) -> None:
        self._network, self._lock = network, Lock()
        self._opened = None if file is None else _Opened(file)
        self._alone: _Opened | None = None
        """Answers a few rows by one thread, where that is quicker."""

    @property
    def file(self) -> OnnxFile:
        """What runs.

        Raises:
            SpecError: Nothing was asked yet.
        """
        if self._opened is None:
            raise SpecError("the network's file is not written yet", where="onnx", hint="ask it something first")
        return self._opened.file

    @property
    def ready(self) -> bool:
        """Whether there is a file."""
        return self._opened is not None

    def __call__(self, batch: Batch, how: Decoding, noise: Mapping[str, Tensors]) -> Mapping[str, Tensors]:
        """Answer by onnxruntime."""
        if not len(batch.rows):
            with torch.inference_mode():
                return self._network.answer(batch, how, noise)
        opened = self._opened or self._made(batch)
        return (self._alone if self._alone is not None and len(batch.rows) <= _FEW else opened)(batch)

    def _made(self, batch: Batch) -> _Opened:
        with self._lock:
            if self._opened is None:
                opened = _Opened(write_onnx(self._network, _example(batch)))
                for other in _others(batch):
                    self._compare(other, opened)
                self._opened, self._alone = opened, _quicker_alone(opened, first_batch(batch, 1))
            return self._opened

    def _compare(self, batch: Batch, opened: _Opened) -> None:
        try:
            with torch.inference_mode():
                wanted = self._network.answer(batch, GREEDY, {})
        except (RuntimeError, IndexError, TrueweightError):  # rows longer than this network takes
            return
        found = opened(batch)
        for target, outputs in wanted.items():
            for output, tensor in outputs.items():
                ours = found[target][output]
                if ours.shape != tensor.shape or not torch.allclose(
                    ours.to(tensor.dtype), tensor, _RELATIVE, _ABSOLUTE
                ):
                    rows = f"{len(batch.rows)} row{'s' * (len(batch.rows) > 1)}"
                    raise VerifyError(
                        f"the network's ONNX file answers {rows} of another length differently from the network",
                        where=f"{target}.{output}", hint="this network cannot be exported; run it as it is (eager)",
                    )  # fmt: skip


def _quicker_alone(opened: _Opened, one: Batch) -> _Opened | None:
    """The same file for one thread, if a row is answered sooner so: to wake another takes as long as a small network.

    Args:
        opened: Run by as many threads as there may be.
        one: A row.
    """
    if torch.get_num_threads() == 1 or len(opened.file.content) > _LIGHT:
        return None
    alone = _Opened(opened.file, 1)
    best = {opened: float("inf"), alone: float("inf")}
    for _ in range(_TRIES):  # by turns, and the best of each: others use the machine too
        for way, least in best.items():
            start = perf_counter()
            way(one)
            best[way] = min(least, perf_counter() - start)
    return alone if best[alone] < _CLEARLY * best[opened] else None


def _example(batch: Batch) -> Batch:
    """Two rows or more, and as many steps: of an axis of 1 the exporter may think that it always has 1."""
    batch = with_rows(batch, 2)
    return with_steps(batch, steps + 1) if (steps := _steps(batch)) == 1 else batch


def _steps(batch: Batch) -> int:
    ragged = [t[name].shape[1] for t in batch.inputs.values() for name in t if f"{name}.length" in t]
    return max(ragged, default=0)


def _others(batch: Batch) -> Iterator[Batch]:
    """Other numbers of rows and steps than the example's."""
    several = with_rows(batch, 3)
    one = first_batch(several, 1)
    yield from (one, with_rows(several, len(several.rows) + 2))
    if steps := _steps(batch):
        yield with_steps(several, 2 * steps + 1)
        yield with_steps(one, 1)
