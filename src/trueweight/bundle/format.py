"""Bundle format 1: which files there are, what the manifest says, how far answers may differ.

claims.bundle/
  manifest.json        format, digests of every file, parts and where they come from, parent
  spec.yaml resolved.yaml plan.json signature.json
  predictor.json       the tree: {kind, codecs?, facts?, weights?, members: [...]}
  members/0/           codecs.json, state.safetensors, facts.json
  evidence.json  MODEL_CARD.md
  golden/              rows.jsonl with answers.json, that every load must reproduce
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from trueweight.errors import VerifyError
from trueweight.files import canonical_json, digest_bytes

__all__ = [
    "ANSWERS", "CARD", "EVIDENCE", "FORMAT", "MANIFEST", "PLAN", "PREDICTOR", "REQUIRED", "RESOLVED", "ROWS",
    "SIGNATURE", "SPEC", "SUFFIX", "TOLERANCES", "FileFact", "Lineage", "Manifest", "Tolerance",
    "is_safe_path", "manifest_digest",
]  # fmt: skip

FORMAT = 1
"""Of the bundles written. This one and the one before are read."""

SUFFIX = ".bundle"

MANIFEST = "manifest.json"
SPEC = "spec.yaml"
RESOLVED = "resolved.yaml"
PLAN = "plan.json"
SIGNATURE = "signature.json"
PREDICTOR = "predictor.json"
EVIDENCE = "evidence.json"
CARD = "MODEL_CARD.md"
ROWS = "golden/rows.jsonl"
ANSWERS = "golden/answers.json"

REQUIRED = (SPEC, RESOLVED, PLAN, SIGNATURE, PREDICTOR, EVIDENCE, CARD)
"""Without these there is no bundle; members and golden rows depend on the model."""

_PIECE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def is_safe_path(name: str) -> bool:
    """Whether ``name`` is a relative path of plain ASCII pieces, none of which climbs or hides."""
    return all(_PIECE.fullmatch(piece) for piece in name.split("/"))


@dataclass(frozen=True, slots=True)
class FileFact:
    """What the manifest knows of one file."""

    sha256: str
    """``sha256:<hex>``."""
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What a model took over from an older one that it was started from."""

    digest: str
    """Of the older bundle or folder."""
    train: str
    """Which of the weights went on learning: whole, frozen, last_layers or lora."""
    copied: tuple[Mapping[str, Any], ...]
    """By part: member, role, field, source, tensors, weights."""
    share: float
    """Of all weights of the members that took something over."""
    trained: float
    """Share of these members' weights, small matrices included, that went on learning."""

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Lineage":
        """The inverse of ``asdict``."""
        return cls(**{**raw, "copied": tuple(dict(one) for one in raw["copied"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The list of everything else in the bundle; written last."""

    format: int = FORMAT
    trueweight: str
    """Version that wrote the bundle."""
    torch: str
    """Version that computed the golden answers."""
    created: str
    """UTC, ISO 8601, whole seconds."""
    name: str
    files: Mapping[str, FileFact]
    """By path below the bundle; the manifest itself is not among them."""
    parts: Mapping[str, Mapping[str, str]]
    """Kind to name to the distribution that it came from, for every part the bundle names."""
    settings: tuple[str, ...] = ()
    """What ``--set`` asked for, as ``a.b=c``."""
    parent: str | None = None
    """Digest of the bundle this one was made from (compressed, tuned further), if any."""
    lineage: Lineage | None = None
    """What it took over, where it was started from an older model. Left out of the file where it was not."""
    digest: str = ""
    """Of everything above: the bundle's identity."""

    def sealed(self) -> "Manifest":
        """The same manifest with its digest filled in."""
        return replace(self, digest=manifest_digest(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``manifest.json``."""
        raw = asdict(self) | {"settings": list(self.settings)}
        if self.lineage is None:
            del raw["lineage"]
        return raw

    @classmethod
    def from_json(cls, raw: Any) -> "Manifest":
        """The inverse of :meth:`to_json`.

        Raises:
            VerifyError: Not a manifest of this format.
        """
        try:
            files = {str(name): FileFact(str(f["sha256"]), int(f["bytes"])) for name, f in raw["files"].items()}
            parts = {str(kind): {str(n): str(o) for n, o in found.items()} for kind, found in raw["parts"].items()}
            line = {"lineage": Lineage.from_json(raw["lineage"])} if raw.get("lineage") is not None else {}
            return cls(**{**raw, "files": files, "parts": parts, "settings": tuple(raw["settings"]), **line})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VerifyError(f"{MANIFEST} does not hold a manifest: {error!r}") from None


def manifest_digest(raw: Mapping[str, Any]) -> str:
    """The digest of a manifest's content, its own ``digest`` left out. The rule is the same for every format."""
    return digest_bytes(canonical_json({key: raw[key] for key in raw if key != "digest"}).encode())


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an answer may be from the golden one."""

    same_torch: float
    """With the torch version that made the golden answers."""
    elsewhere: float
    """With any other."""
    why: str


TOLERANCES: Mapping[tuple[str, str], Tolerance] = {
    ("probability", "float32"): Tolerance(
        1e-5, 1e-4, "float32 keeps 7 digits; other machines and kernels add up the same products in another order"
    ),
    ("number", "float32"): Tolerance(
        1e-4, 1e-4, "in units of the target's standard deviation: far below what any metric shows"
    ),
    ("text", "float32"): Tolerance(
        1e-4, 1e-3, "mean log probability of a token: a sum over a vocabulary, of logits ten times as large as 1"
    ),
    ("text", "int8"): Tolerance(1e-1, 1e-1, "as of probabilities, of logits ten times as large as 1"),
    ("probability", "int8"): Tolerance(1e-2, 1e-2, "one step of an 8-bit scale, against its own golden answers"),
    ("number", "int8"): Tolerance(1e-2, 1e-2, "one step of an 8-bit scale, against its own golden answers"),
}
"""By kind of answer and the least exact type of weights. float64 weights still read float32 columns, so they
are held to float32's line."""
