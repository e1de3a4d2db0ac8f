"""The recipe for texts, pictures, sounds and series: which encoder reads a column that says nothing of one.

Each constant names where it comes from. They were chosen on the calibration list of ``benchmarks/lists.py`` and never
on the benchmark list.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from trueweight.errors import SpecError
from trueweight.registry import registry
from trueweight.spec.base import PartSpec

__all__ = ["SENSES", "passes", "require_fitting", "with_defaults"]

# The fully convolutional network of Wang, Yan and Oates 2017, arXiv:1611.06455 (kernels of 8, 5 and 3 steps, global
# means), half as wide and with kernels of odd length. Alone on GunPoint, seeds 0 and 1: 0.84 and 0.93, where two
# bidirectional layers of an LSTM had 0.78 and 0.82 in more time.
_SERIES = {"type": "cnn", "channels": [64, 128, 128], "kernel_sizes": [7, 5, 3]}

SENSES: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "timeseries": {"encoder": [_SERIES], "augment": [{"type": "jitter"}, {"type": "scaling"}]},
    "text": {"encoder": [{"type": "bag"}], "augment": []},
    # Two pixels of 32 and mirrored pictures are airbench's (Jordan 2024, arXiv:2404.00498). Grey pictures are not
    # mirrored: they are digits, letters and scans too often, of which the mirror image is something else. Nor are
    # coloured ones whose classes the training rows show to differ from their mirror images (data/mirrors.py).
    "image": {
        "encoder": [{"type": "cnn"}],
        "augment": [{"type": "shift"}, {"type": "horizontal_flip", "grey": False, "wary": True}],
    },
    # Three layers of 128 that look at 5 steps, each halving them: one step then sees a third of a second.
    "audio": {
        "encoder": [{"type": "cnn", "channels": [128, 128, 128], "kernel_sizes": [5]}],
        "augment": [{"type": "spec_augment"}],
    },
}
"""By column type: ``encoder``, one part or several in a row, and ``augment``, each as plain data."""

ROWS_SEEN: Mapping[str, int] = {"text": 30_000}
"""Training examples, repeats included, after which a network has learnt what it will from columns of this type. On
zh-reviews and clothing-reviews, validation losses of the bag were lowest after one to three passes over 10,000 to
15,000 rows; beside the linear model they are worth 0.3 points of accuracy, and more passes only took time."""

LEAST_PASSES = 2


def passes(types: Iterable[str], rows: int, usual: int) -> int:
    """How often training rows are seen at most.

    Args:
        types: Of the feature columns.
        rows: Of the table.
        usual: For tables without such columns.
    """
    sensed = {kind for kind in types if kind in SENSES}
    if not sensed or not sensed <= ROWS_SEEN.keys():
        return usual
    return min(usual, max(LEAST_PASSES, -(-max(ROWS_SEEN[kind] for kind in sensed) // max(rows, 1))))


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


def require_fitting(columns: Mapping[str, PartSpec], features: Iterable[str]) -> None:
    """Refuse augmentations that cannot be done.

    Args:
        columns: Columns that the spec names.
        features: All feature columns.

    Raises:
        SpecError: Every one that mixes rows that hold more than it mixes, or mixes twice. Those of another sense are
            refused where the spec is read.
    """
    others = list(features)
    wrong = [
        f"features.{name}.augment: {line}"
        for name, part in columns.items()
        if part.type in SENSES
        for line in _unfit(name, cast(Any, part).augment or [], others)
    ]
    if wrong:
        count = f"{len(wrong)} augmentation{'s' * (len(wrong) > 1)} cannot be done"
        raise SpecError("\n  ".join([count, *wrong]), where="features")


def _unfit(name: str, augment: Sequence[Any], features: Sequence[str]) -> Iterator[str]:
    mixing = [part.type for part in augment if part.mixes]
    beside = [repr(other) for other in features if other != name]
    if mixing and beside:
        shown = ", ".join(beside[:3]) + (", …" if len(beside) > 3 else "")
        yield f"{mixing[0]!r} mixes whole rows, and cannot mix {shown}: leave it out, or learn from {name!r} alone"
    if len(mixing) > 1:
        yield f"{' and '.join(map(repr, mixing))} both mix rows: keep one"


def _part(kind: str, raw: Mapping[str, Any]) -> PartSpec:
    chosen: Any = registry(kind)[raw["type"]]
    part: PartSpec = chosen.model_validate(dict(raw))
    return part
