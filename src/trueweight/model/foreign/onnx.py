"""Models in ONNX files, run by onnxruntime (``pip install 'trueweight[onnx]'``).

How columns become inputs:

* one input for each column, called like it, of shape (N,) or (N, 1); or
* one input of shape (N, D), which gets the columns of numbers in their order.

How outputs become answers: a float output is taken for probabilities or numbers; a list of {class: probability}, as
skl2onnx writes it, says its classes itself; an output of whole numbers or texts beside it is the label, with which the
order of the columns is checked. With several targets, each needs an output that is called like it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trueweight.data.table import Table
from trueweight.errors import DataError, SpecError
from trueweight.model.foreign.outputs import Output, texts_of
from trueweight.model.foreign.rows import Rows

__all__ = ["OnnxModel"]

_TYPES = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(string)": np.object_,
}  # fmt: skip

BATCH = 4096
"""Rows asked about at once."""


class OnnxModel:
    """An ONNX file that can be asked.

    Args:
        path: The file. Weights that it keeps in other files must lie beside it.

    Raises:
        SpecError: onnxruntime is not installed, or the file is no model that it can run.
    """

    def __init__(self, path: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            hint = "pip install 'trueweight[onnx]'"
            raise SpecError("ONNX models are run by onnxruntime, which is not installed", hint=hint) from None
        if not path.is_file():
            raise SpecError("no such file", where=str(path), hint="check the name")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # its own warnings are for whoever made the model
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # it has a class of its own for each fault, under no common name
            told = " ".join(str(error).split())[:200]
            raise SpecError(f"onnxruntime cannot run it: {told}", where=str(path)) from None
        self.path = path

    def ask(self, rows: Rows, table: Table, targets: Sequence[str]) -> Mapping[str, Output]:
        """Outputs by target.

        Raises:
            DataError: The columns do not fit the model's inputs, or it has no output for a target.
        """
        pieces = [self._run(self._inputs(rows, piece)) for piece in table.slices(BATCH)]
        names = [one.name for one in self._session.get_outputs()]
        whole = {name: _joined([piece[place] for piece in pieces]) for place, name in enumerate(names)}
        if len(targets) == 1:
            return {targets[0]: self._output(whole)}
        if lost := [target for target in targets if target not in whole]:
            raise DataError(
                f"the model has no output called {lost[0]!r}", where=self.path.name,
                hint=f"with several targets each needs one; there is {', '.join(map(repr, names))}",
            )  # fmt: skip
        return {target: self._output({target: whole[target]}) for target in targets}

    def _run(self, inputs: Mapping[str, np.ndarray]) -> list[Any]:
        try:
            return list(self._session.run(None, inputs))
        except Exception as error:  # see above
            told = " ".join(str(error).split())[:300]
            raise DataError(f"the model failed: {told}", where=self.path.name) from error

    def _inputs(self, rows: Rows, table: Table) -> dict[str, np.ndarray]:
        inputs = self._session.get_inputs()
        columns = rows.arrays(table)
        if all(one.name in columns for one in inputs):
            return {one.name: self._one(columns[one.name], one) for one in inputs}
        if len(inputs) == 1 and len(inputs[0].shape) == 2:
            return {inputs[0].name: self._matrix(rows, table, inputs[0])}
        wanted = ", ".join(f"{one.name!r} {one.type} {tuple(one.shape)}" for one in inputs[:8])
        raise DataError(
            f"the columns do not fit the model's inputs: {wanted}", where=self.path.name,
            hint="it needs one input called like each column, or one of shape (rows, columns); rename the columns",
        )  # fmt: skip

    def _one(self, column: np.ndarray, wanted: Any) -> np.ndarray:
        kind = self._type(wanted)
        if kind is np.object_:
            values = np.array(["" if v is None else _text(v) for v in column], dtype=object)
        elif np.issubdtype(kind, np.floating):
            values = _as_floats(column, wanted.name).astype(kind)
        else:
            values = _as_floats(column, wanted.name)
            if not np.isfinite(values).all():
                raise DataError(f"column {wanted.name!r} has missing values, and the model takes {wanted.type}")
            values = values.astype(kind)
        return values[:, None] if len(wanted.shape) == 2 else values

    def _matrix(self, rows: Rows, table: Table, wanted: Any) -> np.ndarray:
        width = wanted.shape[1]
        if isinstance(width, int) and width != len(rows.names):
            named = ", ".join(map(repr, rows.names[:12])) + (", …" if len(rows.names) > 12 else "")
            raise DataError(
                f"the model's input {wanted.name!r} takes {width} columns, and there are {len(rows.names)}: {named}",
                where=self.path.name, hint="name those that it reads, in its order, with features",
            )  # fmt: skip
        kind = self._type(wanted)
        if kind is np.object_:
            texts = [[("" if v is None else _text(v)) for v in c] for c in rows.arrays(table).values()]
            return np.array(texts, dtype=object).T.reshape(len(table), len(rows.names))
        try:
            return rows.matrix(table).astype(kind)
        except ValueError as error:
            hint = "name the columns of numbers that it reads with features"
            raise DataError(str(error), where=self.path.name, hint=hint) from None

    def _type(self, wanted: Any) -> Any:
        if wanted.type not in _TYPES:
            raise DataError(f"the model's input {wanted.name!r} takes {wanted.type}", where=self.path.name)
        return _TYPES[wanted.type]

    def _output(self, whole: Mapping[str, Any]) -> Output:
        """The most telling of the outputs: named probabilities, then floats, then labels."""
        labels = next((v for v in whole.values() if not isinstance(v, list) and v.dtype.kind in "iuOUSb"), None)
        for values in whole.values():
            if isinstance(values, list):  # a {class: probability} for each row
                keys = list(values[0]) if values else []
                wide = np.array([[row[key] for key in keys] for row in values], dtype=np.float64)
                return Output(wide, tuple(texts_of(keys)), labels)
        floats = [v for v in whole.values() if v.dtype.kind == "f"]
        if floats:
            return Output(floats[0], None, labels)
        if labels is None:
            raise DataError(f"no output of {', '.join(map(repr, whole))} is an answer", where=self.path.name)
        return Output(labels)


def _joined(pieces: Sequence[Any]) -> Any:
    if isinstance(pieces[0], list):
        return [row for piece in pieces for row in piece]
    return np.concatenate([np.asarray(piece) for piece in pieces])


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _as_floats(column: np.ndarray, name: str) -> np.ndarray:
    if column.dtype.kind == "f":
        return column
    try:
        return np.array([np.nan if v is None else float(v) for v in column], dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"column {name!r} holds texts, and the model's input of that name takes numbers") from None
