"""What a request may hold, told by the Signature: JSON Schema (2020-12) of a row and an answer, and an example."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from trueweight.bundle.bundle import Bundle
from trueweight.data.reading import column_part
from trueweight.data.signature import ColumnFacts, Signature
from trueweight.data.table import Table
from trueweight.seeds import stream

__all__ = ["answer_schema", "example_row", "field_of", "row_schema"]

_MOST_LEVELS = 200

_MISSING = "A missing value is null, or the column is left out."

Described = Callable[[Mapping[str, Any]], dict[str, Any]]


def _number(learnt: Mapping[str, Any]) -> dict[str, Any]:
    told = {"type": ["number", "string", "null"]}
    return told | ({"x-integer": True} if learnt.get("integer") else {})


def _levels(learnt: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": ["string", "number", "boolean", "null"], "examples": list(learnt.get("levels", ()))[:_MOST_LEVELS]}


def _set(learnt: Mapping[str, Any]) -> dict[str, Any]:
    levels = list(learnt.get("levels", ()))[:_MOST_LEVELS]
    return {"type": ["array", "string", "null"], "items": {"type": ["string", "number"]}, "x-levels": levels}


def _file(kind: str) -> Described:
    def described(_: Mapping[str, Any]) -> dict[str, Any]:
        about = f"The {kind}'s bytes as a data: address in base64; paths and web addresses are not followed."
        return {"type": ["string", "null"], "description": f"{about} {_MISSING}", "contentEncoding": "base64"}

    return described


def _anything(_: Mapping[str, Any]) -> dict[str, Any]:
    return {}


_KINDS: Mapping[str, Described] = {
    "number": _number,
    "binary": _levels,
    "category": _levels,
    "set": _set,
    "date": lambda _: {"type": ["string", "number", "null"], "description": f"ISO 8601, or as in training. {_MISSING}"},
    "text": lambda _: {"type": ["string", "null"]},
    "vector": lambda _: {"type": ["array", "string", "null"], "items": {"type": "number"}},
    "timeseries": lambda _: {"type": ["array", "string", "null"]},
    "image": _file("picture"),
    "audio": _file("sound"),
}


def field_of(facts: ColumnFacts, example: Any) -> dict[str, Any]:
    """JSON Schema of one cell. ``x-type`` is the column's type, which forms are made by."""
    described = _KINDS.get(facts.type, _anything)(facts.learnt)
    unit = facts.spec.get("unit")
    told = {"title": facts.name, "description": _MISSING, **described, "x-type": facts.type}
    if unit:
        told["x-unit"] = unit
    if example is not None:
        told["example"] = example
    return told


def row_schema(signature: Signature) -> dict[str, Any]:
    """JSON Schema of one row: its features, none of them required; other columns are not looked at."""
    example = example_row(signature)
    fields = {facts.name: field_of(facts, example[facts.name]) for facts in signature.features()}
    if not fields:  # a language model reads what it is to go on with from the column that it writes
        begun = "How the text begins; the model goes on from there."
        texts = [facts for facts in signature.targets() if facts.type == "text"]
        fields = {facts.name: field_of(facts, None) | {"description": begun} for facts in texts}
    told: dict[str, Any] = {"type": "object", "properties": fields, "additionalProperties": True, "example": example}
    if fields:
        told["minProperties"] = 1
    return told


def example_row(signature: Signature) -> dict[str, Any]:
    """A row that nobody has ever seen, drawn from what training taught; plain values for JSON."""
    rng, row = stream(0, "show"), {}
    for facts in signature.features():
        part: Any = column_part(facts)
        drawn = part.synthetic(facts.learnt, rng, 8).drop_null()
        row[facts.name] = _plain(drawn[0].as_py(), facts) if len(drawn) else None
    return row


def _plain(value: Any, facts: ColumnFacts) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and facts.learnt.get("integer") else value
    if isinstance(value, str) and facts.type == "number":
        try:
            return json.loads(value)
        except ValueError:
            return value
    if value is None or isinstance(value, bool | int | str | list | dict):
        return value
    return None if isinstance(value, bytes) else str(value)


def answer_schema(bundle: Bundle) -> dict[str, Any]:
    """JSON Schema of one answer, told by the answer to the made-up row."""
    row = example_row(bundle.signature)
    table = Table.of({name: [value] for name, value in row.items()}) if row else Table.of({"row": [0]})
    found = {name: values.tolist()[0] for name, values in bundle.predict_columns(table).items()}
    fields = {name: _kind_of(value) | _meaning(bundle, name) for name, value in found.items()}
    return {"type": "object", "properties": fields, "required": list(fields), "example": _finite(found)}


def _meaning(bundle: Bundle, name: str) -> dict[str, Any]:
    """What else is known of a column of answers: type, unit and levels of a target, what its interval promises."""
    told: dict[str, Any] = {}
    conformal = bundle.resolved.evaluate.conformal
    for facts in bundle.signature.targets():
        if name == facts.name:
            told |= {"x-type": facts.type}
            if unit := facts.spec.get("unit"):
                told["x-unit"] = unit
            if facts.type == "binary":
                told["x-levels"] = list(facts.learnt.get("classes", ()))
        elif conformal is not None and name in (f"{facts.name}.{end}" for end in ("low", "high", "set")):
            told["x-coverage"] = conformal.coverage
    return told


def _kind_of(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int | float):
        return {"type": ["number", "null"]}
    return {"type": ["array", "null"]} if isinstance(value, list) else {"type": ["string", "null"]}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
