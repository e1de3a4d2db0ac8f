"""What is searched: options that the recipe decides, over the values that their parts suggest, and what the spec names.

What a spec asks for is a wish, and is kept unless ``tune.search_space`` names it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from trueweight.registry import registry
from trueweight.spec.base import PartSpec
from trueweight.spec.document import Path
from trueweight.spec.run import RunSpec
from trueweight.spec.tune import RangeSpec
from trueweight.tune.places import put, told, value_at

__all__ = ["KEEP", "OPTIMIZER", "Choice", "Space", "in_order", "suggested"]

KEEP = "as guessed"
"""Value of an option of many columns that leaves each as it is."""

OPTIMIZER: Path = ("train", "optimizer")

OPTIMIZERS = ("adamw", "muon")
"""Tried beside the one at hand. adam is adamw without decay, and sgd is for those who ask for it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One option, and what may stand there."""

    name: str
    """As people write it."""
    places: tuple[Path, ...]
    """In the resolved spec; the same value is put at all of them."""
    values: tuple[Any, ...] | RangeSpec
    default: Any
    """What stands there, if it is among the values; else the first of them, or the end of the range that is nearer."""
    when: str | None = None
    """The optimiser that has this option; None: whichever there is."""

    @property
    def key(self) -> str:
        """Unique name of the choice."""
        return self.name if self.when is None else f"{self.name} ({self.when})"


@dataclass(frozen=True, slots=True)
class Space:
    """A resolved spec, and its options that are searched."""

    raw: Mapping[str, Any]
    """The spec as plain data."""
    choices: tuple[Choice, ...]

    @property
    def optimizer(self) -> str:
        """Name of the optimiser at hand."""
        return str(self.raw["train"]["optimizer"]["type"])

    def defaults(self) -> dict[str, Any]:
        """Values by key that change nothing, as far as the space allows that."""
        chosen = {c.key: c.default for c in self.choices if c.when is None}
        kind = chosen.get("train.optimizer.type", self.optimizer)
        return chosen | {c.key: c.default for c in self.choices if c.when == kind}

    def with_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The spec as plain data with the values of some choices, by key."""
        raw: Any = self.raw
        for choice in (c for c in self.choices if c.key in values):
            value = values[choice.key]
            if value == KEEP:
                continue
            if choice.places == ((*OPTIMIZER, "type"),):
                raw = raw if value == self.optimizer else put(raw, OPTIMIZER, {"type": value})
            elif choice.places[0][:2] != OPTIMIZER or _has(raw["train"]["optimizer"], choice.places[0][2:]):
                for place in choice.places:
                    raw = put(raw, place, value)
        return cast(dict[str, Any], raw)

    def spec(self, values: Mapping[str, Any]) -> RunSpec:
        """The resolved spec with the values of some choices, by key."""
        return RunSpec.model_validate(self.with_values(values))

    def changed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Options by name whose values are not those of the spec."""
        found = {}
        for choice in self.choices:
            value = values.get(choice.key, KEEP)
            if value != KEEP and any(_at(self.raw, place) != value for place in choice.places):
                found[choice.name] = value
        return found


def in_order(values: Sequence[Any]) -> bool:
    """Whether values are numbers, so that some lie between others."""
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _has(part: Mapping[str, Any], rest: Path) -> bool:
    return not rest or rest[0] in _kind("optimizer", part["type"]).model_fields


def _kind(kind: str, name: str) -> type[PartSpec]:
    return cast(type[PartSpec], registry(kind)[name])


def _at(raw: Any, path: Path) -> Any:
    try:
        return value_at(raw, path)
    except KeyError:
        return None


def suggested(asked: RunSpec, resolved: RunSpec, raw: Mapping[str, Any], batch: int) -> list[Choice]:
    """Choices that the recipe leaves open, with the values that parts suggest.

    Args:
        asked: As asked for.
        resolved: With every default.
        raw: The resolved spec as plain data.
        batch: Rows per step that ``auto`` means for about as many rows.
    """
    found = [*_of_members(asked, resolved, raw), *_of_columns(asked, resolved, raw)]
    if any(member.fitter.type == "gradient" for member in resolved.model.members or []):
        found += _of_training(asked, resolved, raw, batch)
    return found


def _of_members(asked: RunSpec, resolved: RunSpec, raw: Mapping[str, Any]) -> Iterator[Choice]:
    named = asked.model.members is not None or asked.model.encoder is not None
    for place, member in enumerate(resolved.model.members or []):
        path: Path = ("model", "members", place)
        if _any_shared(resolved):
            yield from _of_part(member.encoder, raw, (*path, "encoder"), wishes=named)
        fusion = asked.model.members is not None or asked.model.fusion is not None
        yield from _of_part(member.fusion, raw, (*path, "fusion"), wishes=fusion)


def _any_shared(resolved: RunSpec) -> bool:
    """Whether any column is read by the members' encoders, rather than by one of its own."""
    return any(
        part.type != "ignore" and part.model_dump().get("encoder") is None for part in resolved.features.values()
    )


