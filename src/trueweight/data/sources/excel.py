"""Excel workbooks (.xlsx), through the extra ``trueweight[excel]``."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, ClassVar, Literal

import pyarrow as pa

from trueweight.data.frames import arrow_array
from trueweight.data.source import Piece, SourceFile
from trueweight.errors import DataError
from trueweight.progress import advance
from trueweight.spec.base import PartSpec
from trueweight.spec.data import DataSpec

__all__ = ["ExcelSource"]


class ExcelSource(PartSpec):
    """The first sheet of an Excel workbook. Formulas count as the values they had when it was saved."""

    type: Literal["excel"] = "excel"
    """Registered name."""

    suffixes: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm", ".xls")

    def recognises(self, head: bytes) -> bool:
        return head.startswith(b"PK\x03\x04") and b"xl/" in head

    def read(self, file: SourceFile, spec: DataSpec, rows: int | None) -> Piece:  # noqa: ARG002  # the protocol
        openpyxl = _openpyxl(file.name)
        try:
            book = openpyxl.load_workbook(io.BytesIO(file.bytes()), read_only=True, data_only=True)
        except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
            hint = "old .xls files must be saved as .xlsx; or export the sheet as CSV"
            raise DataError(f"this is not a readable Excel workbook: {error}", where=file.name, hint=hint) from None
        try:
            sheet = book.worksheets[0]
            notes = (f"only the first sheet, {sheet.title!r}, was read",) if len(book.worksheets) > 1 else ()
            return Piece(_table(sheet.iter_rows(values_only=True), file.name, rows), notes=notes)
        finally:
            book.close()

    def example(self) -> bytes:
        book = _openpyxl("the example").Workbook()
        for row in (["name", "count"], ["a", 1], ["b", 2], ["c", 3]):
            book.active.append(row)
        stream = io.BytesIO()
        book.save(stream)
        return stream.getvalue()


def _openpyxl(name: str) -> Any:
    try:
        import openpyxl
    except ImportError:
        hint = "pip install 'trueweight[excel]', or export the sheet as CSV"
        raise DataError("reading Excel workbooks needs openpyxl", where=name, hint=hint) from None
    return openpyxl


def _table(lines: Iterable[tuple[Any, ...]], name: str, rows: int | None) -> pa.Table:
    filled = (line for line in lines if any(cell is not None for cell in line))
    header = next(filled, None)
    if header is None:
        raise DataError("the first sheet is empty", where=name, hint="its first row should hold the column names")
    width = max(place for place, cell in enumerate(header, 1) if cell is not None)
    body = list(islice(_counted(filled, name), rows))
    width = max([width, *(len(_trimmed(line)) for line in body)])
    columns = [[line[place] if place < len(line) else None for line in body] for place in range(width)]
    names = ["" if place >= len(header) or header[place] is None else str(header[place]) for place in range(width)]
    return pa.Table.from_arrays([arrow_array(column) for column in columns], names=names)


def _trimmed(line: tuple[Any, ...]) -> tuple[Any, ...]:
    end = len(line)
    while end and line[end - 1] is None:
        end -= 1
    return line[:end]


def _counted(lines: Iterable[tuple[Any, ...]], name: str) -> Iterator[tuple[Any, ...]]:
    for number, line in enumerate(lines, 1):
        if number % 10_000 == 0:
            advance(f"reading {name}", number, None)
        yield line
