"""Facts that came after the bundle: files in ``NAME.evidence/`` beside it, each naming the bundle's digest."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from trueweight.bundle.format import SUFFIX
from trueweight.bundle.integrity import read_manifest
from trueweight.errors import VerifyError
from trueweight.evidence.record import Evidence
from trueweight.files import canonical_json, digest_bytes, disk_errors, read_json, write_json

__all__ = ["Detached", "add_detached", "evidence_folder", "read_detached"]

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Detached:
    """One file of later facts."""

    path: Path
    bundle: str
    """Digest of the bundle that was measured."""
    by: str
    """Who measured."""
    produced_at: str
    """UTC, ISO 8601."""
    evidence: Evidence
    matches: bool
    """Whether the bundle beside it is the one that was measured."""


def evidence_folder(path: Path | str) -> Path:
    """Where later facts about a bundle are kept: ``claims.evidence`` for ``claims.bundle``."""
    path = Path(path)
    return path.with_name(f"{path.name.removesuffix(SUFFIX)}.evidence")


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
    now = datetime.now(UTC)
    content = {
        "schema": SCHEMA,
        "bundle": str(read_manifest(Path(path))["digest"]),
        "by": by,
        "produced_at": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "evidence": evidence.to_json(),
    }
    folder = evidence_folder(path)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    short = digest_bytes(canonical_json(content).encode()).removeprefix("sha256:")[:8]
    file = folder / f"{now:%Y%m%dT%H%M%S%f}Z-{short}.json"
    write_json(file, content)
    return file


def read_detached(path: Path | str) -> list[Detached]:
    """All later facts beside a bundle, oldest first.

    Raises:
        VerifyError: Not a bundle, or a file of facts cannot be read.
    """
    digest = read_manifest(Path(path))["digest"]
    return list(_read(evidence_folder(path), digest))


def _read(folder: Path, digest: str) -> Iterator[Detached]:
    for file in sorted(folder.glob("[!.]*.json")):
        raw = read_json(file)
        try:
            if raw["schema"] != SCHEMA:
                raise VerifyError(f"schema {raw['schema']!r}, this version reads {SCHEMA}", where=str(file))
            evidence = Evidence.from_json(raw["evidence"])
            yield Detached(file, raw["bundle"], raw["by"], raw["produced_at"], evidence, raw["bundle"] == digest)
        except (KeyError, TypeError) as error:
            raise VerifyError(f"not detached evidence: {error!r}", where=str(file)) from None
