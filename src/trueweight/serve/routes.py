"""Which paths there are, who may ask them, and which part of the path names a model."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import unquote

from trueweight.serve.exchange import Reply
from trueweight.serve.refusals import Refused

__all__ = ["Route", "Routes"]

Handler = Callable[..., Awaitable[Reply]]

_REMEMBERED = 256
"""Paths that are found by a look; and how long such may be. Whoever asks for made-up ones fills no memory."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    method: str
    path: str
    """``{name}`` stands for one piece of it."""
    scope: str
    """What a key must be for: one of ``keys.SCOPES``, "any", or "free" for everybody."""
    handler: Handler
    page: bool = False
    """Looked at with a browser, which can be asked for a key by Basic authentication."""
    theirs: bool = False
    """Of OpenAI's interface, whose clients read errors in its own shape."""


class Routes:
    """Finds a route; whole paths by a look, others piece by piece."""

    def __init__(self, routes: list[Route]) -> None:
        self.all = routes
        self._known: dict[tuple[str, bytes], tuple[Route, str]] = {}
        self._whole: dict[str, dict[str, Route]] = {}
        self._pieces: dict[int, list[tuple[list[str], dict[str, Route]]]] = {}
        for route in routes:
            self._methods(route.path)[route.method] = route

    def _methods(self, path: str) -> dict[str, Route]:
        if "{" not in path:
            return self._whole.setdefault(path, {})
        pieces = path.split("/")
        for known, methods in self._pieces.setdefault(len(pieces), []):
            if known == pieces:
                return methods
        fresh: dict[str, Route] = {}
        self._pieces[len(pieces)].append((pieces, fresh))
        return fresh

    def find(self, method: str, path: str, raw_path: bytes) -> tuple[Route, str]:
        """The route and the piece that stands for ``{name}``, "" where there is none.

        Raises:
            Refused: No such path (404), or not with this method (405).
        """
        if (known := self._known.get((method, raw_path))) is not None:
            return known
        found = self._look(method, path, raw_path)
        if raw_path and len(raw_path) <= _REMEMBERED and len(self._known) < _REMEMBERED:
            self._known[method, raw_path] = found
        return found

    def _look(self, method: str, path: str, raw_path: bytes) -> tuple[Route, str]:
        name, methods = "", self._whole.get(path)
        if methods is None:
            # Split as it was sent: a name may hold a slash, as %2F.
            pieces = raw_path.decode("latin-1").partition("?")[0].split("/") if raw_path else path.split("/")
            for known, those in self._pieces.get(len(pieces), []):
                if all(k in (p, "{name}") for k, p in zip(known, pieces, strict=True)):
                    name, methods = unquote(pieces[known.index("{name}")]), those
                    break
        if methods is None:
            raise Refused(404, "there is nothing here", hint="/docs lists what there is")
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = ", ".join([*methods, *(["HEAD"] if "GET" in methods else [])])
            raise Refused(405, f"{method[:20]} is not done here", hint=f"use {allowed}", headers={"allow": allowed})
        return route, name
