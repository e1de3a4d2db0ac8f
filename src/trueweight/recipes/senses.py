"""The recipe for texts, pictures, sounds and series: which encoder reads a column that says nothing of one.

Each constant names where it comes from. They were chosen on the calibration list of ``benchmarks/lists.py`` and never
on the benchmark list.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from trueweight.registry import registry
from trueweight.spec.base import PartSpec

__all__ = ["SENSES", "with_defaults"]

SENSES: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "image": {"encoder": [{"type": "cnn"}], "augment": [{"type": "shift"}, {"type": "horizontal_flip", "grey": False}]},
    # Three layers of 128 that look at 5 steps, each halving them: one step then sees a third of a second.
    "audio": {
        "encoder": [{"type": "cnn", "channels": [128, 128, 128], "kernel_sizes": [5]}],
        "augment": [{"type": "spec_augment"}],
    },
}
"""By column type: ``encoder``, one part or several in a row, and ``augment``, each as plain data."""


def with_defaults(part: PartSpec) -> PartSpec:
    """The same column type, with an encoder of its own and augmentations where it is one of the senses.

    Args:
        part: Of kind column. Not changed.
    """
    chosen = SENSES.get(part.type)
    if chosen is None:
        return part
    asked = part.model_dump()
    changes: dict[str, Any] = {}
    if asked["encoder"] is None:
        parts = [_part("encoder", raw) for raw in chosen["encoder"]]
        changes["encoder"] = parts[0] if len(parts) == 1 else _part("encoder", {"type": "chain", "parts": parts})
    if asked["augment"] is None:
        changes["augment"] = [_part("augmentation", raw) for raw in chosen["augment"]]
    return part.model_copy(update=changes)


def _part(kind: str, raw: Mapping[str, Any]) -> PartSpec:
    chosen: Any = registry(kind)[raw["type"]]
    part: PartSpec = chosen.model_validate(dict(raw))
    return part
