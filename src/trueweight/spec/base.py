"""The base of every spec, and fields that hold a part chosen by name."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializeAsAny, ValidationError
from pydantic_core import PydanticCustomError

from trueweight.errors import SpecError
from trueweight.registry import registry

__all__ = ["PartSpec", "Spec", "part_field"]


class Spec(BaseModel):
    """Base of every spec: frozen, closed, and documented by its attribute docstrings.

    A spec holds what the user asked for and nothing else. Facts learnt from the data
    (vocabularies, means, widths) live in ``data.Signature``, never here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PartSpec(Spec):
    """Spec of a replaceable part. A subclass *is* the part: one file, one class, one entry point.

    Subclasses set ``type: Literal["their-name"] = "their-name"`` and add a ``build`` method whose arguments
    the kind of part decides. Importing a part's file must not import torch: ``build`` imports what it needs.
    """

    search_space: ClassVar[dict[str, list[Any]]] = {}
    """Field name to values worth trying, for tuning."""

    type: str
    """Registered name of the part."""


def _choose(kind: str, value: Any) -> Any:
    """Turn ``"mlp"`` or ``{"type": "mlp", …}`` into the part's own spec object."""
    if isinstance(value, PartSpec):
        return value
    if isinstance(value, str):
        value = {"type": value}
    if not isinstance(value, dict):
        raise PydanticCustomError("part", "expected the name of a {kind}, or a mapping with 'type'", {"kind": kind})
    name = value.get("type")
    if not isinstance(name, str):
        raise PydanticCustomError("part", "a {kind} needs a 'type'", {"kind": kind})
    try:
        part = registry(kind)[name]
    except SpecError as error:
        message = f"{error.problem}; {error.hint}"
        raise PydanticCustomError("part", "{message}", {"message": message}) from None
    try:
        return part.model_validate(value)  # type: ignore[attr-defined]  # parts of these kinds are PartSpecs
    except ValidationError as error:
        raise error


def part_field(kind: str) -> Any:
    """The type of a field that holds a part of ``kind``: ``encoder: part_field("encoder") | None``."""
    return Annotated[SerializeAsAny[PartSpec], BeforeValidator(lambda value: _choose(kind, value))]
