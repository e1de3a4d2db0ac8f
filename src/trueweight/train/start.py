"""Begins with the weights of a model that was trained before."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from trueweight.data.bpe import vocabulary_from
from trueweight.data.column import Codec
from trueweight.data.text_codec import TextCodec
from trueweight.errors import SpecError
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.nn.bodies import TokenBody, body_of, differences, put
from trueweight.nn.positions import Learned
from trueweight.spec.start import StartSpec
from trueweight.train.frozen import Taken, hold
from trueweight.train.pictures import put_pictures, resnet_of, unlike_pictures
from trueweight.train.starting import Bodies, Body

__all__ = ["Copied", "start"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What one encoder, decoder or filler of gaps took over."""

    member: str
    role: str
    """encoder, decoder or masked."""
    field: str
    """What it reads or writes."""
    source: str
    """Where it stood in the older model."""
    tensors: int
    of: int
    """Tensors that it has."""
    weights: int
    """Numbers that were taken over."""
    of_weights: int
    """Numbers that the whole member has."""
    trained: int
    """Numbers of the member that go on learning."""
    of_trained: int
    """Numbers that it has while it learns, the small matrices of ``train: lora`` among them."""

    def __str__(self) -> str:
        told = f"{self.tensors} of {self.of} tensors of {self.member}'s {self.role} of {self.field}"
        return f"{told}, from {self.source}: {self.weights / self.of_weights:.1%} of its weights"


@dataclass(frozen=True, slots=True)
class _Place:
    """What could take something over."""

    role: str
    name: str
    """Of the field or target."""
    path: str
    """In a spec."""
    column: str
    module: nn.Module


def start(leaves: dict[str, NetworkPredictor], lent: Bodies, asked: StartSpec, seed: int = 0) -> tuple[Copied, ...]:
    """Copy weights of what is built alike, and keep those from learning that are not to.

    Transformers over text are matched by their options and vocabulary, whether they read or write. Other encoders are
    if they are asked for in the same words; embeddings of their words are copied only where the words are the same,
    and encoders of plain columns only where everything about the columns is. Other heads and fusions begin afresh.

    Args:
        leaves: By member name; changed in place.
        lent: By the older model.
        asked: What becomes of the weights.
        seed: Of the small matrices of ``train: lora``.

    Raises:
        SpecError: Nothing fits; says everything that differs.
    """
    copied: list[Copied] = []
    unlike: list[str] = []
    for name, leaf in leaves.items():
        found = []
        for place in _places(leaf):
            taken, why = _start_one(leaf, place, lent)
            unlike += [f"{place.path}: {line}" for line in why]
            found += [(place, taken)] if taken is not None else []
        if found:
            copied += _told(name, leaf, found, asked, seed)
    if not copied:
        raise SpecError(_nothing_fits(leaves, lent, unlike), where="model.start_from", hint=_hint(unlike))
    return tuple(copied)


def _told(
    member: str, leaf: NetworkPredictor, found: list[tuple[_Place, Taken]], asked: StartSpec, seed: int
) -> Iterator[Copied]:
    of_weights = sum(p.numel() for p in leaf.network.parameters())
    of = [len(place.module.state_dict()) for place, _ in found]
    hold(leaf.network, [taken for _, taken in found], asked, seed)
    trained = sum(p.numel() for p in leaf.network.parameters() if p.requires_grad)
    for (place, taken), tensors in zip(found, of, strict=True):
        yield Copied(
            member=member, role=place.role, field=place.name.removeprefix("column "), source=taken.source,
            tensors=taken.tensors, of=tensors, weights=taken.weights, of_weights=of_weights, trained=trained,
            of_trained=sum(p.numel() for p in leaf.network.parameters()),
        )  # fmt: skip


def _places(leaf: NetworkPredictor) -> Iterator[_Place]:
    if leaf.solving:
        return
    for number, name in enumerate(leaf.network.fields):
        column = next(iter(leaf.fields[name].codecs), "")
        path = f"features.{column}.encoder" if leaf.fields[name].layout().senses else "model.encoder"
        yield _Place("encoder", name, path, column, leaf.network.encoders[f"f{number}"])
    for number, name in enumerate(leaf.network.targets):
        head = leaf.network.heads[f"t{number}"]
        if body_of(head) is not None:
            masked = leaf.signature.columns[name].type == "masked"
            role = "masked" if masked else "decoder"
            yield _Place(role, name, f"targets.{name}.{'encoder' if masked else 'decoder'}", name, head)


def _start_one(leaf: NetworkPredictor, place: _Place, lent: Bodies) -> tuple[Taken | None, list[str]]:
    """What was copied, or what differs."""
    if place.role == "encoder" and lent.pictures is not None and (mine := resnet_of(place.module)) is not None:
        why = list(unlike_pictures(mine, lent.pictures))
        return (None, [f"{line} (folder)" for line in why]) if why else (put_pictures(mine, lent.pictures), [])
    body = body_of(place.module)
    merges = _merges(leaf, place)
    if body is None or merges is None:
        return (_whole(leaf, place, lent) if place.role == "encoder" else None), []
    reasons: list[str] = []
    for source, theirs in _in_order(lent, place.column):
        why = list(_unlike(body, merges, theirs))
        if not why:
            filled = put(body, theirs.tensors, theirs.scale)
            layers = int(body.options["layers"])
            return Taken(source, place.module, {key: s.parameter for key, s in filled.items()}, layers), []
        reasons = reasons or [f"{line} ({source})" for line in why]
    return None, reasons


