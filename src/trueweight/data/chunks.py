"""Text files as rows: a paragraph, some lines or some characters each."""

import re
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa

from trueweight.data.source import Piece, SourceFile
from trueweight.errors import DataError
from trueweight.spec.data import ChunksSpec, DataSpec

__all__ = ["read_chunks"]

_BREAK = re.compile(r"\n[^\S\n]*\n\s*")
"""One blank line or more."""


def read_chunks(file: SourceFile, spec: DataSpec, chunks: ChunksSpec, rows: int | None) -> Piece:
    """The pieces of a text file, in order, as columns ``file`` and ``text``; empty ones are left out.

    Args:
        file: Plain text, also gzipped.
        spec: Encoding.
        chunks: What a piece is.
        rows: Read at most so many.

    Raises:
        DataError: Not a text, or nothing in it.
    """
    content = file.bytes().removeprefix(b"\xef\xbb\xbf")
    text, encoding = _decoded(content, spec, file.name)
    found = list(islice((piece for piece in _pieces(text, chunks) if piece), rows))
    if not found:
        raise DataError("there is nothing but blank lines", where=file.name, hint="was it written completely?")
    data = pa.table({"file": [file.name] * len(found), "text": pa.array(found, pa.large_string())})
    return Piece(data, encoding)


def _decoded(content: bytes, spec: DataSpec, name: str) -> tuple[str, str]:
    if b"\x00" in content[:4096]:
        hint = "leave data.chunks out, or save it as plain text in UTF-8"
        raise DataError("this is not plain text: it has zero bytes", where=name, hint=hint)
    try:
        encoding = spec.encoding or "utf-8"
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if spec.encoding:
            problem = f"this is not {spec.encoding}: {error.reason} at byte {error.start:,}"
            raise DataError(problem, where=name, hint="leave data.encoding out") from None
        text, encoding = content.decode("latin-1"), "latin-1"
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def _pieces(text: str, chunks: ChunksSpec) -> Iterator[str]:
    if chunks.by == "paragraph":
        yield from (piece.strip() for piece in _BREAK.split(text))
    elif chunks.by == "lines":
        lines = [line for line in text.split("\n") if line.strip()]
        yield from ("\n".join(lines[at : at + chunks.size]).strip() for at in range(0, len(lines), chunks.size))
    else:
        yield from (text[at : at + chunks.size].strip() for at in range(0, len(text), chunks.size))
