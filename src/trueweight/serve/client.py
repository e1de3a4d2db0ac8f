"""Asks a server from Python: frames in, frames out, with retries and errors of our own tree."""

import io
import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

import pyarrow as pa

from trueweight.data.frames import from_frame, like_frame
from trueweight.data.media import UnusableError, file_bytes, media_array
from trueweight.errors import DataError, ServeError, SpecError
from trueweight.serve.rows import ARROW, arrow_bytes
from trueweight.serve.transport import Answer, HttpTransport, MemoryTransport, Transport

if TYPE_CHECKING:
    from trueweight.serve.app import Application

__all__ = ["Client"]

_AGAIN = (408, 429, 502, 503, 504)
"""Statuses that may be others a moment later."""

_LONGEST_WAIT = 30.0


class Client:
    """A server of ``trueweight serve``.

    Args:
        server: Its address, or an application of this process.
        key: As ``trueweight keys add`` printed it; none for a server that is open.
        retries: Times that a request is sent again if the server is busy or cannot be reached.
        seconds: That one request may take.

    Raises:
        SpecError: The address is none.

    Example:
        ``Client("http://127.0.0.1:8000", key).predict(frame, model="claims")``
    """

    def __init__(
        self, server: "str | Application", key: str = "", *, retries: int = 3, seconds: float = 60.0
    ) -> None:  # fmt: skip
        self._transport: Transport = (
            HttpTransport(server, seconds) if isinstance(server, str) else MemoryTransport(server, seconds)
        )
        self._key, self._retries = key, retries
        self._facts: dict[str, dict[str, Any]] = {}

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
            rows: A list of dicts; or a frame, of which pictures and sounds may be paths of this machine: their files
                are sent.
            model: Needed where several are served.
            media_dir: Folder that such paths start from.

        Returns:
            A list of dicts for a list of dicts, else the same kind of frame.

        Raises:
            DataError: The rows do not fit the model, or are too many.
            SpecError: There is no such model, or the key does not allow it.
            ServeError: The server cannot be reached, is too busy, or failed.
        """
        name = self._named(model)
        if isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
            body = json.dumps({"rows": list(map(dict, rows))}, allow_nan=False).encode()
            answer = self._send("POST", f"{_at(name)}/predict", {"content-type": "application/json"}, body)
            found: list[dict[str, Any]] = json.loads(answer.body)["predictions"]
            return found
        table = self._with_files(name, from_frame(rows).data, None if media_dir is None else Path(media_dir))
        headers = {"content-type": ARROW, "accept": ARROW}
        answer = self._send("POST", f"{_at(name)}/predict", headers, arrow_bytes(table))
        with pa.ipc.open_stream(io.BytesIO(answer.body)) as reader:
            columns = {c: v.to_numpy() for c, v in zip(reader.schema.names, reader.read_all().columns, strict=True)}
        return like_frame(columns, rows)

    def explain(self, rows: Sequence[Mapping[str, Any]], *, model: str = "", **wishes: Any) -> dict[str, Any]:
        """Why rows are answered so, as plain data.

        Args:
            rows: A few dicts.
            model: Needed where several are served.
            wishes: ``methods``, ``target``, ``keep`` as for :func:`trueweight.explain`.
        """
        body = json.dumps({"rows": list(map(dict, rows)), **wishes}, allow_nan=False).encode()
        answer = self._send("POST", f"{_at(self._named(model))}/explain", {"content-type": "application/json"}, body)
        found: dict[str, Any] = json.loads(answer.body)
        return found

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

    def _with_files(self, name: str, table: pa.Table, folder: Path | None) -> pa.Table:
        """Paths in columns of pictures and sounds as the files they name: a server follows none."""
        if name not in self._facts:
            self._facts[name] = self._json("GET", _at(name))
        for column, kind in self._facts[name]["features"].items():
            if kind not in ("image", "audio") or column not in table.column_names:
                continue
            array = media_array(table.column(column))
            if array is not None:
                cells = [None if cell is None else _content(cell, folder, column) for cell in array.to_pylist()]
                place = table.column_names.index(column)
                table = table.set_column(place, column, pa.array(cells, pa.binary()))
        return table

    def _json(self, method: str, path: str) -> Any:
        return json.loads(self._send(method, path, {}, b"").body)

    def _send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        head = dict(headers) | ({"authorization": f"Bearer {self._key}"} if self._key else {})
        for attempt in range(self._retries + 1):
            last = attempt == self._retries
            try:
                answer = self._transport.send(method, path, head, body)
            except OSError as error:
                if last:
                    hint = "is trueweight serve running there?"
                    raise ServeError(f"the server cannot be reached: {error}", hint=hint) from error
                _wait(attempt, "")
                continue
            if answer.status < 400:
                return answer
            if answer.status not in _AGAIN or last:
                raise _error_of(answer)
            _wait(attempt, answer.headers.get("retry-after", ""))
        raise AssertionError("unreachable")


def _at(name: str) -> str:
    return f"/v1/models/{quote(name, safe='')}"


def _wait(attempt: int, said: str) -> None:
    """As long as the server says, else twice as long each time, and not all clients at the same moment."""
    seconds = float(said) if said.isdigit() else 0.1 * 2**attempt
    time.sleep(min(_LONGEST_WAIT, seconds) * random.uniform(0.8, 1.2))  # noqa: S311  # no secret


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
