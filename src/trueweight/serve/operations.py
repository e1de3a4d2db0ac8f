"""What ``/openapi.json`` says of each route: what it reads, what it answers, and by which statuses it refuses."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from trueweight.report.words import LANGUAGES
from trueweight.serve.hosted import Hosted
from trueweight.serve.kserve import example_v2
from trueweight.serve.limits import Limits
from trueweight.serve.rows import ARROW
from trueweight.serve.shapes import decoding_wishes, listed, refer

__all__ = ["OPERATIONS", "SCRIPT", "Operation", "Subject"]

Content = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a route is about."""

    limits: Limits
    hosted: Hosted | None = None
    """Of a route that names a model."""
    known: str = ""
    """As the document's schemas call it."""
    example: str = ""
    """A model that can be asked as OpenAI's interface asks; "" where there is none."""

    @property
    def model(self) -> Hosted:
        """The one that the route names."""
        assert self.hosted is not None
        return self.hosted


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    summary: str
    answers: Content
    """Of status 200, by media type."""
    body: Content | None = None
    parameters: tuple[Mapping[str, Any], ...] = ()
    refusals: tuple[str, ...] = ()
    """Statuses beside those of every route."""
    digest: bool = False
    """Whether a header says which model answered."""


BEGINNING = "The"
"""How the texts of examples begin."""

Described = Callable[[Subject], Operation]

_READ = ("400", "404", "408", "413", "415", "422", "429", "503")
"""Of routes with a body: any of them may be too long, too slow, or nothing that can be read."""

_HTML = {"text/html": {"schema": {"type": "string"}}}
_EVENTS = {"text/event-stream": {"schema": {"description": "Server-sent events; their data is JSON."}}}

_ROWS: Content = {
    "application/x-ndjson": {"schema": {"type": "string", "description": "One JSON object a line."}},
    "application/jsonl": {"schema": {"type": "string", "description": "The same by its other name."}},
    "text/csv": {"schema": {"type": "string", "description": "With a header line, as the command line reads it."}},
    ARROW: {"schema": {"type": "string", "format": "binary"}},
}
"""Rows beside JSON, in a body and in an answer."""


def _json(schema: Mapping[str, Any], **more: Any) -> dict[str, Mapping[str, Any]]:
    return {"application/json": {"schema": schema, **more}}


