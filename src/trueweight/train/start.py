"""Begins with the weights of a model that was trained before."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trueweight.errors import SpecError
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.protocols import Predictor
from trueweight.nn.positions import Learned

__all__ = ["Copied", "networks_in", "start"]


@dataclass(frozen=True, slots=True)
class Copied:
    """What one encoder took over."""

    member: str
    field: str
    """What it reads."""
    tensors: int
    of: int
    """Tensors that it has."""

    def __str__(self) -> str:
        return f"{self.tensors} of {self.of} tensors of {self.member}'s encoder of {self.field}"


def networks_in(predictor: Predictor) -> list[NetworkPredictor]:
    """All networks of a tree."""
    found = [predictor] if isinstance(predictor, NetworkPredictor) else []
    for member in predictor.members():
        found += networks_in(member)
    return found


def start(leaves: dict[str, NetworkPredictor], donors: Sequence[NetworkPredictor]) -> tuple[Copied, ...]:
    """Copy the weights of encoders that are asked for in the same words and have the same shapes.

    Embeddings of words are copied only where the words are the same. Encoders of plain columns are, only where
    everything about the columns is. Heads and fusions begin afresh.

    Args:
        leaves: By member name; changed in place.
        donors: Of the older model.

    Raises:
        SpecError: Nothing fits.
    """
    copied = [Copied(name, *found) for name, leaf in leaves.items() for found in _start_one(leaf, donors)]
    if not copied:
        asked = {part.type for leaf in leaves.values() for part in leaf.encoders.values() if not leaf.solving}
        there = {part.type for donor in donors for part in donor.encoders.values()}
        raise SpecError(
            f"no encoder fits: this model has {_words(asked)}, that one {_words(there)}",
            where="model.start_from",
            hint="encoders must be asked for with the same options; see the bundle's resolved.yaml",
        )
    return tuple(copied)


def _words(kinds: set[str]) -> str:
    return ", ".join(sorted(kinds)) or "none"


def _start_one(leaf: NetworkPredictor, donors: Sequence[NetworkPredictor]) -> Iterator[tuple[str, int, int]]:
    for i, name in enumerate(leaf.network.fields):
        mine = leaf.network.encoders[f"f{i}"]
        state = mine.state_dict()
        best: dict[str, Tensor] = {}
        for donor, j, theirs in _alike(leaf, name, donors):
            same = _same_codecs(leaf, name, donor, theirs)
            best = max(best, _fitting(mine, state, donor.network.encoders[f"f{j}"], same_words=same), key=len)
        if best:
            mine.load_state_dict(state | best)
            yield name, len(best), len(state)


def _alike(
    leaf: NetworkPredictor, name: str, donors: Sequence[NetworkPredictor]
) -> Iterator[tuple[NetworkPredictor, int, str]]:
    """Encoders asked for in the same words, that of the field of the same name first."""
    found = [
        (donor, j, theirs)
        for donor in donors
        for j, theirs in enumerate(donor.network.fields)
        if donor.encoders[theirs] == leaf.encoders[name]
        and (leaf.fields[name].layout().senses or _same_codecs(leaf, name, donor, theirs))
    ]
    yield from sorted(found, key=lambda one: one[2] != name)


def _same_codecs(leaf: NetworkPredictor, name: str, donor: NetworkPredictor, theirs: str) -> bool:
    mine, other = leaf.fields[name].to_json()["columns"], donor.fields[theirs].to_json()["columns"]
    return [column["codec"] for column in mine] == [column["codec"] for column in other]


def _fitting(mine: nn.Module, state: dict[str, Tensor], theirs: nn.Module, *, same_words: bool) -> dict[str, Tensor]:
    words = set() if same_words else set(_tables(mine))
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
