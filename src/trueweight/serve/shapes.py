"""Shapes of what is asked and answered whatever the model: JSON Schemas that ``/openapi.json`` refers to by name."""

from collections.abc import Mapping, Sequence
from typing import Any

from trueweight.serve.kserve import DATATYPES
from trueweight.serve.limits import Limits

__all__ = ["completion_shapes", "decoding_wishes", "listed", "refer", "shared_shapes"]

Shape = dict[str, Any]

_TEXT: Shape = {"type": "string"}
_WHOLE: Shape = {"type": "integer"}
_TRUTH: Shape = {"type": "boolean"}


def refer(name: str) -> dict[str, str]:
    """A schema of the document by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def listed(items: Mapping[str, Any], **more: Any) -> Shape:
    """A list of them."""
    return {"type": "array", "items": dict(items), **more}


def _object(properties: Mapping[str, Any], required: Sequence[str] = ()) -> Shape:
    return {"type": "object", "properties": dict(properties)} | ({"required": list(required)} if required else {})


def shared_shapes() -> dict[str, Shape]:
    """Those that are the same on every server."""
    return {**_refusals(), **_facts(), **_inference()}


def _refusals() -> dict[str, Shape]:
    problem = {"type": _TEXT, "title": _TEXT, "status": _WHOLE, "detail": _TEXT, "hint": _TEXT}
    error = {
        "message": _TEXT,
        "type": _TEXT,
        "param": {"type": ["string", "null"]},
        "code": {"type": ["string", "null"]},
    }
    return {
        "Problem": _object(problem, ["type", "title", "status", "detail"]),
        "Error": _object({"error": _object(error, list(error))}, ["error"]),
    }  # fmt: skip


def _facts() -> dict[str, Shape]:
    types = {"type": "object", "additionalProperties": _TEXT}
    model = {
        "id": _TEXT, "object": {"const": "model"}, "created": _WHOLE, "owned_by": _TEXT, "digest": _TEXT,
        "trueweight": _TEXT, "features": types, "targets": types, "runtime": _object({"name": _TEXT}, ["name"]),
    }  # fmt: skip
    models = {"object": {"const": "list"}, "data": listed(refer("Model"))}
    evidence = {"model": _TEXT, "digest": _TEXT, "runtime": {"type": ["object", "null"]}, "schema": _WHOLE,
                "entries": listed({"type": "object"})}  # fmt: skip
    told = {"schema": _WHOLE, "bundle": _TEXT, "data": _TEXT, "seed": _WHOLE,
            "explanations": listed(_object({"method": _TEXT, "status": _TEXT}, ["method", "status"]))}  # fmt: skip
    return {
        "Model": _object(model, list(model)),
        "Models": _object(models, list(models)),
        "Evidence": _object(evidence, list(evidence)),
        "Explanations": _object(told, list(told)),
        "Status": _object({"status": _TEXT}, ["status"]),
    }


def _inference() -> dict[str, Shape]:
    """Of the Open Inference Protocol."""
    about = {"name": _TEXT, "shape": listed(_WHOLE), "datatype": {"type": "string", "enum": list(DATATYPES)}}
    wanted = about | {"shape": listed({"type": "integer", "minimum": 0}, minItems=1)}
    data = {"type": "array", "description": "Flat or nested; the first axis counts rows."}
    tensor, names = _object(about, list(about)), list(about)
    ready = {"name": _TEXT, "ready": _TRUTH}
    server = {"name": _TEXT, "version": _TEXT, "extensions": listed(_TEXT)}
    known = {
        "name": _TEXT,
        "versions": listed(_TEXT),
        "platform": _TEXT,
        "inputs": listed(tensor),
        "outputs": listed(tensor),
    }
    asked = {"id": _TEXT, "inputs": listed(_object(wanted | {"data": data}, [*names, "data"]), minItems=1)}
    outputs = listed(_object(about | {"data": {"type": "array"}}, [*names, "data"]))
    answered = {"model_name": _TEXT, "model_version": _TEXT, "id": _TEXT, "outputs": outputs}
    return {
        "Server": _object(server, list(server)),
        "Metadata": _object(known, list(known)),
        "Ready": _object(ready, list(ready)),
        "Inference": _object(asked, ["inputs"]),
        "Inferred": _object(answered, ["model_name", "model_version", "outputs"]),
    }


def decoding_wishes(limits: Limits) -> dict[str, Shape]:
    """How a text is to be written, under the names that our own routes and OpenAI's share.

    Args:
        limits: Of the server: most tokens and ends of one text.
    """
    ends = {"minLength": 1, "type": "string"}
    return {
        "temperature": {"type": ["number", "null"], "minimum": 0, "description": "0 takes the likeliest token."},
        "top_p": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 1,
                  "description": "Draw from the likeliest tokens that together have this probability."},
        "max_tokens": {"type": ["integer", "null"], "minimum": 1, "maximum": limits.tokens},
        "stop": {"oneOf": [ends, listed(ends, maxItems=limits.stops), {"type": "null"}],
                 "description": "Texts before which an answer ends."},
        "seed": {"type": ["integer", "null"], "description": "Of whatever is drawn."},
    }  # fmt: skip


def completion_shapes(writers: Sequence[str], limits: Limits, prompts: int) -> dict[str, Shape]:
    """Of OpenAI's interface.

    Args:
        writers: Models that can be asked so.
        limits: Of the server.
        prompts: Most texts of one request.
    """
    n = {"type": ["integer", "null"], "minimum": 1, "maximum": limits.choices}
    options = _object({"include_usage": {"type": "boolean"}})
    options |= {"type": ["object", "null"], "description": "Of streams: whether what it took is told at its end."}
    asked = {"model": {"type": "string", "enum": list(writers)}, **decoding_wishes(limits), "n": n,
             "stream": {"type": ["boolean", "null"]}, "stream_options": options}  # fmt: skip
    prompt = {"oneOf": [_TEXT, listed(_TEXT, minItems=1, maxItems=prompts)]}
    content = {"oneOf": [_TEXT, listed(_object({"type": _TEXT, "text": _TEXT}))]}
    message = _object({"role": _TEXT, "content": content}, ["content"])
    said = _object({"role": {"const": "assistant"}, "content": _TEXT}, ["role", "content"])
    spoken = {"messages": listed(message, minItems=1), "max_completion_tokens": asked["max_tokens"]}
    return {
        "Completion": _object(asked | {"prompt": prompt}, ["model"]),
        "Completed": _completed("text_completion", {"text": _TEXT, "logprobs": {"type": "null"}}),
        "Chat": _object(asked | spoken, ["model", "messages"]),
        "Chatted": _completed("chat.completion", {"message": said}),
    }


def _completed(kind: str, said: Mapping[str, Any]) -> Shape:
    finish = {"type": "string", "enum": ["stop", "length"]}
    choice = {"index": _WHOLE, **said, "finish_reason": finish}
    usage = dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), _WHOLE)
    told = {
        "id": _TEXT, "object": {"const": kind}, "created": _WHOLE, "model": _TEXT,
        "choices": listed(_object(choice, list(choice))), "usage": _object(usage, list(usage)),
    }  # fmt: skip
    return _object(told, list(told))
