"""The whole space: what the recipe leaves open, and what ``tune.search_space`` of the spec says on top."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trueweight.errors import SpecError
from trueweight.spec.document import Document, Path
from trueweight.spec.load import all_of, judge
from trueweight.spec.run import RunSpec
from trueweight.spec.settings import parse_setting
from trueweight.spec.tune import RangeSpec
from trueweight.tune.places import named_places, near, value_at, why_not
from trueweight.tune.space import KEEP, OPTIMIZER, Choice, Space, options_of_optimizer, suggested

__all__ = ["space_of"]

TYPE: Path = (*OPTIMIZER, "type")


def space_of(asked: RunSpec, resolved: RunSpec, batch: int, document: Document | None = None) -> Space:
    """What is searched.

    Args:
        asked: As asked for.
        resolved: With every default.
        batch: Rows per step that ``auto`` means for about as many rows.
        document: Where the spec was written, if somebody knows.

    Raises:
        SpecError: A name that leads nowhere, or a value that cannot stand there, all at once; or nothing to search.
    """
    raw = resolved.model_dump(mode="json", by_alias=True)
    wishes, mistakes = _named(asked, raw)
    if mistakes:
        origin = document.origin if document else ""
        raise all_of([_placed(key, line, document) for key, line in mistakes], origin)
    open_choices = suggested(asked, resolved, raw, batch) if asked.tune.other_fields == "search" else []
    choices = [*_of_kinds(raw, _without(open_choices, wishes), wishes, asked.tune.other_fields), *wishes]
    # The optimiser is chosen before its options are put in.
    choices.sort(key=lambda choice: choice.places[0][:2] == OPTIMIZER and choice.places != (TYPE,))
    if all(not isinstance(c.values, RangeSpec) and len(c.values) == 1 for c in choices):
        hint = "name some options under tune.search_space, or ask for fewer of them in the spec"
        raise SpecError("there is nothing to search: every option has one value only", where="tune", hint=hint)
    return Space(raw, tuple(choices))


def _of_kinds(raw: Mapping[str, Any], choices: Iterator[Choice], wishes: Sequence[Choice], others: str) -> list[Choice]:
    """Choices with the options of just those optimisers that the spec names, if it names some."""
    kinds = next((choice.values for choice in wishes if choice.places == (TYPE,)), None)
    found = list(choices)
    if not isinstance(kinds, tuple):
        return found
    known = {choice.when for choice in found}
    new = [kind for kind in kinds if kind not in known] if others == "search" else []
    more = _without([choice for kind in new for choice in options_of_optimizer(raw, str(kind), set())], wishes)
    return [choice for choice in [*found, *more] if choice.when is None or choice.when in kinds]


def _placed(key: str, line: str, document: Document | None) -> str:
    place = "" if document is None else f"{document.place(('tune', 'search_space', key), key=True)}: "
    return f"{place}tune.search_space: {line}"


def _without(choices: Sequence[Choice], wishes: Sequence[Choice]) -> Iterator[Choice]:
    """Choices less the places that the spec names itself. Where it names an option of the optimiser and not its type,
    it means the one at hand."""
    named = [place for choice in wishes for place in choice.places]
    other_kinds = any(place[:2] == OPTIMIZER for place in named) and TYPE not in named
    for choice in choices:
        if other_kinds and choice.places == (TYPE,):
            continue
        left = tuple(place for place in choice.places if not any(place[: len(one)] == one for one in named))
        if left:
            yield replace(choice, places=left)


def _named(asked: RunSpec, raw: Mapping[str, Any]) -> tuple[list[Choice], list[tuple[str, str]]]:
    """Choices that the spec names, and what is wrong with the others, each with its key."""
    found: list[Choice] = []
    mistakes: list[tuple[str, str]] = []
    for name, values in asked.tune.search_space.items():
        try:
            path, _ = parse_setting(f"{name}=")
        except SpecError:
            mistakes.append((name, f"{name!r} is no name of an option: write one such as train.batch_size"))
            continue
        places = named_places(raw, path)
        reason = why_not(places[0] if places else path)
        if reason is not None and (places or path[0] not in raw):
            mistakes.append((name, f"{name} cannot be searched: {reason}"))
        elif not places:
            close = near(raw, name)
            mistakes.append((name, f"{name}: no such option" + (f"; did you mean {close[0]!r}?" if close else "")))
        else:
            mistakes += [(name, f"{name}: {line}") for line in _wrong_values(raw, places, values)]
            found.append(_choice(raw, name, places, values))
    return found, mistakes


def _wrong_values(raw: Mapping[str, Any], places: Sequence[Path], values: Sequence[Any] | RangeSpec) -> Iterator[str]:
    tried = (values.low, values.high) if isinstance(values, RangeSpec) else values
    for value in tried:
        space = Space(raw, (Choice("", tuple(places), (value,), value),))
        for line in judge(Document(space.with_values({"": value})))[1][:1]:
            yield line.partition(": ")[2] or line


def _choice(raw: Mapping[str, Any], name: str, places: Sequence[Path], values: Sequence[Any] | RangeSpec) -> Choice:
    there = [value_at(raw, place) for place in places]
    now = there[0] if all(value == there[0] for value in there) else KEEP
    if isinstance(values, RangeSpec):
        number = isinstance(now, int | float) and not isinstance(now, bool)
        return Choice(name, tuple(places), values, min(max(now, values.low), values.high) if number else values.low)
    kept = [value for place, value in enumerate(values) if value not in list(values)[:place]]
    return Choice(name, tuple(places), tuple(kept), now if now in kept else kept[0])
