"""Forms with files, as a browser sends them: each field a column, each file a cell."""

from typing import Any

from trueweight.serve.refusals import Refused

__all__ = ["cells_of_form"]

_PARTS = 10_000


class _Parts:
    """What the parser calls back, put together."""

    def __init__(self) -> None:
        self.cells: dict[str, list[Any]] = {}
        self._header, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._content: list[bytes] = []
        self._count = 0

    def callbacks(self) -> dict[str, Any]:
        return {
            "on_part_begin": self._begin, "on_part_data": self._data, "on_part_end": self._end,
            "on_header_field": self._field, "on_header_value": self._said, "on_header_end": self._keep,
        }  # fmt: skip

    def _begin(self) -> None:
        self._count += 1
        if self._count > _PARTS:
            raise Refused(413, f"a form of more than {_PARTS:,} parts")
        self._headers, self._content = {}, []

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _said(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _keep(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if not name:
            raise Refused(400, "a part of the form has no name")
        content = b"".join(self._content)
        if b"filename" in options:
            cell: Any = content or None
        else:
            try:
                cell = content.decode()
            except UnicodeDecodeError:
                raise Refused(400, f"field {name[:60]!r} of the form is not UTF-8") from None
        self.cells.setdefault(name, []).append(cell)


def cells_of_form(body: bytes, content_type: str) -> dict[str, list[Any]]:
    """Texts and files by field, in their order.

    Args:
        body: The whole form.
        content_type: The header, with the boundary.

    Raises:
        Refused: It is broken, has too many parts, or a part without a name.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    boundary = parse_options_header(content_type.encode("latin-1"))[1].get(b"boundary", b"")
    if not boundary:
        raise Refused(400, "the form says no boundary in Content-Type")
    parts = _Parts()
    try:
        parser = MultipartParser(boundary, parts.callbacks())  # type: ignore[arg-type]  # a TypedDict that all keys fit
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refused(400, f"the form is broken: {str(error)[:200]}") from None
    return parts.cells
