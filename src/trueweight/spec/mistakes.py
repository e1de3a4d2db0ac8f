"""Pydantic's complaints about a spec, in plain words: where, what, and what would be right."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from trueweight.errors import SpecError
from trueweight.registry import registry
from trueweight.spec.base import CONFLICT, CONFLICT_OF_KEY, FILE_NAME, Part
from trueweight.spec.docstrings import descriptions
from trueweight.spec.document import Document, Path, dotted

__all__ = ["Mistake", "mistakes_of"]

_Placed = tuple[Path, ErrorDetails]

_WRONG_FORM = {"model_type", "model_attributes_type", "dict_type", "list_type"}

_DEMANDS = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "a text (in quotes if it looks like something else)",
    "list_type": "a list",
    "dict_type": "a mapping ('key: value' lines)",
    "model_type": "a mapping ('key: value' lines)",
    "model_attributes_type": "a mapping ('key: value' lines)",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text of the form {pattern}",
    "too_short": "at least {min_length} long",
    "too_long": "at most {max_length} long",
    "date_type": "a date such as 2026-01-31",
    "date_parsing": "a date such as 2026-01-31",
    "date_from_datetime_parsing": "a date such as 2026-01-31",
    "datetime_type": "a date such as 2026-01-31",
    "datetime_parsing": "a moment such as 2026-01-31T12:00",
    "datetime_from_date_parsing": "a date such as 2026-01-31",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong with one value of a spec."""

    path: Path
    """Where: without what is there, the mistake is gone."""
    line: str
    """Its place, the option's dotted name, the value and what would be right."""


def mistakes_of(model: type[BaseModel], errors: Sequence[ErrorDetails], document: Document) -> list[Mistake]:
    """One mistake for each value that is wrong.

    Args:
        model: What the document should have been.
        errors: From ``ValidationError.errors(include_url=False)``.
        document: Read by :func:`trueweight.spec.document.read_yaml`, or only ``raw`` filled in.
    """
    groups: dict[Path, list[ErrorDetails]] = {}
    for path, error in _of_the_branch_meant(errors, document.raw):
        groups.setdefault(path, []).append(error)
    return [
        Mistake(path[:-1] if group[0]["type"] == "missing" else path, _line(model, path, group, document))
        for path, group in groups.items()
    ]


def _of_the_branch_meant(errors: Sequence[ErrorDetails], raw: Any) -> Iterator[_Placed]:
    """Errors with their paths; of a choice between forms, only those about the form that was written."""
    choices: dict[Path | None, list[_Placed]] = {}
    for error in errors:
        path, choice = _resolve(raw, error)
        choices.setdefault(choice, []).append((path, error))
    for choice, group in choices.items():
        if choice is None:
            yield from group
        elif isinstance(Document(raw).at(choice), dict | list):
            inside = [e for e in group if len(e[0]) > len(choice) or e[1]["type"] in ("missing", "extra_forbidden")]
            yield from inside or group
        else:
            yield from [e for e in group if e[1]["type"] not in _WRONG_FORM] or group


def _resolve(raw: Any, error: ErrorDetails) -> tuple[Path, Path | None]:
    """The path without pydantic's names for the branches of a choice, and where the first choice stood."""
    path: list[str | int] = []
    choice: Path | None = None
    steps = error["loc"]
    for number, step in enumerate(steps):
        here = Document(raw).at(tuple(path))
        last = number == len(steps) - 1
        known = (isinstance(here, dict) and step in here) or (isinstance(here, list) and isinstance(step, int))
        if known or (last and error["type"] == "missing"):
            path.append(step)
        elif choice is None:
            choice = tuple(path)
    return tuple(path), choice


def _line(model: type[BaseModel], path: Path, errors: Sequence[ErrorDetails], document: Document) -> str:
    first = errors[0]
    if first["type"] == "extra_forbidden":
        return _said(document.place(path, key=True), path, _unknown(model, path, document.raw))
    if first["type"] == "missing":
        described = _description(model, path, document.raw)
        return _said(document.place(path[:-1]), path, f"is missing{f': {described}' if described else ''}")
    at = (*path, "type") if first["type"] == "part_name" else path
    key = first["input"] is None or first["type"] == CONFLICT_OF_KEY
    return _said(document.place(at, key=key), path, _wrong_value(errors))


def _said(place: str, path: Path, problem: str) -> str:
    name = dotted(path)
    return ": ".join(word for word in (place, name, problem) if word)


