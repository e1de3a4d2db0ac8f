"""What a kind of file is: the protocol that every part of kind ``source`` keeps, and the file it is given."""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any, BinaryIO, ClassVar, Protocol, cast

import pyarrow as pa

from trueweight.errors import DataError
from trueweight.progress import advance
from trueweight.spec.data import DataSpec

__all__ = ["HEAD_BYTES", "Piece", "Source", "SourceFile", "arrow_stream", "ticking"]

HEAD_BYTES = 1 << 20
"""How much of a file is looked at to find out what it is."""

_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file, or what came through a pipe. Gzip is undone on the way, whatever the name says."""

    name: str
    """Without folders, for messages."""
    size: int
    """Bytes as :meth:`open` gives them; for a gzip file that is not inflated yet, bytes on disk."""
    head: bytes
    """First bytes of the content, at most ``HEAD_BYTES``, gzip undone."""
    path: Path | None = None
    content: bytes | None = None
    """In memory, instead of ``path``."""
    gzipped: bool = False

    @classmethod
    def at(cls, path: Path) -> "SourceFile":
        """A file on disk.

        Raises:
            DataError: It cannot be opened, or is a gzip file that is broken at its very start.
            OSError: Left to the caller, who knows how the user named the file.
        """
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        file = cls(path.name, path.stat().st_size, head, path=path, gzipped=head.startswith(_GZIP))
        return file._look_inside() if file.gzipped else file

    @classmethod
    def held(cls, name: str, content: bytes) -> "SourceFile":
        """Bytes that are in memory already, e.g. from standard input."""
        file = cls(name, len(content), content[:HEAD_BYTES], content=content, gzipped=content.startswith(_GZIP))
        return file._look_inside() if file.gzipped else file

    def open(self) -> BinaryIO:
        """A new stream over the content from its start, gzip undone."""
        raw = io.BytesIO(self.content) if self.content is not None else cast(Path, self.path).open("rb")
        if not self.gzipped:
            return raw
        return cast(BinaryIO, _Unzipped(raw, self.name))

    @property
    def local(self) -> Path | None:
        """Where a reader of its own may open the file; None if its bytes must come from :meth:`bytes`."""
        return None if self.gzipped else self.path

    def inflated(self) -> "SourceFile":
        """This file, with gzip undone once and for all in memory."""
        if not self.gzipped:
            return self
        with self.open() as stream:
            content = stream.read()
        return replace(self, content=content, size=len(content), path=None, gzipped=False)

    def bytes(self) -> bytes:
        """The whole content."""
        with self.open() as stream:
            return stream.read()

    def _look_inside(self) -> "SourceFile":
        with self.open() as stream:
            return replace(self, head=stream.read(HEAD_BYTES))


class _Unzipped(io.RawIOBase):
    """A gzip stream whose breakage is our error."""

    def __init__(self, raw: BinaryIO, name: str) -> None:
        self._raw, self._stream, self._name = raw, gzip.GzipFile(fileobj=raw), name

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            hint = "download or copy it again: its end is missing or damaged"
            raise DataError(f"the gzip file is cut short or damaged: {error}", where=self._name, hint=hint) from None

    def readinto(self, buffer: Any) -> int:
        return _fill(buffer, self.read(len(buffer)))

    def close(self) -> None:
        self._stream.close()
        self._raw.close()  # which GzipFile leaves open
        super().close()


def _fill(buffer: Any, chunk: bytes) -> int:
    buffer[: len(chunk)] = chunk
    return len(chunk)


def arrow_stream(content: bytes) -> pa.NativeFile:
    """A stream over a copy of ``content`` in Arrow's own memory.

    Arrow's threads may still be letting go of what they have read while Python shuts down, and to let go of memory
    that Python owns they would need Python: the process is then aborted, now and then.
    """
    own = pa.BufferOutputStream()
    own.write(content)
    return pa.BufferReader(own.getvalue())


@contextmanager
def ticking(task: str, place: Callable[[], int], total: int) -> Iterator[None]:
    """Report progress in bytes, ten times a second, while something reads that cannot report itself.

    Args:
        task: In the user's words.
        place: Tells how many bytes have been read; called from another thread.
        total: Bytes in all.
    """
    over = Event()
    report = copy_context().run  # a thread does not inherit the listener's context variable

    def tick() -> None:
        while not over.wait(0.1):
            report(advance, task, place(), total, unit="bytes")

    ticker = Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        over.set()
        ticker.join()
    advance(task, total, total, unit="bytes")


@dataclass(frozen=True, slots=True)
class Piece:
    """What one file gave."""

    data: pa.Table
    """Column names as found; the caller tidies names and types."""
    encoding: str | None = None
    delimiter: str | None = None
    skipped_rows: int = 0
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """A part of kind ``source``. Its file must import neither torch nor what an extra installs."""

    suffixes: ClassVar[tuple[str, ...]]
    """Lower-case ends of file names, dot included; ``.gz`` after them is understood."""

    type: str

    def recognises(self, head: bytes) -> bool:
        """Whether the first bytes alone show that a file is of this kind."""
        ...

    def read(self, file: SourceFile, spec: DataSpec, rows: int | None) -> Piece:
        """Read a file; with ``rows``, at most that many rows, and hardly more of the file than they need.

        Raises:
            DataError: The file is not what it should be; says what and where.
        """
        ...

    def example(self) -> bytes:
        """A small file with the columns ``name`` (a, b, c) and ``count`` (1, 2, 3), for the contract suite."""
        ...
