"""Asks a server from Python: frames in, frames out, with retries and errors of our own tree."""

import base64
import io
import json
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote

import numpy as np
import pyarrow as pa

from trueweight.data.frames import from_frame, like_frame
from trueweight.data.media import UnusableError, file_bytes, media_array
from trueweight.errors import DataError, ServeError, SpecError
from trueweight.serve.exchange import DIGEST
from trueweight.serve.rows import ARROW, arrow_bytes
from trueweight.serve.transport import Answer, HttpTransport, MemoryTransport, Transport

if TYPE_CHECKING:
    from trueweight.serve.app import Application

__all__ = ["Client"]

_AGAIN = (408, 429, 502, 503)
"""Statuses that may be others a moment later. Not 504: what took too long would take as long, and be counted again."""

_LONGEST_WAIT = 30.0

_ROWS, _BYTES = 2_000, 2**24
"""Of one request at most: more rows are sent in several, well within what servers take."""

_TRIES = 4
"""Times that rows are sent because another model has taken the place of the one that was asked."""

_Answers = TypeVar("_Answers")


@dataclass(frozen=True, slots=True)
class _Known:
    """What a client knows of a model, until another one answers in its place."""

    digest: str
    media: tuple[str, ...]
    """Features that hold files."""


class Client:
    """A server of ``trueweight serve``. May be used by several threads.

    Args:
        server: Its address; or an application of this process, see :func:`trueweight.application`.
        key: As ``trueweight keys add`` printed it; none for a server that is open.
        retries: Times that a request is sent again if the server is busy or cannot be reached.
        seconds: That one request may take.
        certificate: PEM file to trust, of a server that vouches for itself; by default those of this machine.

    Raises:
        SpecError: The address is none, or there is no such certificate.

    Example:
        ``Client("http://127.0.0.1:8000", key).predict(frame, model="claims")``
    """

    def __init__(
        self, server: "str | Application", key: str = "", *, retries: int = 3, seconds: float = 60.0,
        certificate: str | Path | None = None,
    ) -> None:  # fmt: skip
        self._transport: Transport = (
            HttpTransport(server, seconds, certificate) if isinstance(server, str) else MemoryTransport(server, seconds)
        )
        self._key, self._retries, self._seconds = key.strip(), retries, seconds
        self._facts: dict[str, _Known] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connection go."""
        self._transport.close()

    def models(self) -> list[dict[str, Any]]:
        """What is served: name, digest, features and targets with their types."""
        found: list[dict[str, Any]] = self._json("GET", "/v1/models")["data"]
        return found

    def predict(self, rows: Any, *, model: str = "", media_dir: str | Path | None = None) -> Any:
        """Answers, as the bundle's own ``predict`` gives them.

        Args:
            rows: A frame, or a list of dicts. Pictures and sounds may be bytes, or paths of this machine: their files
                are sent. Any number of rows: many are sent in several requests, and all are answered by one model: if
                it is swapped meanwhile, they are sent again.
            model: Needed where several are served.
            media_dir: Folder that such paths start from, and stay in; by default the one we are in.

        Returns:
            A list of dicts for a list of dicts, else the same kind of frame.

        Raises:
            DataError: The rows do not fit the model, or a file is not there.
            SpecError: There is no such model, or the key does not allow it.
            ServeError: The server cannot be reached, is too busy, or failed.
        """
        name, folder = self._named(model), None if media_dir is None else Path(media_dir)
        body, table = _plain_body(rows), cache(lambda: from_frame(rows).data)

        def ask(media: Sequence[str], seen: set[str]) -> Any:
            if body is not None and not media:
                answer = self._send("POST", f"{_at(name)}/predict", {"content-type": "application/json"}, body, seen)
                return json.loads(answer.body)["predictions"]
            answers = [self._answered(name, piece, seen) for piece in _pieces(_with_files(table(), media, folder))]
            if len(seen) > 1:
                return None  # of two models, which may answer with other columns
            columns = {c: np.concatenate([one[c] for one in answers]) for c in answers[0]}
            return like_frame(columns, rows)

        return self._of_one_model(name, ask)

    def _answered(self, name: str, table: pa.Table, seen: set[str]) -> dict[str, np.ndarray]:
        headers = {"content-type": ARROW, "accept": ARROW}
        answer = self._send("POST", f"{_at(name)}/predict", headers, arrow_bytes(table), seen)
        with pa.ipc.open_stream(io.BytesIO(answer.body)) as reader:
            return {c: v.to_numpy() for c, v in zip(reader.schema.names, reader.read_all().columns, strict=True)}

    def explain(
        self, rows: Any, *, model: str = "", media_dir: str | Path | None = None, **wishes: Any
    ) -> dict[str, Any]:  # fmt: skip
        """Why rows are answered so, as plain data.

        Args:
            rows: A few, as for :meth:`predict`.
            model: Needed where several are served.
            media_dir: As for :meth:`predict`.
            wishes: ``methods``, ``target``, ``keep`` as for :func:`trueweight.explain`.
        """
        name, folder = self._named(model), None if media_dir is None else Path(media_dir)
        data = from_frame(rows).data

        def ask(media: Sequence[str], seen: set[str]) -> dict[str, Any]:
            table = _with_files(data, media, folder)
            body = json.dumps({"rows": table.to_pylist(), **wishes}, allow_nan=False, default=_as_json).encode()
            answer = self._send("POST", f"{_at(name)}/explain", {"content-type": "application/json"}, body, seen)
            found: dict[str, Any] = json.loads(answer.body)
            return found

        return self._of_one_model(name, ask)

    def evidence(self, model: str = "") -> dict[str, Any]:
        """What was measured of a model."""
        found: dict[str, Any] = self._json("GET", f"{_at(self._named(model))}/evidence")
        return found

    def report(self, model: str = "", *, language: str = "en") -> str:
        """The same as an HTML page."""
        path = f"{_at(self._named(model))}/report?language={quote(language, safe='')}"
        return self._send("GET", path, {}, b"").body.decode()

    def _named(self, model: str) -> str:
        if model:
            return model
        names = [one["id"] for one in self.models()]
        if len(names) != 1:
            raise SpecError(f"{len(names)} models are served", where="model", hint=f"name one of {', '.join(names)}")
        return str(names[0])

    def _known(self, name: str, *, anew: bool = False) -> _Known:
        found = self._facts.get(name)
        if found is None or anew:
            told = self._json("GET", _at(name))
            media = (column for column, kind in told["features"].items() if kind in ("image", "audio"))
            self._facts[name] = found = _Known(told["digest"], tuple(media))
        return found

    def _of_one_model(self, name: str, ask: Callable[[Sequence[str], set[str]], _Answers]) -> _Answers:
        """What is answered to rows that were made for the model that answered them: once it is seen that another one
        has taken its place, what is known of it is asked for anew.

        Args:
            name: Of the model.
            ask: Given the features that hold files, and where to note the digests of those who answered.
        """
        for _ in range(_TRIES):
            known, seen = self._known(name), set[str]()
            refused: DataError | None = None
            try:
                found = ask(known.media, seen)
            except DataError as error:
                refused = error  # perhaps only because of what was known
            good = seen <= {known.digest} and (refused is None or bool(seen))
            if not good:
                good = self._known(name, anew=True).media == known.media and len(seen) < 2
            if good and refused is not None:
                raise refused
            if good:
                return found
        hint = "ask again when one of them stays"
        raise ServeError(f"{name!r} was swapped for another model each time it was asked", hint=hint)

    def _json(self, method: str, path: str) -> Any:
        return json.loads(self._send(method, path, {}, b"").body)

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, seen: set[str] | None = None
    ) -> Answer:  # fmt: skip
        head = dict(headers) | ({"authorization": f"Bearer {self._key}"} if self._key else {})
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                answer = self._transport.send(method, path, head, body)
            except TimeoutError as error:  # asking again would wait as long, and be counted again
                hint = "give the client more seconds, or fewer rows at a time"
                raise ServeError(f"no answer within {self._seconds:g} s", hint=hint) from error
            except OSError as error:
                if last or isinstance(error, ssl.SSLError):
                    raise _unreachable(error) from error
                _wait(attempt, "")
                continue
            if last or answer.status not in _AGAIN:
                if seen is not None and (digest := answer.headers.get(DIGEST)):
                    seen.add(digest)
                if answer.status < 400:
                    return answer
                raise _error_of(answer)
            _wait(attempt, answer.headers.get("retry-after", ""))
        raise AssertionError("unreachable")


def _at(name: str) -> str:
    return f"/v1/models/{quote(name, safe='')}"


def _unreachable(error: OSError) -> ServeError:
    hint = "is trueweight serve running there, and does its address begin so (http or https)?"
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "name the certificate to trust: Client(…, certificate='server.pem')"
    elif isinstance(error, ssl.SSLError):
        hint = "does it speak TLS? Without --certificate its address begins with http://"
    return ServeError(f"the server cannot be reached: {error}", hint=hint)


def _plain_body(rows: Any) -> bytes | None:
    """A list of dicts as JSON; None for all that JSON has no words for, and for more than one request takes."""
    if not isinstance(rows, Sequence) or len(rows) > _ROWS or not all(isinstance(row, Mapping) for row in rows):
        return None
    try:
        body = json.dumps({"rows": list(map(dict, rows))}, allow_nan=False).encode()
    except (TypeError, ValueError):
        return None
    return body if len(body) <= _BYTES else None


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    most = max(1, min(_ROWS, _BYTES * len(table) // max(1, table.nbytes)))
    for start in range(0, max(1, len(table)), most):
        yield table.slice(start, most)


def _as_json(cell: object) -> object:
    """A cell that JSON has no word for, as servers read it there."""
    if isinstance(cell, bytes):
        return f"data:application/octet-stream;base64,{base64.b64encode(cell).decode()}"
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _wait(attempt: int, said: str) -> None:
    """As long as the server says, else twice as long each time, and not all clients at the same moment."""
    seconds = float(said) if said.isdigit() else 0.1 * 2**attempt
    time.sleep(min(_LONGEST_WAIT, seconds) * random.uniform(0.8, 1.2))  # noqa: S311  # no secret


def _with_files(table: pa.Table, media: Sequence[str], folder: Path | None) -> pa.Table:
    """Paths in columns of pictures and sounds as the files they name: a server follows none."""
    for column in media:
        array = media_array(table.column(column)) if column in table.column_names else None
        if array is not None:
            cells = [None if cell is None else _content(cell, folder, column) for cell in array.to_pylist()]
            table = table.set_column(table.column_names.index(column), column, pa.array(cells, pa.binary()))
    return table


def _content(cell: bytes | str, folder: Path | None, column: str) -> bytes | None:
    if isinstance(cell, str) and not cell.strip():
        return None
    try:
        return file_bytes(cell if isinstance(cell, bytes) else cell.strip(), folder)
    except UnusableError as reason:
        raise DataError(f"{column}: {str(cell)[:80]!r}: {reason}", hint="name the folder with media_dir") from None


def _error_of(answer: Answer) -> Exception:
    try:
        told = json.loads(answer.body)
    except ValueError:
        told = {}
    inner = told.get("error") if isinstance(told, dict) else None
    said = (
        inner.get("message", "")
        if isinstance(inner, dict)
        else told.get("detail", "")
        if isinstance(told, dict)
        else ""
    )
    problem, hint = (
        said or f"the server answers {answer.status}",
        told.get("hint", "") if isinstance(told, dict) else "",
    )
    if answer.status in (400, 413, 415, 422):
        return DataError(problem, hint=hint)
    if answer.status in (401, 403, 404, 405):
        return SpecError(problem, hint=hint)
    return ServeError(problem, hint=hint)
