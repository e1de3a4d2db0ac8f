"""Facts that came after the bundle: files in ``NAME.evidence/`` beside it, each naming the bundle's digest.

A model of another maker has no bundle; facts about it are kept in the same way and name the model's own digest.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trueweight.bundle.format import SUFFIX
from trueweight.bundle.integrity import parse_json, read_manifest
from trueweight.errors import TrainError, VerifyError
from trueweight.evidence.record import Evidence
from trueweight.files import canonical_json, digest_bytes, disk_errors, write_json

__all__ = [
    "NOBODY", "Detached", "add_detached", "evidence_folder", "read_detached", "read_detached_file", "read_folder",
    "require_place", "write_detached",
]  # fmt: skip

SCHEMA = 1

_NAME = re.compile(r"\d{8}T\d{12}Z-([0-9a-f]{8})\.json")
"""When the facts were found, and how the digest of the file begins."""

NOBODY = "unknown"
"""Who measured, where nobody said."""


@dataclass(frozen=True, slots=True)
class Detached:
    """One file of later facts."""

    path: Path
    bundle: str
    """Digest of the bundle (or of another maker's model) that was measured; empty where it has none."""
    by: str
    """Who measured."""
    produced_at: str
    """UTC, ISO 8601."""
    evidence: Evidence
    matches: bool
    """Whether the bundle beside it is the one that was measured."""
    model: Mapping[str, str] | None = None
    """What a model of another maker is called and is: ``{"name", "kind"}``; None for a bundle."""
    about: Mapping[str, Any] | None = None
    """What a report of such a model needs besides: signature, spec, command; as written, not looked into yet."""


def evidence_folder(path: Path | str) -> Path:
    """Where later facts about a bundle (or a model file) are kept: ``claims.evidence`` for ``claims.bundle``."""
    path = Path(path)
    stem = path.name.removesuffix(SUFFIX) if path.name.endswith(SUFFIX) else path.stem
    return path.with_name(f"{stem}.evidence")


def require_place(folder: Path) -> None:
    """Refuse before anything is measured what could not be kept afterwards.

    Args:
        folder: Where the facts are to go; it need not be there yet.

    Raises:
        TrainError: It may not be written to.
    """
    there = next((place for place in (folder, *folder.parents) if place.exists()), Path())
    if not os.access(there, os.W_OK):
        hint = "copy the model to a folder you may write to; from Python, keep=False measures without keeping"
        raise TrainError(f"no permission to write {folder.name}, where the facts are kept", where=str(there), hint=hint)


def add_detached(path: Path | str, evidence: Evidence, by: str) -> Path:
    """Write facts about a bundle beside it. The bundle itself is never edited.

    Args:
        path: The bundle.
        evidence: What was measured.
        by: Who measured, in words or as a mail address.

    Returns:
        The new file.

    Raises:
        VerifyError: Not a bundle.
        TrainError: The disk is full, or the folder may not be written to.
    """
    return write_detached(evidence_folder(path), str(read_manifest(Path(path))["digest"]), evidence, by)


def write_detached(
    folder: Path, digest: str, evidence: Evidence, by: str, *, model: Mapping[str, str] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """Write a file of facts.

    Args:
        folder: Where; made if it is not there.
        digest: Of what was measured; empty where it has none, as a function in memory.
        evidence: What was measured.
        by: Who measured.
        model: Name and kind of a model that is no bundle.
        about: What a report of it needs besides, as plain data.

    Returns:
        The new file.

    Raises:
        TrainError: The disk is full, or the folder may not be written to.
    """
    now = datetime.now(UTC)
    content = {
        "schema": SCHEMA,
        "bundle": digest,
        "by": by,
        "produced_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "evidence": evidence.to_json(),
    }
    content |= {} if model is None else {"model": dict(model)}
    content |= {} if about is None else {"about": dict(about)}
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{now:%Y%m%dT%H%M%S%f}Z-{_short_digest(canonical_json(content).encode())}.json"
    write_json(file, content)
    return file


def read_detached(path: Path | str) -> list[Detached]:
    """All later facts beside a bundle, oldest first.

    Raises:
        VerifyError: Not a bundle, or a file of facts cannot be read.
    """
    return read_folder(evidence_folder(path), read_manifest(Path(path))["digest"])


def read_folder(folder: Path, digest: str = "") -> list[Detached]:
    """All facts in a folder, oldest first.

    Args:
        folder: May be missing: then there are none.
        digest: Of what they should be about.

    Raises:
        VerifyError: A file of facts cannot be read.
    """
    return [read_detached_file(file, digest) for file in sorted(folder.glob("[!.]*.json"))]


def read_detached_file(file: Path, digest: str = "") -> Detached:
    """One file of facts. A slip of the hand is noticed by the digest in its name; who wants to deceive can rename it.

    Raises:
        VerifyError: It cannot be read, was changed since it was written, or holds something else.
    """
    content = file.read_bytes()
    named = _NAME.fullmatch(file.name)
    if named and named[1] != _short_digest(content):
        hint = "later facts are never edited: fetch the file again, or remove it and evaluate once more"
        raise VerifyError("these facts were changed since they were written", where=str(file), hint=hint)
    raw = parse_json(content, str(file))
    try:
        if raw["schema"] != SCHEMA:
            raise VerifyError(f"schema {raw['schema']!r}, this version reads {SCHEMA}", where=str(file))
        _require_texts(raw, file)
        evidence, model = Evidence.from_json(raw["evidence"]), raw.get("model")
        known = None if model is None else {"name": str(model["name"]), "kind": str(model["kind"])}
        matches, about = raw["bundle"] == digest, raw.get("about")
        return Detached(file, raw["bundle"], raw["by"], raw["produced_at"], evidence, matches, known, about)
    except (KeyError, TypeError, AttributeError) as error:
        raise VerifyError(f"not detached evidence: {error!r}", where=str(file)) from None


def _short_digest(content: bytes) -> str:
    return digest_bytes(content).removeprefix("sha256:")[:8]


def _require_texts(raw: Any, file: Path) -> None:
    for key in ("bundle", "by", "produced_at"):
        if not isinstance(raw[key], str):
            raise VerifyError(f"not detached evidence: {key} is {raw[key]!r}", where=str(file))
