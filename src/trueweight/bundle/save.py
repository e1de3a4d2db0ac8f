"""Writes a bundle once: a temporary sibling, the manifest last, one rename to a free name."""

import errno
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trueweight.bundle.format import (
    CARD,
    EVIDENCE,
    MANIFEST,
    PLAN,
    RESOLVED,
    SIGNATURE,
    SPEC,
    SUFFIX,
    FileFact,
    Lineage,
    Manifest,
    is_safe_path,
)  # fmt: skip
from trueweight.bundle.golden import Golden
from trueweight.bundle.parts import origins, parts_of
from trueweight.bundle.redact import (
    check_private,
    without_folders_in_json,
    without_folders_in_setting,
    without_folders_in_words,
    without_folders_in_yaml,
)  # fmt: skip
from trueweight.bundle.specs import parse_yaml
from trueweight.bundle.tree import tree_files
from trueweight.data.signature import Signature
from trueweight.errors import TrainError
from trueweight.evidence.record import Evidence
from trueweight.files import atomic_folder, canonical_json, safe_name
from trueweight.model.protocols import Predictor

__all__ = ["Contents", "save_bundle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """Everything a bundle holds, before it is files."""

    name: str
    spec_yaml: str
    """As asked for, comments and all. Absolute paths lose their folders on the way in."""
    resolved_yaml: str
    """With every default."""
    plan: Mapping[str, Any]
    """What a clock decided; plain JSON."""
    signature: Signature
    predictor: Predictor
    evidence: Evidence
    card: str
    """Markdown."""
    golden: Golden | None = None
    settings: Sequence[str] = field(default=())
    """What ``--set`` asked for, as ``a.b=c``."""
    min_group: int = 10
    """Fewest rows that a category may have and still be named; ``bundle.min_group`` of the spec."""
    parent: str | None = None
    """Digest of the bundle this one was made from, if any."""
    lineage: Lineage | None = None
    """What was taken over from it, if it was started from."""


def save_bundle(path: Path, contents: Contents) -> Path:
    """Write a bundle, and say where.

    Interrupted at any moment, there is either a whole bundle or none.

    Args:
        path: Where it should be, ``runs/claims-01/claims.bundle``. If that is taken, ``claims-2.bundle`` and so on.
        contents: What to write. Its texts end up inside files, never in their names.

    Returns:
        The folder that was made.

    Raises:
        TrainError: The disk is full, or the folder may not be written to.
        TrueweightError: The signature names a level of too few rows (a bug).
        ValueError: A fact is NaN or infinite (a bug: JSON has no word for it).
    """
    files = _render(contents)
    for target in _free_names(path):
        try:
            with atomic_folder(target) as folder:
                for name, content in files.items():
                    _write_file(folder / name, content)
        except FileExistsError as error:
            if not target.exists():
                hint = "choose another folder with --out DIR"
                raise TrainError("a file is where the folder should be", where=str(path.parent), hint=hint) from error
        except OSError as error:
            # Another process took the name between our look and the rename.
            if error.errno != errno.ENOTEMPTY:
                raise
        except TrainError:
            if not target.exists():
                raise
        else:
            return target
    raise AssertionError("names never run out")


def _free_names(path: Path) -> Iterator[Path]:
    stem = safe_name(path.name.removesuffix(SUFFIX))
    number = 1
    while True:
        target = path.with_name(f"{stem}-{number}{SUFFIX}" if number > 1 else f"{stem}{SUFFIX}")
        if not target.exists():
            yield target
        number += 1


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)


def _render(contents: Contents) -> dict[str, bytes]:
    """Every file's content by path, the manifest last."""
    check_private(contents.signature, contents.min_group)
    state = contents.predictor.state()
    asked = {SPEC: contents.spec_yaml, RESOLVED: contents.resolved_yaml}
    specs = {name: without_folders_in_yaml(text, contents.settings) for name, text in asked.items()}
    files = {name: text.encode() for name, text in specs.items()}
    files[PLAN] = canonical_json(without_folders_in_json(contents.plan)).encode()
    files[SIGNATURE] = canonical_json(contents.signature.to_json()).encode()
    files |= tree_files(state)
    files[EVIDENCE] = canonical_json(_evidence(contents.evidence).to_json()).encode()
    files[CARD] = contents.card.encode()
    files |= contents.golden.files() if contents.golden else {}
    assert all(is_safe_path(name) for name in files)
    parts = parts_of(state, contents.signature, [parse_yaml(text, name) for name, text in specs.items()])
    files[MANIFEST] = canonical_json(_manifest(contents, files, origins(parts)).to_json()).encode()
    return files


def _evidence(evidence: Evidence) -> Evidence:
    """The same facts; commands that reproduce them have lost this machine's folders."""
    return Evidence(
        tuple(replace(e, reproduce=without_folders_in_words(e.reproduce)) if e.reproduce else e for e in evidence)
    )


def _manifest(contents: Contents, files: Mapping[str, bytes], parts: Mapping[str, Mapping[str, str]]) -> Manifest:
    return Manifest(
        trueweight=version("trueweight"),
        torch=version("torch"),
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        name=contents.name,
        files={name: FileFact(f"sha256:{hashlib.sha256(data).hexdigest()}", len(data)) for name, data in files.items()},
        parts=parts,
        settings=tuple(without_folders_in_setting(setting) for setting in contents.settings),
        parent=contents.parent,
        lineage=contents.lineage,
    ).sealed()
