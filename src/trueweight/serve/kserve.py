"""The Open Inference Protocol (KServe V2): columns as named tensors, so that generic clients can ask our models."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic_core import to_json

from trueweight.serve.hosted import Columns, Hosted
from trueweight.serve.refusals import Refused
from trueweight.serve.rows import Rows

__all__ = ["DATATYPES", "answers_v2", "example_v2", "metadata_v2", "rows_v2"]

_TYPES: Mapping[str, pa.DataType] = {
    "BOOL": pa.bool_(), "UINT8": pa.uint8(), "UINT16": pa.uint16(), "UINT32": pa.uint32(), "UINT64": pa.uint64(),
    "INT8": pa.int8(), "INT16": pa.int16(), "INT32": pa.int32(), "INT64": pa.int64(), "FP16": pa.float32(),
    "FP32": pa.float32(), "FP64": pa.float64(), "BYTES": pa.string(),
}  # fmt: skip
"""Their names and ours."""

DATATYPES = tuple(_TYPES)

_AXES = 8
"""Of one input: a list of lists is a type of its own for each depth."""

_COLUMN_TYPES = {"number": "FP64", "vector": "FP64", "timeseries": "FP64"}


def rows_v2(asked: Any) -> Rows:
    """Rows from an inference request: each input is a column, its first axis counts rows.

    Raises:
        Refused: It is none, or its inputs do not fit together.
    """
    inputs = asked.get("inputs") if isinstance(asked, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise Refused(422, "an inference request needs a list of inputs")
    columns = dict(map(_column, inputs))
    if len({len(column) for column in columns.values()}) > 1:
        raise Refused(422, "the inputs differ in their number of rows")
    table = pa.table(columns)
    return Rows(len(table), table.schema, table=table)


def _column(one: Any) -> tuple[str, pa.Array]:
    try:
        name, shape, kind, data = str(one["name"]), [int(side) for side in one["shape"]], one["datatype"], one["data"]
        if kind not in _TYPES:
            raise Refused(422, f"input {name[:60]!r}: no datatype {str(kind)[:20]!r}", hint=", ".join(_TYPES))
        flat = pa.array(_flat(data), _TYPES[kind])
        if not 0 < len(shape) <= _AXES or min(shape) < 0 or math.prod(shape) != len(flat):
            raise Refused(422, f"input {name[:60]!r}: {len(flat):,} values do not fill the shape {str(shape)[:80]}")
    except (KeyError, TypeError, ValueError, OverflowError, pa.ArrowException):
        raise Refused(422, "each input needs name, shape, datatype, and data of that type") from None
    if 0 in shape:  # with any other sides, which may be more than a type can say
        raise Refused(422, f"input {name[:60]!r}: an axis of length 0")
    if shape[1:] in ([], [1]):
        return name, flat
    for side in reversed(shape[1:]):
        flat = pa.FixedSizeListArray.from_arrays(flat, side)
    return name, flat.cast(_lists(_TYPES[kind], len(shape) - 1))


def _lists(kind: pa.DataType, depth: int) -> pa.DataType:
    return kind if depth == 0 else pa.list_(_lists(kind, depth - 1))


def _flat(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise TypeError("not a list")
    return [inner for value in data for inner in (_flat(value) if isinstance(value, list) else [value])]


def answers_v2(hosted: Hosted, columns: Columns, number: Any) -> dict[str, Any]:
    """The inference response."""
    outputs = [_output(name, values) for name, values in columns.items()]
    told = {"model_name": hosted.name, "model_version": _version(hosted), "outputs": outputs}
    return told | ({"id": number} if isinstance(number, str) else {})


def _version(hosted: Hosted) -> str:
    """The bundle's digest, as much of it as tells two bundles apart."""
    return hosted.bundle.manifest.digest.removeprefix("sha256:")[:12]


def _output(name: str, values: np.ndarray) -> dict[str, Any]:
    kind = {"f": "FP64", "i": "INT64", "u": "INT64", "b": "BOOL"}.get(values.dtype.kind, "BYTES")
    data = values.tolist()
    if kind == "BYTES":
        data = [one if isinstance(one, str) else _words(one) for one in data]
    shape = list(values.shape) if values.ndim > 1 else [len(data)]
    return {"name": name, "shape": shape, "datatype": kind, "data": _flat(data)}


def example_v2(row: Mapping[str, Any]) -> dict[str, Any]:
    """An inference request for one row; columns that no tensor holds are left out, which counts as missing."""
    inputs = [_input(name, value) for name, value in row.items() if not isinstance(value, dict | type(None))]
    return {"id": "1", "inputs": inputs}


def _input(name: str, value: Any) -> dict[str, Any]:
    data = value if isinstance(value, list) else [value]
    shape = [1, len(data)] if isinstance(value, list) else [1]
    kinds = {type(one) for one in data}
    if kinds == {bool}:
        return {"name": name, "shape": shape, "datatype": "BOOL", "data": data}
    if kinds and kinds <= {int, float}:
        return {"name": name, "shape": shape, "datatype": "FP64", "data": [float(one) for one in data]}
    return {"name": name, "shape": shape, "datatype": "BYTES", "data": [str(one) for one in data]}


def _words(value: Any) -> str:
    return "" if value is None else to_json(value, inf_nan_mode="null").decode()


def metadata_v2(hosted: Hosted) -> dict[str, Any]:
    """Names, types and shapes of what goes in and comes out."""
    features = hosted.bundle.signature.features()
    inputs = [{"name": f.name, "datatype": _COLUMN_TYPES.get(f.type, "BYTES"), "shape": [-1]} for f in features]
    fields = hosted.answer_schema["properties"]
    outputs = [
        {"name": name, "datatype": "FP64" if "number" in field["type"] else "BYTES", "shape": [-1]}
        for name, field in fields.items()
    ]
    return {
        "name": hosted.name, "versions": [_version(hosted)], "platform": "trueweight",
        "inputs": inputs, "outputs": outputs,
    }  # fmt: skip