def _wrong_value(errors: Sequence[ErrorDetails]) -> str:
    value = errors[0]["input"]
    told = [error for error in errors if error["type"] not in _DEMANDS]
    if told:
        says_value = told[0]["type"].startswith(("part_", CONFLICT)) or isinstance(value, dict | list)
        return _plain(told[0]["msg"]) + ("" if says_value else f", got {_shown(value)}")
    demands = dict.fromkeys(_demand(error) for error in errors)
    near = _near_choice(errors, value)
    return f"must be {' or '.join(demands)}, got {_shown(value)}{near}"


def _plain(message: str) -> str:
    words = message.removeprefix("Value error, ")
    return words[:1].lower() + words[1:] if words[:2].istitle() else words


def _demand(error: ErrorDetails) -> str:
    facts = {k: f"{v:g}" if isinstance(v, float | int) else v for k, v in error.get("ctx", {}).items()}
    if facts.get("pattern") == FILE_NAME:
        return "letters a to z, digits, dots, dashes and underscores, beginning with a letter or digit"
    return _DEMANDS[error["type"]].format(**facts)


def _near_choice(errors: Iterable[ErrorDetails], value: Any) -> str:
    for error in errors:
        if error["type"] == "literal_error" and isinstance(value, str):
            choices = [word.strip("'") for word in str(error["ctx"]["expected"]).replace(" or ", ", ").split(", ")]
            if near := get_close_matches(value.lower(), choices, n=1):
                return f"; did you mean {near[0]!r}?"
    return ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing: fill it in, or remove the line"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…'"


def _unknown(model: type[BaseModel], path: Path, raw: Any) -> str:
    names = _options(model, path[:-1], raw)
    name = str(path[-1])
    if homes := [dotted(home) for home in _homes(model, name)]:
        return f"no such option here; did you mean {' or '.join(homes[:2])}?"
    if near := get_close_matches(name, names, n=1, cutoff=0.6):
        return f"no such option; did you mean {near[0]!r}?"
    return f"no such option; there is {', '.join(sorted(names))}" if names else "no such option"


def _options(model: type[BaseModel], path: Path, raw: Any) -> list[str]:
    """Names that may be written at a path."""
    names = [_written(name, field) for m in _models_at(model, path, raw) for name, field in m.model_fields.items()]
    return list(dict.fromkeys(names))


def _written(name: str, field: FieldInfo) -> str:
    return field.alias or name


def _description(model: type[BaseModel], path: Path, raw: Any) -> str:
    for found in _models_at(model, path[:-1], raw):
        for name, field in found.model_fields.items():
            if _written(name, field) == path[-1]:
                return descriptions(found).get(name, "").split(". ")[0].replace("\n", " ").rstrip(".")
    return ""


def _models_at(model: type[BaseModel], path: Path, raw: Any) -> list[type[BaseModel]]:
    """The spec classes that the value at a path could be."""
    found: list[Any] = [model]
    for depth, key in enumerate(path):
        found = [kind for one in found for kind in _below(one, key)]
        found = [kind for one in found for kind in _unfold(one, Document(raw).at(path[: depth + 1]))]
    return [kind for kind in found if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _below(kind: Any, key: str | int) -> list[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = [field for name, field in kind.model_fields.items() if _written(name, field) == key]
        return [Annotated[f.annotation, *f.metadata] if f.metadata else f.annotation for f in fields]
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return [arguments[1]]
    return [arguments[0]] if origin is list else []


def _unfold(kind: Any, value: Any) -> list[Any]:
    """A kind without its annotations and choices; a part becomes the class that the value names."""
    if get_origin(kind) is Annotated:
        base, *notes = get_args(kind)
        parts = [note for note in notes if isinstance(note, Part)]
        return _part(parts[0].kind, value) if parts else _unfold(base, value)
    if get_origin(kind) in (Union, UnionType):
        return [one for argument in get_args(kind) for one in _unfold(argument, value)]
    return [kind]


def _part(kind: str, value: Any) -> list[Any]:
    name = value.get("type") if isinstance(value, dict) else value
    try:
        return [registry(kind)[name]] if isinstance(name, str) else []
    except SpecError:
        return []


def _homes(model: type[BaseModel], name: str, path: Path = ()) -> Iterator[Path]:
    """Where else an option of this name lives, parts and named columns left out."""
    for key, field in model.model_fields.items():
        here = (*path, _written(key, field))
        for kind in _unfold(field.annotation, None):
            if (
                isinstance(kind, type)
                and issubclass(kind, BaseModel)
                and not any(isinstance(note, Part) for note in field.metadata)
            ):
                if any(_written(n, f) == name for n, f in kind.model_fields.items()):
                    yield (*here, name)
                yield from _homes(kind, name, here)
