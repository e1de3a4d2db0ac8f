"""Docstrings, types and defaults of specs as Markdown."""

import inspect
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticUndefined

from trueweight.spec.base import Part, PartSpec, Spec
from trueweight.spec.docstrings import descriptions

__all__ = ["cell", "default_words", "fields_of", "paragraphs", "table", "type_words"]

_UNITS = {
    "parse_duration": "duration (seconds, or `90s`, `20m`, `1h30m`)",
    "parse_bytes": "size (bytes, or `512MiB`, `8GB`)",
    "_parse_share": "share (0 to 1, or `1%`)",
}
"""Words for the fields of spec/units.py, by the function that reads them."""
_KINDS = {
    "column": "a [column type]", "head": "a [target type]", "encoder": "an [encoder]", "optimizer": "an [optimiser]",
}  # fmt: skip
_PLAIN = {
    str: "text", int: "whole number", float: "number", bool: "`true` or `false`", NoneType: "`null`", Any: "any",
    date: "date", datetime: "moment",
}  # fmt: skip


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(cell(value) for value in row)} |" for row in rows)])


def cell(text: str) -> str:
    """Text on one line of a table, double backticks made single."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.replace("``", "`").split()))


def paragraphs(docstring: str | None) -> str:
    """A docstring as Markdown: code marks as Markdown has them, headed blocks such as ``Example:`` in bold."""
    text = inspect.cleandoc(docstring or "")
    text = re.sub(r":[a-z]+:`~?\.?([^`]+)`", r"`\1`", text).replace("``", "`")
    out: list[str] = []
    for line in text.splitlines():
        if re.fullmatch(r"(Examples?|Args|Shape|Raises|Returns|Source|Attributes):", line):
            out += [f"**{line[:-1]}.**", ""]
        else:
            out.append(line.removeprefix("    ") if not line.startswith("        ") else line)
    return "\n".join(out).strip()


def fields_of(model: type[BaseModel], *, parts: str, skip: Sequence[str] = ()) -> str:
    """A table of a spec's fields.

    Args:
        model: The spec.
        parts: Where the pages of parts are, as seen from the page.
        skip: Fields left out.
    """
    rows, words = [], descriptions(model)
    for name, field in model.model_fields.items():
        if name in skip:
            continue
        kind = type_words(Annotated[field.annotation, *field.metadata], parts) if field.metadata else type_words(
            field.annotation, parts)  # fmt: skip
        rows.append((f"`{field.alias or name}`", kind, default_words(field), words.get(name, "")))
    return table(["key", "value", "default", "meaning"], rows) if rows else "No options."


def type_words(kind: Any, parts: str) -> str:
    """A type as a reader of the spec would say it."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _annotated(inner[0], inner[1:], parts)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(type_words(option, parts) for option in inner))
    if origin in (list, tuple, set):
        return "list of " + ", ".join(dict.fromkeys(type_words(option, parts) for option in inner if option is not ...))
    if origin is dict:
        return f"mapping of {type_words(inner[0], parts)} to {type_words(inner[1], parts)}"
    if isinstance(kind, type) and issubclass(kind, Spec) and not issubclass(kind, PartSpec):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return getattr(kind, "__name__", str(kind))


def _annotated(kind: Any, marks: Sequence[Any], parts: str) -> str:
    for mark in marks:
        if isinstance(mark, Part):
            return f"{_KINDS.get(mark.kind, f'a [{mark.kind}]')}({parts}{mark.kind}.md)"
        if isinstance(mark, BeforeValidator) and (words := _UNITS.get(mark.func.__name__)):
            return words
    limits = ", ".join(words for mark in _flat(marks) if (words := _limit(mark)))
    words = type_words(kind, parts)
    return f"{words}, {limits}" if limits else words


def _flat(marks: Sequence[Any]) -> list[Any]:
    return [inner for mark in marks for inner in (getattr(mark, "metadata", None) or [mark])]


def _limit(mark: Any) -> str:
    match mark:
        case annotated_types.Gt(gt):
            return f"above {gt}"
        case annotated_types.Ge(ge):
            return f"at least {ge}"
        case annotated_types.Lt(lt):
            return f"below {lt}" if not isinstance(lt, int) or lt < 10**9 else ""
        case annotated_types.Le(le):
            return f"at most {le}"
        case annotated_types.MinLen(least):
            return f"at least {least} long"
        case annotated_types.MaxLen(most):
            return f"at most {most} long"
    return ""


def default_words(field: Any) -> str:
    """A default as one would write it in YAML."""
    value = field.default_factory() if field.default_factory else field.default
    if value is PydanticUndefined:
        return "needed"
    return _written(value)


def _written(value: Any) -> str:
    if value is None:
        return "`null`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, PartSpec):
        return f"`{value.type}`"
    if isinstance(value, BaseModel):
        return "its defaults"
    if isinstance(value, str):
        return f'`"{value}"`' if value.strip() != value or not value or value in ("?", "-") else f"`{value}`"
    if isinstance(value, list | tuple):
        return ", ".join(_written(item) for item in value) if value else "`[]`"
    if isinstance(value, dict):
        return "`{}`" if not value else ", ".join(f"`{key}`: {_written(item)}" for key, item in value.items())
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
