"""Who asked what when, without what was asked: a file of lines, each with the digest of the one before.

A line that is changed, taken out or put in breaks the chain from there on. Only the end can be cut off unseen, which is
why the last digest is told when a server stops and can be kept elsewhere.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from trueweight.errors import DataError, VerifyError
from trueweight.files import disk_errors

__all__ = ["AuditLog", "check_audit"]

_START = "0" * 64

_KEPT = 2**26
"""Bytes that wait for room on the disk; what is noted beyond them is lost, which shows as lines that were taken out."""


class AuditLog:
    """Appends to one file, which only this process writes to.

    Args:
        path: Made where there is none; a chain that is there is gone on with.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk_errors(path, "--audit"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.head = check_audit(path)[1] if path.exists() else _START
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._waiting: list[bytes] = []
        self._rest = b""

    def note(self, facts: Mapping[str, Any]) -> None:
        """Add a line; it is written later, see :meth:`take`."""
        line = to_json(dict(sorted({**facts, "previous": self.head}.items())))
        self.head = hashlib.sha256(line).hexdigest()
        self._waiting.append(line)

    def take(self) -> list[bytes]:
        """Lines that are not written yet, for :meth:`write`. Belongs to the event loop."""
        lines, self._waiting = self._waiting, []
        return lines

    def write(self, lines: list[bytes]) -> None:
        """Write them, and first of all what could not be written before; may run in any thread, one call at a time."""
        if lines and len(self._rest) < _KEPT:
            self._rest += b"\n".join(lines) + b"\n"
        with disk_errors(self.path, "--audit"):
            while self._rest:
                self._rest = self._rest[os.write(self._file, self._rest) :]

    def close(self) -> None:
        """Write what waits, and let go. Where nobody ever asked, no file is left."""
        self.write(self.take())
        os.fsync(self._file)
        os.close(self._file)
        if self.head == _START:
            self.path.unlink(missing_ok=True)


def check_audit(path: Path) -> tuple[int, str]:
    """Follow the chain.

    Returns:
        Number of lines, and the digest of the last one.

    Raises:
        DataError: The file cannot be read.
        VerifyError: A line does not follow from the one before.
    """
    head, number = _START, 0
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):  # the last one is told
                plain = line.removesuffix(b"\n")
                if _previous(plain) != head:
                    said = "this line does not follow from the one before: something was changed, taken out or put in"
                    raise VerifyError(said, where=f"{path}:{number}")
                head = hashlib.sha256(plain).hexdigest()
    except OSError as error:
        raise DataError(f"the log cannot be read: {error.strerror}", where=str(path)) from None
    return number, head


def _previous(line: bytes) -> str:
    try:
        return str(json.loads(line)["previous"])
    except (ValueError, KeyError, TypeError):
        return ""
