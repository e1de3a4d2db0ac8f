"""Pictures and sounds from a request: content only, never a path of this machine, and none that unpacks to too much."""

import io
from typing import Any

from trueweight.data.media import UnusableError, file_bytes, media_array
from trueweight.data.pictures import FORMATS, calm
from trueweight.data.signature import Signature
from trueweight.data.table import Table
from trueweight.serve.limits import Limits
from trueweight.serve.refusals import Refused

__all__ = ["guard_media", "media_columns"]

_MEDIA = ("image", "audio")

_PICTURES = 10
"""Times the most pixels of one picture that all of one request may have: plain ones are packed so small that a body
holds hundreds, and each takes a third of a second."""


def media_columns(signature: Signature) -> dict[str, str]:
    """Features that hold files, with their types."""
    return {facts.name: facts.type for facts in signature.features() if facts.type in _MEDIA}


def guard_media(table: Table, columns: dict[str, str], limits: Limits) -> None:
    """Look at every file's head before anything is decoded.

    Args:
        table: Rows of requests.
        columns: From :func:`media_columns`.
        limits: Most pixels, most seconds.

    Raises:
        Refused: A cell names a path or an address, or claims to be too large; or all pictures together do.
    """
    pixels = 0
    for name, kind in columns.items():
        if name not in table.names:
            continue
        array = media_array(table.column(name))
        if array is None:
            raise Refused(422, f"{name}: cells of this type hold no {kind}")
        for row, cell in enumerate(array.to_pylist()):
            pixels += _guard(f"{name}, row {row}", kind, cell, limits)
            if pixels > _PICTURES * limits.pixels:
                said = f"pictures of more than {_PICTURES * limits.pixels:,} pixels altogether"
                raise Refused(413, said, hint="send fewer at a time")


def _guard(where: str, kind: str, cell: Any, limits: Limits) -> int:
    """Pixels that the cell holds."""
    if cell is None or not len(cell):
        return 0
    if isinstance(cell, str) and not cell.lstrip().startswith("data:"):
        hint = "send the file's bytes: as a data: address in JSON, as binary in Arrow, or as a file of a form"
        raise Refused(422, f"{where}: a text is no {kind}", hint=hint)
    if isinstance(cell, bytes) and cell.startswith(b"\x00path:"):
        raise Refused(422, f"{where}: paths are not followed")
    try:
        content = file_bytes(cell if isinstance(cell, bytes) else cell.strip(), None)
    except UnusableError:
        return 0  # it will count as missing, as everywhere
    if kind == "image":
        return _guard_picture(where, content, limits.pixels)
    _guard_sound(where, content, limits.seconds_of_sound)
    return 0


def _guard_picture(where: str, content: bytes, most: int) -> int:
    from PIL import Image

    with calm():
        try:
            wide, high = Image.open(io.BytesIO(content), formats=FORMATS).size
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            wide, high = most + 1, 1
        except Exception:  # whatever cannot be opened counts as missing later
            return 0
    if wide * high > most:
        raise Refused(413, f"{where}: a picture of more than {most:,} pixels")
    return int(wide * high)


def _guard_sound(where: str, content: bytes, most: float) -> None:
    import soundfile

    try:
        facts = soundfile.info(io.BytesIO(content))
    except Exception:  # as above
        return
    if facts.duration > most:
        raise Refused(413, f"{where}: a sound of more than {most:,.0f} seconds")
