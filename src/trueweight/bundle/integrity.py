"""Is every byte of a bundle what the manifest says? Nothing is interpreted, imported or followed here."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from trueweight.bundle.format import MANIFEST, REQUIRED, is_safe_path, manifest_digest
from trueweight.bundle.migrate import check_readable
from trueweight.errors import VerifyError
from trueweight.files import canonical_json

__all__ = ["Change", "Content", "ManifestChangedError", "inspect", "parse_json", "read_content", "read_manifest"]


class ManifestChangedError(VerifyError):
    """The manifest is there but is not what was written, so nothing can be compared with it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One file that is not as the manifest says."""

    file: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file} {self.problem}"


@dataclass(frozen=True, slots=True)
class Content:
    """A bundle's bytes, read once: what is interpreted later is what was checked."""

    path: Path
    manifest: Mapping[str, Any]
    """As found, in its own format."""
    files: Mapping[str, bytes]
    """By path below the bundle; the manifest is not among them."""


def read_content(path: Path) -> Content:
    """Read every file of a bundle.

    Raises:
        VerifyError: Not a bundle, or any file is missing, added, cut short or changed; lists them all.
    """
    content, changes = inspect(path)
    if changes:
        more = f" (and {len(changes) - 3} more)" if len(changes) > 3 else ""
        listed = "; ".join(map(str, changes[:3]))
        hint = "get a fresh copy; a bundle is never edited, later facts go beside it"
        raise VerifyError(f"the bundle was changed: {listed}{more}", where=str(path), hint=hint)
    return content


def inspect(path: Path) -> tuple[Content, list[Change]]:
    """Read every file of a bundle, and list what is not as the manifest says.

    Raises:
        VerifyError: There is no manifest to compare with, or it is itself changed or too new.
    """
    manifest = read_manifest(path)
    facts = _file_facts(manifest)
    found, changes = {}, []
    here = dict(_walk(path))
    here.pop(MANIFEST, None)
    for name, problem in here.items():
        if problem or name not in facts:
            changes.append(Change(name, problem or "was added"))
    for name, (digest, size) in facts.items():
        if name not in here:
            changes.append(Change(name, "is missing"))
        elif not here[name]:
            found[name] = _read(path / name)
            if problem := _difference(found[name], digest, size):
                changes.append(Change(name, problem))
    return Content(path, manifest, found), sorted(changes, key=lambda change: change.file)


def _near_bundles(path: Path) -> str:
    """What could have been meant: bundles in the same folder, or below it."""
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r} either"
    found = [str(one) for pattern in ("*.bundle", "*/*.bundle") for one in sorted(folder.glob(pattern))]
    near = get_close_matches(str(path), found, n=1) or found[:1]
    return f"did you mean {near[0]!r}?" if near else "check the path"


def _simple_last(path: Path) -> tuple[bool, Path]:
    """Beside a model lie the simple ones that it was compared with: nobody means these first."""
    return path.stem in ("constant", "linear", "copy", "nearest_neighbour", "n_gram"), path


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest as found, checked against its own digest.

    Raises:
        VerifyError: Not a bundle, too new, or changed.
    """
    if not path.exists():
        raise VerifyError(f"there is no bundle {str(path)!r}", hint=_near_bundles(path))
    file = path / MANIFEST
    if not path.is_dir() or not os.path.lexists(file):
        inner = sorted(path.glob("*.bundle"), key=_simple_last) if path.is_dir() else []
        hint = f"a bundle is a folder with {MANIFEST}, as `trueweight train` writes it"
        hint = f"did you mean {str(inner[0])!r}?" if inner else hint
        raise VerifyError(f"{str(path)!r} is not a bundle", hint=hint)
    if not stat.S_ISREG(file.lstat().st_mode):
        raise VerifyError(f"{MANIFEST} is not a plain file", where=str(path))
    content = _read(file)
    try:
        raw = parse_json(content, MANIFEST)
    except VerifyError as error:
        raise ManifestChangedError(error.problem, where=str(path)) from None
    if not isinstance(raw, dict) or "format" not in raw:
        raise ManifestChangedError(f"{MANIFEST} does not hold a manifest", where=str(path))
    check_readable(raw["format"], raw.get("trueweight"))
    if canonical_json(raw).encode() != content or raw.get("digest") != manifest_digest(raw):
        raise ManifestChangedError(f"{MANIFEST} was changed: it does not match its own digest", where=str(path))
    return raw


def parse_json(content: bytes, name: str) -> Any:
    """Parse JSON, refusing NaN and infinities.

    Raises:
        VerifyError: Not such JSON.
    """
    try:
        return json.loads(content.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise VerifyError(f"this is not valid JSON: {error}", where=name) from None


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not allowed in a bundle")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is larger than any number")
    return value


def _file_facts(manifest: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """Path to (digest, bytes), every path safe."""
    try:
        facts = {str(name): (str(raw["sha256"]), int(raw["bytes"])) for name, raw in manifest["files"].items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise VerifyError(f"{MANIFEST} does not list the bundle's files", where=MANIFEST) from None
    for name in facts:
        if not is_safe_path(name) or name == MANIFEST:
            raise VerifyError(f"the manifest lists {name!r}, which is no path inside a bundle", where=MANIFEST)
    if absent := [name for name in REQUIRED if name not in facts]:
        raise VerifyError(f"the bundle has no {absent[0]}", where=MANIFEST)
    return facts


def _walk(path: Path, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(path, problem or "") of everything below that is not a folder. Links are never followed."""
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except OSError as error:
        raise VerifyError(f"cannot list {prefix or 'the bundle'}: {error.strerror}", where=str(path)) from None
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.is_symlink():
            yield name, "is a link, which may point outside the bundle"
        elif entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), f"{name}/")
        else:
            yield name, "" if entry.is_file(follow_symlinks=False) else "is not a plain file"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VerifyError(f"cannot read {path.name}: {error.strerror}", where=str(path.parent)) from None


def _difference(content: bytes, digest: str, size: int) -> str:
    if len(content) < size:
        return f"is cut short: {len(content)} of {size} bytes"
    if len(content) > size:
        return f"has grown: {len(content)} bytes instead of {size}"
    return "" if f"sha256:{hashlib.sha256(content).hexdigest()}" == digest else "has other content"
