"""``/openapi.json``: every route that the server answers, told by the Signatures of the models that it serves."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from trueweight.bundle.asked import texts_table, written_target
from trueweight.errors import SpecError
from trueweight.serve.completing import MOST_PROMPTS
from trueweight.serve.exchange import DIGEST
from trueweight.serve.hosted import Hosted
from trueweight.serve.limits import Limits
from trueweight.serve.operations import OPERATIONS, SCRIPT, Operation, Subject
from trueweight.serve.routes import Route
from trueweight.serve.shapes import completion_shapes, refer, shared_shapes

__all__ = ["openapi"]

_WRITE = "/v1/models/{name}/write"
_COMPLETIONS = ("/v1/completions", "/v1/chat/completions")

_STATUSES = {
    "400": "A body or a parameter that cannot be read", "401": "No valid key",
    "403": "A key for other things, or a page of another site", "404": "No such model",
    "408": "The body did not arrive in time", "409": "What lies there cannot be served",
    "413": "Too much for one request", "415": "A kind of body that is not read",
    "422": "The rows do not fit the model", "429": "Too busy, or too much for this key: Retry-After says for how long",
    "503": "Not ready, or stopping", "504": "Took too long",
}  # fmt: skip

_KEYS = {
    "key": {"type": "http", "scheme": "bearer", "description": "As trueweight keys add printed it."},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "The same by another header."},
    "password": {"type": "http", "scheme": "basic", "description": "The same as a password, of any name."},
}
"""Ways to send a key."""


def openapi(
    models: Mapping[str, Hosted], routes: Sequence[Route], version: str, *, keys: bool, limits: Limits
) -> dict[str, Any]:
    """An OpenAPI 3.1 description. What no model here could ever answer is left out: writing, where none writes.

    Args:
        models: By name.
        routes: That the server answers.
        version: Of Trueweight.
        keys: Whether keys are needed.
        limits: Of the server.
    """
    known, prompted = _known(models), [name for name, hosted in models.items() if _prompted(hosted)]
    paths: dict[str, Any] = {}
    for route in routes:
        if route.path in _COMPLETIONS and not prompted:
            continue
        for path, subject in _places(route, models, known, Subject(limits, example=next(iter(prompted), ""))):
            told = _operation(route, OPERATIONS.get((route.method, route.path), SCRIPT)(subject), keys=keys)
            tag = _tag(route) if subject.hosted is None else subject.hosted.name
            told |= {"operationId": _operation_id(route, path), "tags": [tag]}
            paths.setdefault(path, {})[route.method.lower()] = told
    schemas = shared_shapes() | (completion_shapes(prompted, limits, MOST_PROMPTS) if prompted else {})
    for name, hosted in models.items():
        schemas |= {f"{known[name]}.Row": hosted.row_schema, f"{known[name]}.Answer": hosted.answer_schema}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Trueweight", "version": version, "description": "Answers of trained models."},
        "paths": paths,
        "components": {"schemas": schemas} | ({"securitySchemes": _KEYS} if keys else {}),
    }


def _places(
    route: Route, models: Mapping[str, Hosted], known: Mapping[str, str], whole: Subject
) -> Iterator[tuple[str, Subject]]:  # fmt: skip
    """A route's path, once for each model if it names one."""
    if "{name}" not in route.path:
        yield route.path, whole
        return
    for name, hosted in models.items():
        if route.path != _WRITE or "text" in hosted.facts()["targets"].values():
            yield route.path.replace("{name}", quote(name, safe="")), Subject(whole.limits, hosted, known[name])


def _prompted(hosted: Hosted) -> bool:
    """Whether a text alone is enough to ask it for one."""
    signature = hosted.bundle.signature
    try:
        written_target(signature)
        texts_table(signature, [""])
    except SpecError:
        return False
    return not hosted.media


def _known(models: Mapping[str, Hosted]) -> dict[str, str]:
    """Names of components may hold few characters; two models that would share one get numbers."""
    plain = {name: "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in name) for name in models}
    shared = list(plain.values())
    return {
        name: f"{word}-{place}" if shared.count(word) > 1 else word
        for place, (name, word) in enumerate(plain.items(), start=1)
    }


def _operation(route: Route, told: Operation, *, keys: bool) -> dict[str, Any]:
    free = route.scope == "free"
    refusals = {*told.refusals, "403", *(() if free or not keys else ("401",))}
    answered: dict[str, Any] = {"description": "OK", "content": told.answers}
    if told.digest:
        about = "Of the model that answered."
        answered["headers"] = {DIGEST: {"description": about, "schema": {"type": "string"}}}
    found: dict[str, Any] = {"summary": told.summary}
    if told.parameters:
        found["parameters"] = list(told.parameters)
    if told.body is not None:
        found["requestBody"] = {"required": True, "content": told.body}
    found["responses"] = {"200": answered} | {one: _refusal(one, theirs=route.theirs) for one in sorted(refusals)}
    if keys:
        # What a key must be for stands in the list, as OpenAPI 3.1 has it for keys that are no OAuth.
        roles = [] if route.scope == "any" else [route.scope]
        found["security"] = [] if free else [{way: roles} for way in _KEYS]
    return found


def _refusal(status: str, *, theirs: bool) -> dict[str, Any]:
    content = (
        {"application/json": {"schema": refer("Error")}}
        if theirs
        else {"application/problem+json": {"schema": refer("Problem")}}
    )
    told: dict[str, Any] = {"description": _STATUSES[status], "content": content}
    if status == "429":
        told["headers"] = {"retry-after": {"description": "Seconds.", "schema": {"type": "string"}}}
    return told


def _operation_id(route: Route, path: str) -> str:
    return "-".join([route.method.lower(), *(path.strip("/") or "page").split("/")])


def _tag(route: Route) -> str:
    if route.path in _COMPLETIONS:
        return "texts"
    if "health" in route.path or "ready" in route.path or route.path == "/metrics":
        return "health"
    return "page" if route.scope == "free" else "server"
