"""Which code made what lies in the cache: after an upgrade, cells may be read otherwise."""

from functools import cache
from pathlib import Path

from trueweight.files import digest_bytes

__all__ = ["code_print"]

_ROOM = Path(__file__).parent


@cache
def code_print() -> str:
    """Digest of everything that reads cells, learns facts from them and encodes them. It is part of each address in
    the cache, so that facts and blocks which other code made are not taken for ours; a version number alone would be
    forgotten while a column type is being worked on."""
    files = sorted(_ROOM.rglob("*.py"))
    return digest_bytes(*(part for file in files for part in (file.name.encode(), file.read_bytes())))