def _of_columns(asked: RunSpec, resolved: RunSpec, raw: Mapping[str, Any]) -> Iterator[Choice]:
    """One choice for all columns of a type together, since there may be many; encoders and augmentations by column."""
    together: dict[str, tuple[list[Any], list[Path]]] = {}
    for name, part in resolved.features.items():
        wish = asked.features.get(name)
        wishes = set() if wish is None else wish.model_fields_set
        for field, values in type(part).search_space.items():
            if field not in wishes:
                together.setdefault(f"features.*.{field}", (values, []))[1].append(("features", name, field))
        yield from _of_senses(part, raw, ("features", name), wish)
    for words, (values, places) in together.items():
        yield _choice(raw, words, places, values)


def _of_senses(part: Any, raw: Mapping[str, Any], path: Path, wish: Any) -> Iterator[Choice]:
    """The encoder of a column, and what changes its training examples."""
    own = dict(part)  # fields by name: plain columns have no augmentations
    asked = {} if wish is None else dict(wish)
    if own.get("encoder") is not None:
        yield from _of_part(own["encoder"], raw, (*path, "encoder"), wishes=asked.get("encoder") is not None)
    for place, change in enumerate(own.get("augment") or []):
        yield from _of_part(change, raw, (*path, "augment", place), wishes=asked.get("augment") is not None)


def _of_part(part: PartSpec, raw: Mapping[str, Any], path: Path, *, wishes: bool) -> Iterator[Choice]:
    """The choices of a part, but for fields that were asked for where it was asked for itself."""
    kept = part.model_fields_set if wishes else set()
    for field, values in type(part).search_space.items():
        if field not in kept:
            yield _choice(raw, told(raw, (*path, field)), [(*path, field)], values)
    for place, inner in enumerate(dict(part).get("parts") or []):  # a chain of encoders
        yield from _of_part(inner, raw, (*path, "parts", place), wishes=wishes)


def _of_training(asked: RunSpec, resolved: RunSpec, raw: Mapping[str, Any], batch: int) -> Iterator[Choice]:
    if "batch_size" not in asked.train.model_fields_set:
        sizes = ["auto", max(8, batch // 2), 2 * batch, 4 * batch]
        yield _choice(raw, "train.batch_size", [("train", "batch_size")], sizes)
    wish, now = asked.train.optimizer, cast(PartSpec, resolved.train.optimizer)
    kinds = [now.type] if wish is not None else list(dict.fromkeys([now.type, *OPTIMIZERS]))
    if len(kinds) > 1:
        yield _choice(raw, "train.optimizer.type", [(*OPTIMIZER, "type")], kinds)
    for kind in kinds:
        yield from options_of_optimizer(raw, kind, set() if wish is None else wish.model_fields_set)


def options_of_optimizer(raw: Mapping[str, Any], kind: str, wishes: set[str]) -> Iterator[Choice]:
    """Choices of an optimiser, which count only while it is the one."""
    part = _kind("optimizer", kind)
    here = (
        raw
        if raw["train"]["optimizer"]["type"] == kind
        else put(raw, OPTIMIZER, part(type=kind).model_dump(mode="json"))
    )
    for field, values in part.search_space.items():
        if field not in wishes:
            choice = _choice(here, f"train.optimizer.{field}", [(*OPTIMIZER, field)], values)
            yield replace(choice, when=kind)


def _choice(raw: Mapping[str, Any], name: str, places: Sequence[Path], values: Sequence[Any]) -> Choice:
    """With what stands there among the values; many columns that differ may also stay as they are."""
    there = [_at(raw, place) for place in places]
    default = there[0] if all(value == there[0] for value in there) else KEEP
    plain = json.loads(json.dumps([default, *values]))  # tuples are lists once they are written
    kept = [value for place, value in enumerate(plain) if value not in plain[:place]]
    return Choice(name, tuple(places), tuple(sorted(kept) if in_order(kept) else kept), plain[0])
