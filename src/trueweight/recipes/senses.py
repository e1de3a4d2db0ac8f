"""The recipe for texts, pictures, sounds and series: which encoder reads a column that says nothing of one.

The constants are in one file per sense: ``images``, ``texts``, ``sounds`` and ``series``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from trueweight.errors import SpecError
from trueweight.recipes.images import IMAGE
from trueweight.recipes.recipe import Effort, SenseRecipe
from trueweight.recipes.series import SERIES
from trueweight.recipes.sounds import SOUND
from trueweight.recipes.tables import PRESETS, Preset
from trueweight.recipes.texts import TEXT
from trueweight.spec.base import PartSpec, part_from
from trueweight.spec.run import RunSpec

__all__ = ["SENSES", "encoder_part", "hurry", "passes", "preset_for", "require_fitting", "with_defaults"]

SENSES: Mapping[str, SenseRecipe] = {"timeseries": SERIES, "text": TEXT, "image": IMAGE, "audio": SOUND}
"""By column type."""

LEAST_PASSES = 2


def passes(types: Iterable[str], rows: int, usual: int) -> int:
    """How often training rows are seen at most.

    Args:
        types: Of the feature columns.
        rows: Of the table.
        usual: For tables without such columns.
    """
    sensed = {kind for kind in types if kind in SENSES}
    enough = [SENSES[kind].rows_seen for kind in sensed]
    if not enough or None in enough:
        return usual
    most = max(seen for seen in enough if seen is not None)
    return min(usual, max(LEAST_PASSES, -(-most // max(rows, 1))))


def hurry(spec: RunSpec, rows: int) -> float:
    """Rows for each second of the budget: how little time there is for each. 0 where no clock ends the run.

    Args:
        spec: As asked for.
        rows: Of the table.
    """
    budget = spec.train.budget
    if budget.time is None and (budget.steps or budget.epochs):
        return 0.0
    return rows / (budget.time or PRESETS[spec.model.preset].seconds)


def preset_for(name: str, types: Iterable[str], targets: Iterable[str] = ()) -> Preset:
    """The preset of a table with columns of these types: the recipe for tables, and what senses want otherwise.

    Most time and most passes count where several say something, and every member that any of them wants is blended. The
    optimiser is that of a sense if all columns that have an encoder of their own agree on it.

    Args:
        name: "fast", "standard" or "best".
        types: Of the feature columns.
        targets: Types of what is told.
    """
    base, kinds = PRESETS[name], sorted({kind for kind in types if kind in SENSES})
    efforts = [SENSES[kind].efforts.get(name, Effort()) for kind in kinds]
    members = dict.fromkeys([*base.members, *(member for effort in efforts for member in effort.members)])
    told = frozenset(targets)
    usual = [SENSES[kind].optimizer_for(told) for kind in kinds]
    optimizers = [effort.optimizer or raw for effort, raw in zip(efforts, usual, strict=True)]
    agreed = optimizers[0] if optimizers and all(raw == optimizers[0] for raw in optimizers) else None
    return replace(
        base, members=tuple(members), optimizer=dict(agreed or base.optimizer),
        seconds=max((e.seconds for e in efforts if e.seconds is not None), default=base.seconds),
        epochs=max((e.epochs for e in efforts if e.epochs is not None), default=base.epochs),
    )  # fmt: skip


def with_defaults(
    part: PartSpec,
    preset: str = "standard",
    hurry: float = 0.0,
    *,
    patient: bool = False,
    recipe: SenseRecipe | None = None,
) -> PartSpec:
    """The same column type, with an encoder of its own and augmentations where it is one of the senses.

    Args:
        part: Of kind column. Not changed.
        preset: How much time quality may cost: "fast", "standard" or "best".
        hurry: See :func:`hurry`: short budgets get smaller networks.
        patient: Whether there is much time for each of many rows: wider ones.
        recipe: Other than that of the sense.
    """
    chosen = recipe or SENSES.get(part.type)
    if chosen is None:
        return part
    asked = part.model_dump()
    left_open = asked["encoder"] is None
    options = chosen.options.get(preset, {}) if left_open else {}
    changes: dict[str, Any] = {name: value for name, value in options.items() if asked[name] is None}
    if left_open:
        parts = [part_from("encoder", raw) for raw in chosen.encoder_of(preset, hurry, patient=patient)]
        changes["encoder"] = parts[0] if len(parts) == 1 else part_from("encoder", {"type": "chain", "parts": parts})
    if asked["augment"] is None:
        changes["augment"] = [part_from("augmentation", raw) for raw in chosen.augment]
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


def encoder_part(raw: Mapping[str, Any]) -> PartSpec:
    """An encoder from plain data."""
    return part_from("encoder", raw)
