"""The look ledger: how often test rows have been looked at.

A test set that was looked at twenty times has been selected on a little. Every look is therefore a line in
``looks.jsonl``, in the folder that holds the runs, and is printed: "look 3". A line names the digest of the
rows, never anything in them.
"""

import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from trueweight.errors import TrainError
from trueweight.files import disk_errors

__all__ = ["LEDGER", "Look", "looks", "record_known_look", "record_look"]

LEDGER = "looks.jsonl"
"""Name of the file."""

_SCHEMA = 1
_LOG = logging.getLogger("trueweight.evidence")


@dataclass(frozen=True, slots=True)
class Look:
    """One time that somebody looked at test rows."""

    number: int
    """1 for the first look at these rows."""
    digest: str
    """Of the test rows."""
    by: str
    """What looked: a bundle's or run's name."""
    purpose: str
    """"train", "evaluate", "verify", …"""
    at: str
    """UTC, ISO 8601."""


def record_look(folder: Path, digest: str, *, by: str, purpose: str) -> int:
    """Note a look at test rows, before looking, and say the how-manieth it is.

    Lines are only ever added. Two processes may do so at once; a line that an earlier kill cut short is left
    as it is and not counted.

    Args:
        folder: Where the runs are; made if it does not exist.
        digest: Of the test rows, ``sha256:…``.
        by: What looks.
        purpose: Why.

    Raises:
        TrainError: The folder may not be written to, or the disk is full.
    """
    with disk_errors(folder / LEDGER):
        folder.mkdir(parents=True, exist_ok=True)
        with _held(folder / LEDGER) as file:
            content = file.read()
            number = 1 + len([raw for raw in _lines(content) if raw["digest"] == digest])
            now = datetime.now(UTC).isoformat(timespec="seconds")
            raw = {"schema": _SCHEMA, "digest": digest, "by": by, "purpose": purpose, "at": now}
            torn = bool(content) and not content.endswith(b"\n")
            file.write(b"\n" * torn + json.dumps(raw, sort_keys=True, ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    return number


def record_known_look(folder: Path, digest: str, *, by: str, purpose: str) -> int:
    """Note another look at rows that the ledger of a folder knows as test rows; others are nobody's test rows here.

    A ledger that may not be read or written is left alone: whoever verifies a bundle need not own it.

    Returns:
        The how-manieth look it is; 0 if nothing was noted.
    """
    try:
        return record_look(folder, digest, by=by, purpose=purpose) if looks(folder, digest) else 0
    except (OSError, TrainError) as error:
        _LOG.info("this look at test rows is not noted in %s: %s", folder / LEDGER, error)
        return 0


def looks(folder: Path, digest: str) -> list[Look]:
    """All looks at these rows, the first first. Empty when there is no ledger."""
    path = folder / LEDGER
    if not path.exists():
        return []
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        content = file.read()
    mine = [raw for raw in _lines(content) if raw["digest"] == digest]
    return [Look(i, digest, raw["by"], raw["purpose"], raw["at"]) for i, raw in enumerate(mine, start=1)]


@contextmanager
def _held(path: Path) -> Iterator[IO[bytes]]:
    """The file open for reading and appending, with nobody else writing. Waits: a look takes a moment."""
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        yield file


def _lines(content: bytes) -> Iterator[dict[str, str]]:
    for line in content.splitlines():
        try:
            raw = json.loads(line)
            yield {key: str(raw[key]) for key in ("digest", "by", "purpose", "at")}
        except (ValueError, KeyError, TypeError):
            if line.strip():
                _LOG.warning("%s has a line that cannot be read; it is not counted", LEDGER)
