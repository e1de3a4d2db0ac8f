"""Evidence wherever it is kept: in a bundle, in a folder of later facts, in one file. No model is loaded for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueweight.bundle.detached import read_detached_file, read_folder
from trueweight.bundle.format import EVIDENCE, MANIFEST, RESOLVED, SUFFIX, Manifest
from trueweight.bundle.integrity import parse_json, read_content
from trueweight.bundle.migrate import migrate
from trueweight.bundle.specs import parse_yaml
from trueweight.errors import VerifyError
from trueweight.evidence.record import Evidence

__all__ = ["Judged", "read_judged"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What was measured of a model, and what its spec says it must keep to."""

    name: str
    """Of the model, or of the file."""
    evidence: Evidence
    gates: tuple[Any, ...] = ()
    """Rules of the model's own spec, as plain data."""
    by: str = ""
    """Who measured; empty for what was measured when the bundle was made."""


def read_judged(path: Path) -> Judged:
    """The evidence at a path: a bundle, a ``NAME.evidence`` folder (its latest file), or a file of one.

    Raises:
        VerifyError: There is none, or the bundle was changed.
    """
    if path.is_file():
        found = read_detached_file(path)
        return Judged(path.stem, found.evidence, by=found.by)
    holds_bundles = path.is_dir() and any(path.glob(f"*{SUFFIX}"))  # as the folder of a run, whose files are no facts
    if path.is_dir() and not (path / MANIFEST).exists() and not holds_bundles and (later := read_folder(path)):
        return Judged(path.name.removesuffix(".evidence"), later[-1].evidence, by=later[-1].by)
    if path.is_dir() and path.name.endswith(".evidence"):
        raise VerifyError(f"{str(path)!r} holds no evidence yet", hint="trueweight evaluate writes some")
    return _of_bundle(path)


def _of_bundle(path: Path) -> Judged:
    content = read_content(path)
    facts = {name: parse_json(data, name) for name, data in content.files.items() if name.endswith(".json")}
    documents = migrate({MANIFEST: dict(content.manifest), **facts}, content.manifest["format"])
    spec = parse_yaml(content.files[RESOLVED].decode("utf-8", "replace"), RESOLVED)
    gates = spec.get("gates") if isinstance(spec, dict) else None
    name = Manifest.from_json(documents[MANIFEST]).name
    return Judged(name, Evidence.from_json(documents[EVIDENCE]), tuple(gates) if isinstance(gates, list) else ())
