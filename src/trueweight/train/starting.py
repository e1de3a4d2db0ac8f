"""What another model lends: bodies with their vocabularies, whoever made them.

``api.starting.bodies_of(path)`` is the one place where a path becomes :class:`Bodies`: of a bundle of ours by
:func:`bodies_in`, of other folders by their own readers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from torch import Tensor, nn

from trueweight.data.bpe import vocabulary_from
from trueweight.data.columns.image import ImageColumn
from trueweight.data.columns.text import TextColumn
from trueweight.data.reading import column_part
from trueweight.data.roles import Role
from trueweight.data.spelling import Spelling
from trueweight.data.text_codec import TextCodec
from trueweight.errors import SpecError
from trueweight.model.decoders.transformer import TransformerDecoderPart
from trueweight.model.encoders.transformer import TransformerEncoder
from trueweight.model.foreign.prepared import Prepared
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.protocols import Predictor
from trueweight.nn.bodies import Option, body_of
from trueweight.spec.base import PartSpec
from trueweight.spec.run import RunSpec

__all__ = ["TEXTS", "Bodies", "Body", "PictureBody", "adopted", "bodies_in", "networks_in", "spellings_of"]

TEXTS = ("text", "masked")
"""Types of targets that are texts, letters as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A transformer over tokens, ready to be put into an encoder or a decoder of the same options."""

    options: Mapping[str, Option]
    """Width, layers, heads and so on; see ``nn.bodies.TokenBody``."""
    tensors: Mapping[str, Tensor]
    """By the names of ``nn.bodies``."""
    scale: float
    """What the table's rows are multiplied with."""
    spelling: Spelling
    """What token numbers mean."""
    encoder: PartSpec
    """An encoder that it fits, for columns that ask for none."""
    decoder: PartSpec | None
    """A decoder that it fits; None where none would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureBody:
    """A residual network over pictures, of a folder of another maker."""

    options: Mapping[str, Option]
    """Layers, width of the first stage, and channels of the pictures."""
    tensors: Mapping[str, Tensor]
    """By the names of ``nn.resnet.Resnet``."""
    encoder: PartSpec
    """That it fits, for columns that ask for none."""
    prepared: Prepared
    """How its pictures were, for columns that say nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """All that one model lends."""

    parts: Mapping[str, Body]
    """By where they stood: ``features.note``, ``targets.note``."""
    digest: str
    """Of the bundle or folder: how it is remembered."""
    origin: str
    """What it was, in a word or two, without folders: ``reviews.bundle``."""
    networks: Sequence[NetworkPredictor] = ()
    """Networks of ours, whose other encoders (of pictures, sounds, series, tables) can be lent too."""
    spellings: Mapping[str, Spelling] = field(default_factory=dict)
    """Of every text that has token numbers, by place, those of ``parts`` among them."""
    pictures: PictureBody | None = None
    """What reads pictures, where a folder of another maker is lent."""

    def of_text(self, column: str) -> Body | None:
        """What a text column should begin with: what stood under its name, else the first there is."""
        return _of_column(self.parts, column)

    def spelling(self, column: str) -> Spelling | None:
        """How a text column should be spelt, likewise."""
        return _of_column(self.spellings, column)


T = TypeVar("T")


def _of_column(found: Mapping[str, T], column: str) -> T | None:
    return next((found[p] for p in (f"features.{column}", f"targets.{column}") if p in found), None) or next(
        iter(found.values()), None
    )


def networks_in(predictor: Predictor) -> list[NetworkPredictor]:
    """All networks of a tree."""
    found = [predictor] if isinstance(predictor, NetworkPredictor) else []
    for member in predictor.members():
        found += networks_in(member)
    return found


def bodies_in(predictor: Predictor, *, digest: str, origin: str) -> Bodies:
    """What a model of ours can lend.

    Args:
        predictor: The model.
        digest: Of its bundle.
        origin: The bundle's name.
    """
    networks = networks_in(predictor)
    parts: dict[str, Body] = {}
    spellings: dict[str, Spelling] = {}
    for network in networks:
        for place, module, spelling, part in [*_reading(network), *_writing(network)]:
            spellings.setdefault(place, spelling)
            if (body := _body(module, spelling, part)) is not None:
                parts.setdefault(place, body)
    return Bodies(parts=parts, digest=digest, origin=origin, networks=networks, spellings=spellings)


def _reading(leaf: NetworkPredictor) -> Iterator[tuple[str, nn.Module, Spelling, PartSpec]]:
    """Encoders of texts that read tokens."""
    for number, name in enumerate(leaf.network.fields):
        for column, codec in leaf.fields[name].codecs.items():
            if isinstance(codec, TextCodec) and codec.merges is not None and not leaf.solving:
                part = cast(TextColumn, column_part(leaf.signature.columns[column]))
                spelling = Spelling(codec.merges, part.lowercase, part.normalize)
                yield f"features.{column}", leaf.network.encoders[f"f{number}"], spelling, leaf.encoders[name]


def _writing(leaf: NetworkPredictor) -> Iterator[tuple[str, nn.Module, Spelling, PartSpec]]:
    """What heads of texts write, or fill gaps, with. They read letters as they are."""
    for number, target in enumerate(leaf.network.targets):
        facts = leaf.signature.columns[target]
        part: Any = column_part(facts)
        if part.type in TEXTS:
            merges = vocabulary_from(facts.learnt["merges"])
            own = part.decoder if part.type == "text" else part.encoder
            yield f"targets.{target}", leaf.network.heads[f"t{number}"], Spelling(merges, False, False), own


