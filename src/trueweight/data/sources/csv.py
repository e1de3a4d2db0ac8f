"""Delimited text: CSV, TSV and their cousins. Every cell is a string; column types interpret them.

Strings only is not a loss: Arrow's reader is faster without its own guessing, and ``007``, ``1,5`` and ``NA``
reach the column types as they stand.
"""

import io
import re
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, cast

import pyarrow as pa

from trueweight.data.plain import tidy_names
from trueweight.data.sniff import Layout, first_lines, layout_of
from trueweight.data.source import HEAD_BYTES, Piece, SourceFile, arrow_stream, ticking
from trueweight.errors import DataError
from trueweight.spec.base import PartSpec
from trueweight.spec.data import DataSpec

__all__ = ["CsvSource"]

_BLOCK = 1 << 22
_LARGEST_BLOCK = (1 << 31) - (1 << 20)
_UNEQUAL = re.compile(r"CSV parse error: (Row #\d+: )?Expected \d+ columns, got \d+")
_SCAN = 1 << 22
_LEAST_HEAD = 1 << 18
_SHOWN = 3
_CONTROLS = re.compile(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_TELLING = 512  # bytes from which a share of control characters tells more than one odd cell

_OTHER_KINDS = {
    b"PAR1": ("a Parquet file", "name it *.parquet, or set data.format to parquet"),
    b"ARROW1": ("an Arrow file", "name it *.arrow, or set data.format to arrow"),
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "unzip it, or set data.format to excel"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save it as CSV or .xlsx"),
    b"%PDF": ("a PDF document", "export the table as CSV"),
    b"BZh": ("compressed with bzip2", "unpack it with bunzip2, or compress it with gzip"),
    b"\xfd7zXZ": ("compressed with xz", "unpack it with unxz, or compress it with gzip"),
    b"\x28\xb5\x2f\xfd": ("compressed with zstd", "unpack it with unzstd, or compress it with gzip"),
    b"SQLite format": ("an SQLite database", "export the table as CSV"),
    b"\x89PNG": ("an image", "give a table; images come in as paths in one of its columns"),
    b"\xff\xfe": ("UTF-16 text", "save it as UTF-8, e.g. iconv -f utf-16 -t utf-8"),
    b"\xfe\xff": ("UTF-16 text", "save it as UTF-8, e.g. iconv -f utf-16 -t utf-8"),
}


class CsvSource(PartSpec):
    """CSV and TSV: any of four delimiters, quotes, line breaks in cells, BOM, UTF-8 or Latin-1, gzip.

    Rows with another number of cells than the header are skipped and counted, up to ``data.max_bad_rows``.
    """

    type: Literal["csv"] = "csv"
    """Registered name."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab", ".psv")

    def recognises(self, head: bytes) -> bool:  # noqa: ARG002  # part of the protocol
        """Never: text of other kinds must have its turn first. CSV is what a file is if it is nothing else."""
        return False

    def read(self, file: SourceFile, spec: DataSpec, rows: int | None) -> Piece:
        """All cells as strings, "" where empty; see :class:`~trueweight.data.source.Source`."""
        refuse_other_kinds(file)
        if rows is None:
            file = file.inflated()
        tabbed = spec.format == "tsv" or file.name.lower().removesuffix(".gz").endswith((".tsv", ".tab"))
        layout = layout_of(file.name, _whole_header(file), spec.delimiter, "\t" if tabbed else None)
        # Reading the whole of a long file just to look for quotes would defeat the purpose of `rows`.
        facts = _scan(file) if rows is None else _Scan(quotes=1)
        reading = _Reading(file, layout, spec, facts, rows)
        return reading.piece()

    def example(self) -> bytes:
        return b"name,count\na,1\nb,2\nc,3\n"


def refuse_other_kinds(file: SourceFile) -> None:
    """Say what a file really is when its first bytes show that it is no text.

    Raises:
        DataError: It is of another known kind, or holds NUL bytes.
    """
    for magic, (kind, hint) in _OTHER_KINDS.items():
        if file.head.startswith(magic):
            raise DataError(f"this is not a text file but {kind}", where=file.name, hint=hint)
    if b"\0" in file.head:
        raise _binary(file.name, file.head.index(b"\0"))
    strange = len(_CONTROLS.findall(file.head))
    if len(file.head) >= _TELLING and strange > 0.05 * len(file.head):
        problem = f"this is not a text file: {strange:,} of its first {len(file.head):,} bytes are control characters"
        raise DataError(problem, where=file.name, hint="is it another kind of file, or damaged? See data.format")


def _binary(name: str, place: int) -> DataError:
    hint = "text files hold no NUL bytes: is it another kind of file, or damaged? See data.format"
    return DataError(f"this is not a text file: byte {place:,} is NUL", where=name, hint=hint)


def _whole_header(file: SourceFile) -> bytes:
    """The sample that the layout is read from: a header of more than ``HEAD_BYTES`` is read to its end."""
    if len(file.head) < HEAD_BYTES or b"\n" in file.head or b"\r" in file.head:
        return file.head
    with file.open() as stream:
        return stream.read(64 * HEAD_BYTES)


@dataclass(frozen=True, slots=True)
class _Scan:
    quotes: int


def _scan(file: SourceFile) -> _Scan:
    """One fast pass for what decides how to read: Arrow parses in parallel only if no cell can hold a line break."""
    quotes = place = 0
    with file.open() as stream:
        while chunk := stream.read(_SCAN):
            if b"\0" in chunk:
                raise _binary(file.name, place + chunk.index(b"\0"))
            if b'"' in chunk:
                quotes += chunk.count(b'"')
            place += len(chunk)
    return _Scan(quotes)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """How the next try reads: what failed before is changed, the rest is kept."""

    encoding: str
    recode: Callable[[bytes], bytes] | None = None
    """Makes UTF-8 of the bytes; None where they are."""
    block: int = _BLOCK
    skips: bool = False
    """Whether rows of another length than the header are skipped and kept for a report; else Arrow stops there."""
    notes: tuple[str, ...] = ()


class _Reading:
    """One file on its way into a table."""

    def __init__(self, file: SourceFile, layout: Layout, spec: DataSpec, scan: _Scan, rows: int | None) -> None:
        self.file, self.layout, self.spec, self.scan, self.rows = file, layout, spec, scan, rows
        self.names, self.name_notes = tidy_names(layout.names, file.name)
        self.bad: list[tuple[int, str]] = []
        """Cell count and text of rows that were skipped."""
        self.head = b""
        """What was read of the file when only its first rows are wanted."""

    def piece(self) -> Piece:
        attempt = self._begin()
        while True:
            self.bad.clear()
            try:
                data = self._parse(attempt)
                break
            except pa.ArrowInvalid as error:
                attempt = self._next(attempt, str(error))
        if self.rows is None:
            self._refuse_unclosed_quote(attempt, data)
        self._refuse_many_bad(attempt, data.num_rows)
        if not data.num_rows:
            raise _no_rows(self.file.name, len(self.names))
        notes = (*self.layout.notes, *self.name_notes, *attempt.notes)
        return Piece(data, attempt.encoding, self.layout.delimiter, len(self.bad), notes)

    def _begin(self) -> _Attempt:
        if (self.spec.encoding or self.layout.encoding) == "utf-8":
            return _Attempt("utf-8")
        notes = () if self.spec.encoding else ("read as Latin-1: the column names are not UTF-8",)
        return _Attempt("latin-1", _from_latin_1, notes=notes)

    def _parse(self, attempt: _Attempt) -> pa.Table:
        from pyarrow import csv

        # A Python function in the hands of Arrow's threads aborts the process, now and then, when one of them lets go
        # of it while Python shuts down: so there is none for clean files, and no thread for the others.
        reading = csv.ReadOptions(column_names=self.names, block_size=attempt.block, use_threads=not attempt.skips)
        parsing = csv.ParseOptions(
            delimiter=self.layout.delimiter,
            newlines_in_values=self.scan.quotes > 0,
            invalid_row_handler=self._skip if attempt.skips else None,
        )
        converting = csv.ConvertOptions(
            column_types=dict.fromkeys(self.names, pa.string()), strings_can_be_null=False, include_columns=self.names
        )

        def parse(raw: pa.NativeFile) -> pa.Table:
            return csv.read_csv(raw, reading, parsing, converting)

        if self.rows is not None:
            return self._parse_head(attempt, parse, self.rows)
        if attempt.recode:
            return parse(arrow_stream(attempt.recode(self.file.bytes()[self.layout.start :])))
        with _native(self.file) as raw, ticking(f"reading {self.file.name}", raw.tell, self.file.size):
            raw.seek(self.layout.start)
            return parse(raw)

    def _parse_head(self, attempt: _Attempt, parse: Callable[[pa.NativeFile], pa.Table], rows: int) -> pa.Table:
        """The first rows, from as few bytes as will do. (Arrow's streaming reader reads far ahead.)"""
        size, ended, data = self.layout.start + max(_LEAST_HEAD, 64 * rows), False, None
        self.head = b""
        with self.file.open() as stream:
            # One row more than wanted, because the last may be cut, and an open quote may have swallowed others.
            while not ended and (data is None or data.num_rows <= rows):
                self.head += stream.read(size - len(self.head))
                ended = len(self.head) < size
                whole = len(self.head) if ended else max(self.head.rfind(b"\n"), self.head.rfind(b"\r")) + 1
                content = self.head[self.layout.start : whole]
                size *= 4
                self.bad.clear()
                if content or ended:
                    data = parse(arrow_stream(attempt.recode(content) if attempt.recode else content))
        if not ended:
            tail = content.rstrip()
            self.bad = [(count, text) for count, text in self.bad if not tail.endswith(text.encode().rstrip())]
        return cast(pa.Table, data).slice(0, rows)

    def _skip(self, row: Any) -> str:
        self.bad.append((row.actual_columns, row.text))
        return "skip"

    def _content(self, attempt: _Attempt) -> bytes:
        """All that was looked at, in UTF-8, for finding lines in."""
        content = self.file.bytes() if self.rows is None else self.head
        return attempt.recode(content) if attempt.recode else content

    def _next(self, attempt: _Attempt, problem: str) -> _Attempt:
        """What to try after Arrow gave up.

        Raises:
            DataError: There is nothing left to try.
        """
        if _UNEQUAL.match(problem):  # before the others: it quotes the row
            # Arrow tells us texts of rows that are skipped, and can tell none that is not UTF-8: it would ask for ever.
            known = attempt if attempt.recode or self._is_utf8() else self._other_encoding(attempt)
            return replace(known, skips=True)
        if "Empty CSV" in problem:
            raise _no_rows(self.file.name, len(self.names)) from None
        if "straddl" in problem and attempt.block < _LARGEST_BLOCK:
            return replace(attempt, block=min(attempt.block * 16, _LARGEST_BLOCK))
        if "UTF8" in problem and attempt.recode is None:
            return self._other_encoding(attempt)
        raise DataError(f"the file cannot be read: {problem}", where=self.file.name, hint="is it really CSV?") from None

    def _is_utf8(self) -> bool:
        """Of all that was looked at, piece by piece."""
        decoder = getincrementaldecoder("utf-8")()
        try:
            with io.BytesIO(self.head) if self.rows is not None else self.file.open() as stream:
                while piece := stream.read(_SCAN):
                    decoder.decode(piece)
            decoder.decode(b"", final=self.rows is None)  # a head may end within a character
        except UnicodeDecodeError:
            return False
        return True

    def _other_encoding(self, attempt: _Attempt) -> _Attempt:
        content = self._content(attempt)
        repaired = content.decode("utf-8", "replace")
        place = _first_broken(content)
        line = content.count(b"\n", 0, place) + 1
        found = f"byte 0x{content[place]:02X} in line {line} is not UTF-8"
        if self.spec.encoding is not None:
            hint = "set data.encoding to latin-1, or leave it out"
            raise DataError(found, where=f"{self.file.name}:{line}", hint=hint) from None
        broken = repaired.count("\ufffd")
        # Texts that are UTF-8 nearly everywhere would become gibberish as Latin-1.
        if broken * 10 < sum(1 for letter in repaired if letter > "\x7f"):
            what = "character was" if broken == 1 else "characters were"
            note = f"{broken:,} broken {what} replaced: {found}"
            return replace(attempt, recode=_repaired, notes=(*attempt.notes, note))
        notes = (*attempt.notes, f"read as Latin-1: {found}")
        return replace(attempt, encoding="latin-1", recode=_from_latin_1, notes=notes)

    def _refuse_many_bad(self, attempt: _Attempt, good: int) -> None:
        bad = len(self.bad)
        if bad <= self.spec.max_bad_rows * (bad + good):
            return
        lines = first_lines(self._content(attempt), [text for _, text in self.bad], _SHOWN)
        cells, often = Counter(count for count, _ in self.bad).most_common(1)[0]
        where = f"{self.file.name}:{lines[0]}" if lines else self.file.name
        listed = f" (lines {', '.join(map(str, lines))}{', …' if bad > len(lines) else ''})" if len(lines) > 1 else ""
        problem = f"{bad:,} of {bad + good:,} rows do not have {len(self.names)} cells like the header{listed}"
        hint = f"{often:,} of them have {cells}: is a cell with {self.layout.delimiter!r} in it not quoted"
        hint += ", or does another data.delimiter fit?"
        if self.spec.max_bad_rows:  # 0 says that no row may be lost
            hint += " data.max_bad_rows allows more bad rows, which are skipped"
        raise DataError(problem, where=where, hint=hint)

    def _refuse_unclosed_quote(self, attempt: _Attempt, data: pa.Table) -> None:
        """A quote that is never closed makes one cell of all that follows: rows would vanish in silence."""
        if self.scan.quotes % 2 == 0:
            return
        end = self._content(attempt).rstrip()
        if end.endswith(b'"'):
            return
        last = data.column(data.num_columns - 1)[-1].as_py() if data.num_rows else ""
        for text in (last, *(text for _, text in self.bad)):
            lines = text.rstrip().count("\n")
            if lines and end.endswith(text.rstrip().split("\n")[-1].encode()):
                line = end.count(b"\n") + 1 - lines
                hint = "close it, or write a quote that belongs to the text twice, inside quotes"
                problem = f"a quote opened in line {line} is never closed: {lines + 1:,} lines became one cell"
                raise DataError(problem, where=f"{self.file.name}:{line}", hint=hint)


def _native(file: SourceFile) -> pa.NativeFile:
    """A stream that Arrow's threads read without Python, which may be shutting down while they are still at it."""
    return pa.OSFile(str(file.path)) if file.path else arrow_stream(file.bytes())


def _from_latin_1(content: bytes) -> bytes:
    return content.decode("latin-1").encode()


def _repaired(content: bytes) -> bytes:
    return content.decode("utf-8", "replace").encode()


def _first_broken(content: bytes) -> int:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _no_rows(name: str, columns: int) -> DataError:
    problem = f"there is a header of {columns} column{'s' * (columns != 1)}, but no row"
    return DataError(problem, where=name, hint="is the file complete? A file without a header needs one")
