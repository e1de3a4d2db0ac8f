"""The route that says why rows are answered so. It takes long, and must keep nobody waiting: explanations are made one
at a time in a thread of their own, within the time of a request, and no longer than somebody wants them."""

import asyncio
import threading
import time
from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from trueweight.progress import StoppedError, stopping
from trueweight.serve.answering import seconds_of
from trueweight.serve.doorkeeper import Guest
from trueweight.serve.exchange import JSON, Reply, Request, json_reply, unless_gone
from trueweight.serve.refusals import Refused
from trueweight.serve.routes import Route
from trueweight.serve.rows import read_rows

if TYPE_CHECKING:
    from trueweight.serve.app import Application, Asked

__all__ = ["Explaining"]


class Explaining:
    """Handlers; see :class:`~trueweight.serve.answering.Answering`."""

    def __init__(self, app: "Application") -> None:
        self._app = app

    def routes(self) -> list[Route]:
        """Ours."""
        return [Route("POST", "/v1/models/{name}/explain", "explain", self.explain)]

    async def explain(self, request: Request, guest: Guest, name: str, asked: "Asked") -> Reply:
        """Why rows are answered so: ``{"rows": [...], "methods": [...], "target": ..., "keep": [...]}``."""
        app, hosted = self._app, self._app.hosted(name)
        asked.model, asked.digest = name, hosted.bundle.manifest.digest
        seconds = seconds_of(request.query().get("timeout"), app.limits.seconds)
        body = await app.read(request)
        rows = read_rows(request.kind, body, hosted.bounds, hosted.reading, request.header(b"content-type"))
        if rows.count > app.limits.explained:
            raise Refused(413, f"{rows.count:,} rows are more than {app.limits.explained} to explain at once")
        wishes = _wishes(from_json(body)) if request.kind in ("", JSON) else {}
        app.charge(guest, rows.count)
        asked.rows = rows.count

        def explained() -> Any:
            return app.verbs.explain(hosted.bundle, hosted.table(rows), wishes)

        return json_reply(await self._within(request, seconds, explained))

    async def _within(self, request: Request, seconds: float, work: Callable[[], Any]) -> Any:
        """What the work gives, if it is done in time and whoever asked waits for it."""
        wanted = _Wanted(seconds)
        try:
            async with asyncio.timeout(seconds):
                return await unless_gone(request, self._app.reasons.run(wanted.done, work))
        except TimeoutError:
            raise _late(seconds) from None
        finally:
            wanted.over.set()


class _Wanted:
    """An explanation for as long as somebody wants it."""

    def __init__(self, seconds: float) -> None:
        self.over = threading.Event()
        self._seconds, self._end = seconds, time.monotonic() + seconds

    def done(self, work: Callable[[], Any]) -> Any:
        """The work, which ends early when nobody wants it any more. Runs in a thread."""
        try:
            with stopping(self._check):
                self._check()
                return work()
        except StoppedError:
            raise _late(self._seconds) from None

    def _check(self) -> None:
        if self.over.is_set() or time.monotonic() > self._end:
            raise StoppedError


def _late(seconds: float) -> Refused:
    hint = 'ask for fewer rows, for one of the methods ("methods": ["shapley"]) or for one "target"'
    return Refused(504, f"the explanation was not complete after {seconds:g} s", hint=hint)


def _wishes(asked: Any) -> dict[str, Any]:
    """What is said beside the rows.

    Raises:
        Refused: A wish that there is none of, or of the wrong kind; all of them at once.
    """
    if not isinstance(asked, dict) or not isinstance(asked.get("rows"), list):
        return {}  # the row itself
    wishes = {name: value for name, value in asked.items() if name != "rows" and value is not None}
    wrong = [said for name, value in wishes.items() if (said := _wrong_wish(name, value))]
    if wrong:
        raise Refused(422, "; ".join(wrong), hint="beside rows there may be methods and keep (lists), and target")
    return wishes


def _wrong_wish(name: str, value: Any) -> str:
    if name == "target":
        return "" if isinstance(value, str) else "target must be the name of a column"
    if name not in ("methods", "keep"):
        near = get_close_matches(name, ("methods", "keep", "target", "rows"), n=1)
        return f"nothing is called {name[:40]!r} here" + (f"; did you mean {near[0]!r}?" if near else "")
    listed = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return "" if listed else f"{name} must be a list of names"
