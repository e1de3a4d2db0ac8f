"""Routes that tell: health, models, evidence, the report, the interface, counts; and the page."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from trueweight.errors import TrueweightError
from trueweight.report.words import LANGUAGES
from trueweight.serve.counters import CONTENT_TYPE
from trueweight.serve.docs_page import docs_page
from trueweight.serve.doorkeeper import Guest
from trueweight.serve.exchange import Reply, Request, json_reply
from trueweight.serve.kserve import metadata_v2
from trueweight.serve.openapi import openapi
from trueweight.serve.refusals import Refused
from trueweight.serve.routes import Route

if TYPE_CHECKING:
    from trueweight.serve.app import Application, Asked

__all__ = ["Telling"]

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src blob: data:; "
    "connect-src 'self'; frame-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'self'"
_DOCS_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"

_HTML = "text/html; charset=utf-8"

_SCRIPTS = ("words.js", "page.js", "form.js", "answer.js", "many.js", "calls.js", "start.js")

_ASSETS = {
    "/": ("index.html", _HTML),
    **{f"/{name}": (name, "text/javascript; charset=utf-8") for name in _SCRIPTS},
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}


class Telling:
    """Handlers; see :class:`~trueweight.serve.answering.Answering`."""

    def __init__(self, app: "Application") -> None:
        self._app = app
        self._reports: dict[tuple[str, str], str] = {}

    def routes(self) -> list[Route]:
        """Ours."""
        return [
            *(Route("GET", path, "free", self.asset) for path in _ASSETS),
            Route("GET", "/healthz", "free", self.health),
            Route("GET", "/readyz", "free", self.readiness),
            Route("GET", "/v2/health/live", "free", self.health),
            Route("GET", "/v2/health/ready", "free", self.readiness),
            Route("GET", "/metrics", "any", self.metrics),
            Route("GET", "/openapi.json", "any", self.openapi),
            Route("GET", "/docs", "any", self.docs, page=True),
            Route("GET", "/v1/models", "any", self.models, theirs=True),
            Route("GET", "/v1/models/{name}", "any", self.model, theirs=True),
            Route("GET", "/v1/models/{name}/evidence", "evidence", self.evidence),
            Route("GET", "/v1/models/{name}/report", "evidence", self.report, page=True),
            Route("POST", "/v1/models/{name}/reload", "admin", self.reload),
            Route("GET", "/v2", "any", self.server),
            Route("GET", "/v2/models/{name}", "any", self.metadata),
            Route("GET", "/v2/models/{name}/ready", "any", self.model_ready),
        ]

    async def asset(self, request: Request, *_: object) -> Reply:
        """A file of the page; it tells nothing of the models."""
        name, kind = _ASSETS[request.path]
        policy = {"content-security-policy": _PAGE_POLICY, "cache-control": "no-cache"}
        return Reply(_file(name), kind=kind, headers=policy)

    async def health(self, *_: object) -> Reply:
        """The process runs."""
        return json_reply({"status": "ok"})

    async def readiness(self, *_: object) -> Reply:
        """It answers; while it is stopping it does not."""
        return json_reply({"status": "ready"}) if self._app.ready else json_reply({"status": "stopping"}, 503)

    async def metrics(self, *_: object) -> Reply:
        """For Prometheus."""
        self._app.counters.queued = self._app.queued()
        return Reply(self._app.counters.text().encode(), kind=CONTENT_TYPE)

    async def openapi(self, *_: object) -> Reply:
        """For programs."""
        return json_reply(self._described())

    def _described(self) -> dict[str, object]:
        from importlib.metadata import version

        app = self._app
        return openapi(app.models, app.routes.all, version("trueweight"), keys=app.keyed, limits=app.limits)

    async def docs(self, *_: object) -> Reply:
        """For people."""
        page = docs_page(self._described(), "/page.css")
        return Reply(page.encode(), kind=_HTML, headers={"content-security-policy": _DOCS_POLICY})

    async def models(self, *_: object) -> Reply:
        """All of them."""
        return json_reply({"object": "list", "data": [hosted.facts() for hosted in self._app.models.values()]})

    async def model(self, _: Request, __: Guest, name: str, *___: object) -> Reply:
        """One, with the schema of its rows."""
        hosted = self._app.hosted(name)
        return json_reply(hosted.facts() | {"row": hosted.row_schema, "answer": hosted.answer_schema})

    async def evidence(self, _: Request, __: Guest, name: str, *___: object) -> Reply:
        """What was measured when it was made; and here, when it was opened."""
        hosted = self._app.hosted(name)
        told = {"model": name, "digest": hosted.bundle.manifest.digest, "runtime": hosted.measured()}
        return json_reply(told | hosted.bundle.evidence.to_json())

    async def report(self, request: Request, _: Guest, name: str, *__: object) -> Reply:
        """As a page; ``?language=zh`` for Chinese."""
        hosted, language = self._app.hosted(name), request.query().get("language", "en")
        if language not in LANGUAGES:
            raise Refused(400, f"no report in {language[:20]!r}", hint=f"choose from {', '.join(LANGUAGES)}")
        key = (hosted.bundle.manifest.digest, language)
        if key not in self._reports:
            now = {one.bundle.manifest.digest for one in self._app.models.values()}
            self._reports = {known: page for known, page in self._reports.items() if known[0] in now}
            self._reports[key] = await self._app.slow.run(self._app.verbs.report, hosted.bundle, language)
        headers = {"content-security-policy": _REPORT_POLICY}
        return Reply(self._reports[key].encode(), kind=_HTML, headers=headers)

    async def reload(self, _: Request, __: Guest, name: str, asked: "Asked") -> Reply:
        """Answer with what the model's folder holds now."""
        asked.model = name
        if not self._app.alone:
            hint = "send SIGHUP to trueweight serve: each of them then opens the folders again"
            raise Refused(409, "several processes answer, and this request has reached one of them", hint=hint)
        try:
            fresh = await self._app.reload(name)
        except TrueweightError as error:  # told whole: whoever may swap models may know what is in their folder
            said = f"what lies there now cannot be served, the one that was answers on: {error.problem}"
            raise Refused(409, said, hint=error.hint) from error
        asked.digest = fresh.bundle.manifest.digest
        return json_reply(fresh.facts())

    async def server(self, *_: object) -> Reply:
        """Of the Open Inference Protocol."""
        from importlib.metadata import version

        return json_reply({"name": "trueweight", "version": version("trueweight"), "extensions": []})

    async def metadata(self, _: Request, __: Guest, name: str, *___: object) -> Reply:
        """As above."""
        return json_reply(metadata_v2(self._app.hosted(name)))

    async def model_ready(self, _: Request, __: Guest, name: str, *___: object) -> Reply:
        """As above."""
        return json_reply({"name": self._app.hosted(name).name, "ready": self._app.ready})


@cache
def _file(name: str) -> bytes:
    return (files("trueweight.serve") / "page" / name).read_bytes()
