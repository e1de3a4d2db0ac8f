"""The base of every spec, and fields that hold a part chosen by name."""

from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, core_schema

from trueweight.errors import SpecError
from trueweight.registry import registry
from trueweight.spec.docstrings import descriptions

__all__ = [
    "CONFLICT", "CONFLICT_OF_KEY", "FILE_NAME", "AugmentationPart", "ColumnPart", "Conflict", "EncoderPart",
    "FitterPart", "FusionPart", "HeadPart", "OptimizerPart", "Part", "PartSpec", "Spec", "of_the_other",
    "only_for", "part_from",
]  # fmt: skip

CONFLICT, CONFLICT_OF_KEY = "conflict", "conflict_of_key"
"""Pydantic's type of error for a :class:`Conflict`: of a value, of a key."""

FILE_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
"""Form of a text that names files and folders on any system."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Options that are right one by one and wrong together."""

    path: tuple[str | int, ...]
    """Where, from the spec that tells it. It must be written there, or the mistake has no place."""
    problem: str
    """What is wrong and what would be right."""
    key: bool = False
    """Whether the key is meant that leads there (the name of a column), rather than its value."""


class Spec(BaseModel):
    """Base of every spec: frozen, closed, and documented by its attribute docstrings.

    A spec holds what the user asked for and nothing else. Facts learnt from the data
    (vocabularies, means, widths) live in ``data.Signature``, never here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        found = handler(schema)
        properties, words = handler.resolve_ref_schema(found).get("properties", {}), descriptions(cls)
        for name, field in cls.model_fields.items():
            if name in words and (field.alias or name) in properties:
                properties[field.alias or name].setdefault("description", words[name])
        return found

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterable[Conflict]:  # noqa: ARG003  # most specs have none
        """Rules that span fields, for a spec that has some.

        They are asked before the fields are read, so that they are told together with what is wrong in a field.
        Values are hence as written, of any type: a rule speaks up only about what it understands.
        """
        return ()

    @model_validator(mode="wrap")
    @classmethod
    def _tells_every_mistake_at_once(cls, raw: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        found = [_conflict(raw, one) for one in cls.conflicts(raw)] if isinstance(raw, Mapping) else []
        if not found:
            return read(raw)
        try:
            read(raw)
        except ValidationError as error:
            found += [_again(one) for one in error.errors(include_url=False)]
        raise ValidationError.from_exception_data(cls.__name__, found)


def _conflict(raw: Any, conflict: Conflict) -> InitErrorDetails:
    kind = CONFLICT_OF_KEY if conflict.key else CONFLICT
    error = PydanticCustomError(kind, "{problem}", {"problem": conflict.problem})
    return InitErrorDetails(type=error, loc=conflict.path, input=raw)


def _again(error: ErrorDetails) -> InitErrorDetails:
    """An error that pydantic has told, so that it can be raised beside others."""
    kind: Any = error["type"]
    facts = error.get("ctx", {})
    if kind.startswith(("part_", CONFLICT)):  # ours: pydantic does not know its words
        kind = PydanticCustomError(kind, "{told}", {**facts, "told": error["msg"]})
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"], ctx=facts)


class PartSpec(Spec):
    """Spec of a replaceable part. A subclass *is* the part: one file, one class, one entry point.

    Subclasses set ``type: Literal["their-name"] = "their-name"`` and add a ``build`` method whose arguments
    the kind of part decides. Importing a part's file must not import torch: ``build`` imports what it needs.
    """

    search_space: ClassVar[dict[str, list[Any]]] = {}
    """Field name to values worth trying, for tuning."""

    type: str
    """Registered name of the part."""


_DESCRIBED: ContextVar[frozenset[str]] = ContextVar("described", default=frozenset())
"""Kinds whose parts are just being described, one inside another."""

_IN_WORDS = {"column": "column type", "head": "target type"}
_A = {"augmentation": "an", "encoder": "an", "optimizer": "an"}


@dataclass(frozen=True, slots=True)
class Part:
    """Marks a field that holds a part, chosen by its registered name.

    The field reads ``"mlp"`` or ``{"type": "mlp", …}`` (and for encoders a list of them, each reading what the one
    before gives) and holds the part's own spec object. Its JSON
    Schema lists every registered part of the kind, so that an editor knows plugins too.
    """

    kind: str
    """One of :data:`trueweight.registry.KINDS`."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self.choose, handler(source))

    def __get_pydantic_json_schema__(
        self, _schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        names = list(registry(self.kind))
        if self.kind in _DESCRIBED.get():  # a chain holds encoders, chains among them: once is enough
            return {"anyOf": [{"type": "string", "enum": names}, {"type": "object", "required": ["type"]}]}
        before = _DESCRIBED.set(_DESCRIBED.get() | {self.kind})
        try:
            choices = [
                part.__get_pydantic_json_schema__(part.__pydantic_core_schema__, handler)
                for part in _importable(self.kind)
            ]
        finally:
            _DESCRIBED.reset(before)
        return {"anyOf": [{"type": "string", "enum": names}, *choices]}

    def choose(self, value: Any) -> Any:
        """Turn a name or a mapping into the part's own spec object."""
        words = {"a": _A.get(self.kind, "a"), "kind": _IN_WORDS.get(self.kind, self.kind)}
        if isinstance(value, PartSpec):
            return value
        if isinstance(value, str):
            value = {"type": value}
        if isinstance(value, list) and self.kind == "encoder":
            value = {"type": "chain", "parts": value}
        if not isinstance(value, dict):
            raise PydanticCustomError("part_form", "expected the name of {a} {kind}, or a mapping with 'type'", words)
        name = value.get("type")
        if not isinstance(name, str):
            raise PydanticCustomError("part_type", "{a} {kind} needs a 'type'", words)
        try:
            part = cast(type[PartSpec], registry(self.kind)[name])
        except SpecError as error:
            problem = error.problem.replace(self.kind, words["kind"], 1)
            facts = {"problem": problem, "remedy": error.hint}
            raise PydanticCustomError("part_name", "{problem}; {remedy}", facts) from None
        return part.model_validate(value)  # its mistakes join those of the whole spec


def _importable(kind: str) -> Iterator[type[PartSpec]]:
    for name in registry(kind):
        try:
            yield cast(type[PartSpec], registry(kind)[name])
        except ImportError:  # a broken plugin must not take everybody's schema with it
            continue


AugmentationPart = Annotated[SerializeAsAny[PartSpec], Part("augmentation")]
"""A change of training examples that leaves what they are."""


def part_from(kind: str, raw: Mapping[str, Any]) -> PartSpec:
    """A part from plain data.

    Args:
        kind: Of part, such as "encoder".
        raw: Its ``type`` and options, as ``model_dump`` gives them or with those left out that are usual.
    """
    chosen: Any = registry(kind)[raw["type"]]
    part: PartSpec = chosen.model_validate(dict(raw))
    return part


def of_the_other(raw: Mapping[str, Any], usual: Mapping[str, Any]) -> Iterator[Conflict]:
    """Options, with what they usually are, that say nothing beside ``like``: the column named there decides."""
    like = raw.get("like")
    for name, value in usual.items():
        if isinstance(like, str) and raw.get(name, value) != value:
            yield Conflict((name,), f"is for {like!r} to say, whose vocabulary this is: leave it out here")


def only_for(reads: str, what: str, parts: "list[PartSpec] | None") -> "list[PartSpec] | None":
    """The augmentations of a column, each of which must change the array that the column gives.

    Args:
        reads: The array: ``pixel``, ``frame`` or ``token``.
        what: The column's cells in a word, for the message.
        parts: As asked for.

    Raises:
        ValueError: One changes something else.
    """
    for part in parts or []:
        if getattr(part, "reads", reads) != reads:
            known = [each for each in registry("augmentation") if _reads(each) == reads]
            raise ValueError(f"{part.type} does not change {what}; choose from {', '.join(known)}")
    return parts


def _reads(name: str) -> str | None:
    try:
        return getattr(registry("augmentation")[name], "reads", None)
    except ImportError:  # of a broken plugin
        return None


ColumnPart = Annotated[SerializeAsAny[PartSpec], Part("column")]
"""A column type."""
DecoderPart = Annotated[SerializeAsAny[PartSpec], Part("decoder")]
"""A decoder."""
EncoderPart = Annotated[SerializeAsAny[PartSpec], Part("encoder")]
"""An encoder."""
FitterPart = Annotated[SerializeAsAny[PartSpec], Part("fitter")]
"""A fitter."""
FusionPart = Annotated[SerializeAsAny[PartSpec], Part("fusion")]
"""A fusion."""
HeadPart = Annotated[SerializeAsAny[PartSpec], Part("head")]
"""A head: the type of a target."""
OptimizerPart = Annotated[SerializeAsAny[PartSpec], Part("optimizer")]
"""An optimiser."""
