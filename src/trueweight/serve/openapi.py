"""``/openapi.json``, made from the Signatures of the models that are served, and the same as a page without scripts."""

from collections.abc import Mapping
from html import escape
from typing import Any

from trueweight.report.words import LANGUAGES
from trueweight.serve.hosted import Hosted

__all__ = ["docs_page", "openapi"]

_BODIES = {
    "application/x-ndjson": {"schema": {"type": "string", "description": "One JSON object a line."}},
    "text/csv": {"schema": {"type": "string", "description": "With a header line, as the command line reads it."}},
    "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
}


def openapi(models: Mapping[str, Hosted], version: str, *, keys: bool) -> dict[str, Any]:
    """An OpenAPI 3.1 description.

    Args:
        models: By name.
        version: Of Trueweight.
        keys: Whether keys are needed.
    """
    paths: dict[str, Any] = {
        "/healthz": {"get": _plain("Whether the process runs", "health", free=True)},
        "/readyz": {"get": _plain("Whether it answers", "health", free=True) | {"responses": _answers("503")}},
        "/metrics": {"get": _plain("Counts for Prometheus", "health")},
        "/v1/models": {"get": _plain("The models there are", "models")},
    }
    for name, hosted in models.items():
        paths |= _paths(name, hosted)
    told: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Trueweight", "version": version, "description": "Answers of trained models."},
        "paths": paths,
        "components": {"schemas": _schemas(models)},
    }
    if keys:
        told["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        told["security"] = [{"key": []}]
    return told


def _schemas(models: Mapping[str, Hosted]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Problem": {
            "type": "object", "required": ["title", "status"],
            "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
                           "detail": {"type": "string"}, "hint": {"type": "string"}},
        }
    }  # fmt: skip
    for name, hosted in models.items():
        found[f"{_safe(name)}.Row"] = hosted.row_schema
        found[f"{_safe(name)}.Answer"] = hosted.answer_schema
    return found


def _safe(name: str) -> str:
    """Names of components may hold few characters."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name)


def _refer(name: str, what: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{_safe(name)}.{what}"}


def _plain(summary: str, tag: str, *, free: bool = False) -> dict[str, Any]:
    told: dict[str, Any] = {"summary": summary, "tags": [tag], "responses": _answers()}
    return told | ({"security": []} if free else {})


def _answers(*more: str) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    statuses = ("400", "401", "403", "404", "405", "408", "413", "415", "422", "429", "504", *more)
    return {"200": {"description": "OK"}} | {s: {"description": "Refused", "content": problem} for s in statuses}


def _parameter(name: str, schema: Mapping[str, Any], about: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": about}


_PREDICT = [
    _parameter("stream", {"type": "boolean"}, "CSV or JSON Lines of any length, answered as they arrive."),
    _parameter("notes", {"type": "boolean"}, "Also say which cells could not be read."),
    _parameter("timeout", {"type": "number", "exclusiveMinimum": 0}, "Seconds that an answer is of use."),
]
_REPORT = [_parameter("language", {"type": "string", "enum": list(LANGUAGES)}, "Of the page.")]


def _with_wishes(rows: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    """What explain reads: rows, and beside them, in JSON, what is wished."""
    names = {"type": "array", "items": {"type": "string"}}
    wishes = {"methods": names, "target": {"type": "string"}, "keep": names}
    schema = {**rows, "properties": {**rows["properties"], **wishes}, "additionalProperties": False}
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}, **_BODIES}}


def _paths(name: str, hosted: Hosted) -> dict[str, Any]:
    from urllib.parse import quote

    at = f"/v1/models/{quote(name, safe='')}"
    row, answer = _refer(name, "Row"), _refer(name, "Answer")
    rows = {
        "type": "object",
        "required": ["rows"],
        "properties": {"rows": {"type": "array", "minItems": 1, "items": row}},
    }
    example = {"rows": [hosted.row_schema["example"]]}
    body = {"required": True, "content": {"application/json": {"schema": rows, "example": example}, **_BODIES}}
    answers = {"type": "object", "properties": {"model": {"type": "string"}, "digest": {"type": "string"},
               "predictions": {"type": "array", "items": answer}}}  # fmt: skip
    predict = _answers()
    predict["200"] = {"description": "One answer for each row", "content": {"application/json": {"schema": answers}}}
    asked = {"tags": [name], "requestBody": body}
    explained = {"tags": [name], "requestBody": _with_wishes(rows, example)}
    return (_writes(at, name, body) if "text" in hosted.facts()["targets"].values() else {}) | {
        at: {"get": _plain("What the model is", name)},
        f"{at}/predict": {
            "post": {"summary": "Answer rows", **asked, "parameters": _PREDICT, "responses": predict}
        },
        f"{at}/explain": {
            "post": {"summary": "Say why rows are answered so", **explained, "responses": _answers()}
        },
        f"{at}/evidence": {"get": _plain("What was measured of the model", name)},
        f"{at}/report": {"get": _plain("The same as a page", name) | {"parameters": _REPORT}},
        f"/v2/models/{quote(name, safe='')}/infer": {
            "post": {
                "summary": "Answer rows, by the Open Inference Protocol", "tags": [name],
                "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
                "responses": _answers(),
            }
        },
    }  # fmt: skip


def docs_page(described: Mapping[str, Any], style: str) -> str:
    """The description as one page that loads nothing and runs nothing."""
    rows = []
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            rows.append(
                f"<section><h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
                f"<p>{escape(told['summary'])}</p>{_asked(told)}</section>"
            )
    fields = "".join(
        f"<section><h2>{escape(name)}</h2>{_fields(schema)}</section>"
        for name, schema in described["components"]["schemas"].items()
        if name != "Problem"
    )
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        "<meta name=color-scheme content='light dark'>"
        f"<title>Trueweight: the interface</title><link rel=stylesheet href='{style}'></head><body><main class=docs>"
        f"<h1>The interface</h1><p>The same for programs: <a href=/openapi.json>openapi.json</a>. "
        f"<a href=/>Try the models.</a></p>{''.join(rows)}{fields}</main></body></html>"
    )


def _writes(at: str, name: str, body: Mapping[str, Any]) -> dict[str, Any]:
    one = {"required": True, "content": {"application/json": body["content"]["application/json"]}}
    told = _answers()
    told["200"] = {"description": "Events: piece, end, error", "content": {"text/event-stream": {}}}
    return {f"{at}/write": {"post": {
        "summary": "The text for one row, as it is written", "tags": [name], "requestBody": one, "responses": told,
    }}}  # fmt: skip


def _asked(told: Mapping[str, Any]) -> str:
    content = told.get("requestBody", {}).get("content", {})
    example = content.get("application/json", {}).get("example")
    if example is None:
        return ""
    from pydantic_core import to_json

    kinds = ", ".join(map(escape, content))
    shown = to_json(example, indent=1).decode()
    if len(shown) > 4000:
        shown = shown[:4000] + " …"
    return f"<p>Bodies: {kinds}</p><pre>{escape(shown)}</pre>"


def _fields(schema: Mapping[str, Any]) -> str:
    lines = []
    for name, field in schema.get("properties", {}).items():
        kind = field.get("type", "")
        cells = (
            field.get("x-type", ""),
            ", ".join(kind) if isinstance(kind, list) else kind,
            field.get("description", ""),
        )
        shown = "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
        lines.append(f"<tr><th scope=row>{escape(name)}</th>{shown}</tr>")
    head = "<thead><tr><th>name<th>column type<th>JSON<th></tr></thead>"
    return f"<table>{head}<tbody>{''.join(lines)}</tbody></table>"