def _query(name: str, schema: Mapping[str, Any], about: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": about}


def _told(summary: str, shape: str, *refusals: str) -> Described:
    """A route that only tells, in a shape of the document."""
    return lambda _: Operation(summary, _json(refer(shape)), refusals=refusals)


def _file(kind: str) -> Described:
    return lambda _: Operation("A file of the page", {kind: {"schema": {"type": "string"}}})


def _counts(_: Subject) -> Operation:
    return Operation("Counts for Prometheus", {"text/plain": {"schema": {"type": "string"}}})


def _interface(_: Subject) -> Operation:
    return Operation("This description", _json({"type": "object"}))


def _docs(_: Subject) -> Operation:
    return Operation("The same as a page", _HTML)


def _model(_: Subject) -> Operation:
    schemas = {"properties": {"row": {"type": "object"}, "answer": {"type": "object"}}, "required": ["row", "answer"]}
    return Operation("What the model is", _json({"allOf": [refer("Model"), schemas]}), refusals=("404",))


def _report(_: Subject) -> Operation:
    language = _query("language", {"type": "string", "enum": list(LANGUAGES)}, "Of the page.")
    return Operation(
        "What was measured of it, as a page", _HTML, parameters=(language,), refusals=("400", "404", "429", "503")
    )


def _fields(about: Subject) -> dict[str, Any]:
    return {"type": "object", "required": ["rows"],
            "properties": {"rows": listed(refer(f"{about.known}.Row"), minItems=1)}}  # fmt: skip


def _example(about: Subject) -> dict[str, Any]:
    row = about.model.row_schema
    return {"rows": [row["example"] or dict.fromkeys(row["properties"], BEGINNING)]}


def _form(about: Subject) -> Content:
    """Fields of a form are texts or files."""
    names = about.model.row_schema["properties"]
    files = about.model.media
    parts = {name: {"type": "string", "format": "binary"} if name in files else {"type": "string"} for name in names}
    return {"multipart/form-data": {"schema": {"type": "object", "properties": parts}}}


def _timeout() -> Mapping[str, Any]:
    return _query("timeout", {"type": "number", "exclusiveMinimum": 0}, "Seconds that an answer is of use.")


def _predict(about: Subject) -> Operation:
    answer = {"model": {"type": "string"}, "digest": {"type": "string"},
              "predictions": listed(refer(f"{about.known}.Answer")), "notes": listed({"type": "string"})}  # fmt: skip
    answered = {"type": "object", "properties": answer, "required": ["model", "digest", "predictions"]}
    asked = (
        _query("stream", {"type": "boolean"}, "CSV or JSON Lines of any length, answered as they arrive."),
        _query("notes", {"type": "boolean"}, "Also say which cells could not be read."),
        _timeout(),
    )
    written = {kind: told for kind, told in _ROWS.items() if kind != "application/jsonl"}
    body = {**_json(_fields(about), example=_example(about)), **_ROWS, **_form(about)}
    refusals = (*_READ, "504")
    return Operation("Answer rows", {**_json(answered), **written}, body, asked, refusals, digest=True)


def _explain(about: Subject) -> Operation:
    names, fields = listed({"type": "string"}), _fields(about)
    wishes = {"methods": names, "target": {"type": "string"}, "keep": names}
    fields |= {"properties": fields["properties"] | wishes, "additionalProperties": False}
    body = {**_json(fields, example=_example(about)), **_ROWS, **_form(about)}
    said = "Say why rows are answered so"
    return Operation(said, _json(refer("Explanations")), body, (_timeout(),), (*_READ, "504"), digest=True)


def _write(about: Subject) -> Operation:
    fields = _fields(about)
    rows = fields["properties"]["rows"] | {"maxItems": 1}
    more = {
        "top_k": {"type": ["integer", "null"], "minimum": 0},
        "repetition_penalty": {"type": ["number", "null"], "exclusiveMinimum": 0},
        "target": {"type": ["string", "null"], "description": "Which text, where the model writes several."},
    }
    fields["properties"] = {"rows": rows, **decoding_wishes(about.limits), **more}
    said = "The text for one row, as it is written: events piece, end, error"
    body = _json(fields, example=_example(about))
    return Operation(said, _EVENTS, body, refusals=(*_READ, "504"), digest=True)


def _reload(_: Subject) -> Operation:
    said = "Answer with what the model's folder holds now"
    return Operation(said, _json(refer("Model")), refusals=("404", "409", "429", "503"), digest=True)


def _infer(about: Subject) -> Operation:
    body = _json(refer("Inference"), example=example_v2(*_example(about)["rows"]))
    said = "Answer rows, by the Open Inference Protocol"
    return Operation(said, _json(refer("Inferred")), body, refusals=(*_READ, "504"), digest=True)


def _completions(about: Subject, *, chat: bool) -> Operation:
    asked, answered = ("Chat", "Chatted") if chat else ("Completion", "Completed")
    prompt = {"messages": [{"role": "user", "content": BEGINNING}]} if chat else {"prompt": BEGINNING}
    example = {"model": about.example, **prompt, "max_tokens": 16}
    body = _json(refer(asked), **({"example": example} if about.example else {}))
    said = "A text that answers messages" if chat else "Texts that go on from prompts, or answer them"
    said += ", as OpenAI's interface asks; whole, or by stream as events"
    return Operation(said, {**_json(refer(answered)), **_EVENTS}, body, refusals=(*_READ, "504"), digest=True)


OPERATIONS: Mapping[tuple[str, str], Described] = {
    ("GET", "/"): _file("text/html"),
    ("GET", "/page.css"): _file("text/css"),
    ("GET", "/healthz"): _told("Whether the process runs", "Status"),
    ("GET", "/readyz"): _told("Whether it answers", "Status", "503"),
    ("GET", "/metrics"): _counts,
    ("GET", "/openapi.json"): _interface,
    ("GET", "/docs"): _docs,
    ("GET", "/v1/models"): _told("The models there are", "Models"),
    ("GET", "/v1/models/{name}"): _model,
    ("POST", "/v1/models/{name}/predict"): _predict,
    ("POST", "/v1/models/{name}/explain"): _explain,
    ("POST", "/v1/models/{name}/write"): _write,
    ("GET", "/v1/models/{name}/evidence"): _told("What was measured of the model", "Evidence", "404"),
    ("GET", "/v1/models/{name}/report"): _report,
    ("POST", "/v1/models/{name}/reload"): _reload,
    ("POST", "/v1/completions"): partial(_completions, chat=False),
    ("POST", "/v1/chat/completions"): partial(_completions, chat=True),
    ("GET", "/v2"): _told("The server, by the Open Inference Protocol", "Server"),
    ("GET", "/v2/health/live"): _told("As /healthz, by the Open Inference Protocol", "Status"),
    ("GET", "/v2/health/ready"): _told("As /readyz, by the Open Inference Protocol", "Status", "503"),
    ("GET", "/v2/models/{name}"): _told("What goes in and comes out of the model", "Metadata", "404"),
    ("GET", "/v2/models/{name}/ready"): _told("Whether the model answers", "Ready", "404"),
    ("POST", "/v2/models/{name}/infer"): _infer,
}
"""By method and path of the route. Scripts of the page are not named one by one."""

SCRIPT = _file("text/javascript")
