"""Reading bundles of the format before this one: pure functions from JSON to JSON.

A migration gets every ``.json`` document of a bundle by its path, the manifest included, and returns the
documents as the next format would have written them. It touches no file and loads no model.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from trueweight.bundle.format import FORMAT, MANIFEST
from trueweight.errors import VerifyError

__all__ = ["MIGRATIONS", "Documents", "Migration", "check_readable", "migrate"]

Documents: TypeAlias = Mapping[str, Any]
"""Parsed JSON by path below the bundle."""

Migration: TypeAlias = Callable[[Documents], Documents]

MIGRATIONS: dict[int, Migration] = {}
"""From a format to the next. Format 1 is the first, so there is none yet."""


def check_readable(found: Any, written_by: Any) -> None:
    """Refuse formats that this version cannot read.

    Raises:
        VerifyError: Newer than ours, older than the one before ours, or no format at all.
    """
    if not isinstance(found, int) or isinstance(found, bool):
        raise VerifyError(f"the bundle's format is {found!r}, which is no format", where=MANIFEST)
    if found > FORMAT:
        hint = f"it was written by trueweight {written_by}: pip install --upgrade trueweight"
        raise VerifyError(
            f"the bundle has format {found}, this version reads up to {FORMAT}", where=MANIFEST, hint=hint
        )
    if found < FORMAT and (found < FORMAT - 1 or found not in MIGRATIONS):
        hint = "load it with an older trueweight, or train it again"
        raise VerifyError(f"the bundle has format {found}, too old for this version", where=MANIFEST, hint=hint)


def migrate(documents: Documents, found: int) -> Documents:
    """Documents of format ``found`` as documents of today's format."""
    for step in range(found, FORMAT):
        documents = MIGRATIONS[step](documents)
    return documents