def _body(module: nn.Module, spelling: Spelling, part: PartSpec) -> Body | None:
    found = body_of(module)
    if found is None:
        return None
    return Body(
        options=found.options, tensors=found.tensors(), scale=found.scale, spelling=spelling,
        encoder=_encoder_like(found.options, part), decoder=_decoder_like(found.options, part),
    )  # fmt: skip


def _shared(options: Mapping[str, Option]) -> dict[str, Option]:
    names = ("width", "layers", "heads", "hidden", "norm", "normalization", "activation", "positions", "qk_norm",
             "norm_eps", "biases", "rotary_base")  # fmt: skip
    return {name: options[name] for name in names if name in options}


def _encoder_like(options: Mapping[str, Option], part: PartSpec) -> PartSpec:
    if isinstance(part, TransformerEncoder):
        return part
    asked = _shared(options) | {"type": "transformer", "input_norm": options["input_norm"]}
    return TransformerEncoder.model_validate(asked)


def _decoder_like(options: Mapping[str, Option], part: PartSpec) -> PartSpec | None:
    if isinstance(part, TransformerDecoderPart):
        return part.model_copy(update={"layers": options["layers"]})
    if options["input_norm"] or options["segments"] or options["positions"] == "none":
        return None
    return TransformerDecoderPart.model_validate(_shared(options) | {"type": "transformer"})


def adopted(spec: RunSpec, roles: Sequence[Role], lent: Bodies) -> tuple[RunSpec, list[Role]]:
    """The spec with everything about texts that it leaves open as the older model has it: what reads and writes them,
    and how letters are read. What it asks for stays.

    Args:
        spec: As asked for. Not changed.
        roles: Of all columns.
        lent: By the older model.

    Raises:
        SpecError: A text is asked to be read otherwise than the older model reads it; tells all such wishes.
    """
    _refuse_other_readings(roles, lent)
    found = [replace(role, part=_like(role, lent)) for role in roles]
    changed = {role.name: role.part for role, before in zip(found, roles, strict=True) if role.part != before.part}
    features = {name: part for name, part in changed.items() if name not in spec.targets}
    targets = {name: changed.get(name, part) for name, part in spec.targets.items()}
    return spec.model_copy(update={"features": {**spec.features, **features}, "targets": targets}), found


def _like(role: Role, lent: Bodies) -> PartSpec:
    body, part = lent.of_text(role.name), role.part
    if lent.pictures is not None and role.role == "feature" and isinstance(part, ImageColumn):
        return _like_pictures(part, lent.pictures)
    if body is None or not _is_text(role):
        return part
    wishes: dict[str, Any] = {}
    if role.role == "feature":
        wishes = {"lowercase": body.spelling.lowercase, "normalize": body.spelling.normalize, "encoder": body.encoder}
    elif part.type == "masked":
        wishes = {"encoder": body.encoder}
    elif body.decoder is not None:
        wishes = {"decoder": body.decoder}
    return _with(part, wishes)


def _with(part: PartSpec, wishes: Mapping[str, Any]) -> PartSpec:
    """What the part leaves open, as wished for."""
    asked = {name for name in part.model_fields_set if getattr(part, name) is not None}
    return part.model_copy(update={name: wish for name, wish in wishes.items() if name not in asked})


def _like_pictures(part: ImageColumn, body: PictureBody) -> PartSpec:
    """Encoder, size and preparation; another size is as good a wish as any, another preparation is the user's risk."""
    wishes: dict[str, Any] = {"encoder": body.encoder, "preparation": body.prepared.asked, "size": body.prepared.size}
    return _with(part, wishes)


def _refuse_other_readings(roles: Sequence[Role], lent: Bodies) -> None:
    wrong = [line for role in roles if _is_text(role) for line in _other_readings(role, lent)]
    if len(wrong) == 1:
        raise SpecError(wrong[0][1], where=wrong[0][0], hint="leave it out: it is taken over with the weights")
    if wrong:
        told = "\n  ".join(f"{where}: {problem}" for where, problem in wrong)
        hint = "leave them out: they are taken over with the weights"
        raise SpecError(f"texts are asked to be read otherwise\n  {told}", where="model.start_from", hint=hint)


def _other_readings(role: Role, lent: Bodies) -> Iterator[tuple[str, str]]:
    spelling, part = lent.spelling(role.name), role.part
    if spelling is None:
        return
    place = f"{role.role}s.{role.name}"
    size = cast(Any, part).vocabulary_size
    if size is not None and size != spelling.tokens:
        problem = f"{size:,} tokens are asked for, and {lent.origin} has {spelling.tokens:,}"
        yield f"{place}.vocabulary_size", problem
    for name in {"lowercase", "normalize"} & part.model_fields_set:
        mine, theirs = getattr(part, name), getattr(spelling, name)
        if mine != theirs:
            yield f"{place}.{name}", f"{name} is {str(mine).lower()} here and {str(theirs).lower()} in {lent.origin}"


def _is_text(role: Role) -> bool:
    """Whether a column holds texts that are read, or written, as tokens."""
    if role.role == "feature" and isinstance(role.part, TextColumn):
        return role.part.reads_tokens()
    return role.role == "target" and role.part.type in TEXTS


def spellings_of(roles: Sequence[Role], lent: Bodies) -> dict[str, Spelling]:
    """Tokens of every text column as the older model has them."""
    found = {role.name: lent.spelling(role.name) for role in roles if _is_text(role)}
    return {name: spelling for name, spelling in found.items() if spelling is not None}