def _in_order(lent: Bodies, column: str) -> list[tuple[str, Body]]:
    """What stood under the same name first."""
    named = (f"features.{column}", f"targets.{column}")
    return sorted(lent.parts.items(), key=lambda item: item[0] not in named)


def _unlike(mine: TokenBody, merges: object, theirs: Body) -> Iterator[str]:
    yield from differences(mine.options, theirs.options, {"tokens": "the number of tokens"})
    if mine.options["tokens"] == theirs.options["tokens"] and merges != theirs.spelling.merges:
        yield "the vocabulary has other tokens"


def _merges(leaf: NetworkPredictor, place: _Place) -> object:
    """What token numbers mean; None where nothing is read as tokens."""
    if place.role != "encoder":
        return vocabulary_from(leaf.signature.columns[place.name].learnt["merges"])
    codec = next(iter(leaf.fields[place.name].codecs.values()), None)
    return codec.merges if isinstance(codec, TextCodec) else None


def _nothing_fits(leaves: Mapping[str, NetworkPredictor], lent: Bodies, unlike: list[str]) -> str:
    if unlike:
        return "\n  ".join([f"nothing of {lent.origin} fits what this spec builds", *dict.fromkeys(unlike)])
    mine = {part.type for leaf in leaves.values() for part in leaf.encoders.values() if not leaf.solving}
    there = {part.type for donor in lent.networks for part in donor.encoders.values()}
    there |= {part.encoder.type for part in lent.parts.values()}
    there |= {lent.pictures.encoder.type} if lent.pictures is not None else set()
    return f"no encoder fits: this model has {_words(mine)}, that one {_words(there)}"


def _hint(unlike: list[str]) -> str:
    if unlike:
        return "leave the encoder or decoder out, and it is taken over too; or give it the older model's options"
    return "encoders must be asked for with the same options; see the bundle's resolved.yaml"


def _words(kinds: Iterable[str]) -> str:
    return ", ".join(sorted(kinds)) or "none"


def _whole(leaf: NetworkPredictor, place: _Place, lent: Bodies) -> Taken | None:
    """An encoder that is asked for in the same words, copied tensor by tensor."""
    best: dict[str, Tensor] = {}
    source = ""
    for donor, number, theirs in _alike(leaf, place.name, lent.networks):
        same = _same_words(leaf, place.name, donor, theirs)
        found = _fitting(place.module, donor.network.encoders[f"f{number}"], same_words=same)
        if len(found) > len(best):
            best, source = found, f"features.{next(iter(donor.fields[theirs].codecs), theirs)}"
    if not best:
        return None
    place.module.load_state_dict(place.module.state_dict() | best)
    named = dict(place.module.named_parameters())
    return Taken(source, place.module, {k: named[k] for k in best if k in named}, 0, buffers=len(best.keys() - named))


def _alike(
    leaf: NetworkPredictor, name: str, donors: Iterable[NetworkPredictor]
) -> Iterator[tuple[NetworkPredictor, int, str]]:
    """Encoders asked for in the same words, that of the field of the same name first."""
    found = [
        (donor, j, theirs)
        for donor in donors
        for j, theirs in enumerate(donor.network.fields)
        if donor.encoders[theirs] == leaf.encoders[name]
        and (leaf.fields[name].layout().senses or _same_words(leaf, name, donor, theirs))
    ]
    yield from sorted(found, key=lambda one: one[2] != name)


def _same_words(leaf: NetworkPredictor, name: str, donor: NetworkPredictor, theirs: str) -> bool:
    """Whether numbers mean the same: of tokens, of n-grams, or everything about plain columns."""
    encoder: Any = leaf.encoders[name]
    mine, other = ([_meaning(c, ngrams=encoder.ngrams) for c in f.codecs.items()] for f in
                   (leaf.fields[name], donor.fields[theirs]))  # fmt: skip
    return mine == other


def _meaning(named: tuple[str, Codec], *, ngrams: bool) -> Any:
    name, codec = named
    if not isinstance(codec, TextCodec):
        return name if codec.senses() else codec.to_json()
    return codec.bucket_K.tolist() if ngrams else codec.merges


def _fitting(mine: nn.Module, theirs: nn.Module, *, same_words: bool) -> dict[str, Tensor]:
    words, state = set() if same_words else set(_tables(mine)), mine.state_dict()
    with torch.no_grad():
        return {
            key: t.clone()
            for key, t in theirs.state_dict().items()
            if key in state and state[key].shape == t.shape and key not in words
        }


def _tables(module: nn.Module) -> Iterator[str]:
    """Names of embeddings by number, places in a sequence aside."""
    places = {id(inner.table) for inner in module.modules() if isinstance(inner, Learned)}
    for name, inner in module.named_modules():
        if isinstance(inner, nn.Embedding | nn.EmbeddingBag) and id(inner) not in places:
            yield f"{name}.weight"
