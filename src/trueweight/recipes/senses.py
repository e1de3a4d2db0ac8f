"""The recipe for texts, pictures, sounds and series: which encoder reads a column that says nothing of one.

Each constant names where it comes from. They were chosen on the calibration list of ``benchmarks/lists.py`` and never
on the benchmark list.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from trueweight.registry import registry
from trueweight.spec.base import PartSpec

__all__ = ["SENSES", "with_defaults"]

# A bidirectional LSTM that reads steps as they are; rates of dropout and hidden units from the recipes for recurrent
# networks (two layers, forget bias 1, orthogonal weights), halved in width because two laptop cores must finish.
_SERIES = {"type": "lstm", "hidden_size": 64, "layers": 2, "bidirectional": True, "dropout": 0.2, "pooling": "mean"}

SENSES: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "timeseries": {"encoder": [_SERIES], "augment": [{"type": "jitter"}, {"type": "scaling"}]},
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
