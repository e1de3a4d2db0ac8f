"""One page for each kind of part, from the registry."""

import json
from typing import Any

from docs_spec import inside
from docs_words import fields_of, paragraphs

from trueweight.registry import KINDS, registry
from trueweight.spec.base import PartSpec

__all__ = ["part_pages"]

_TITLES = {
    "augmentation": "Augmentations", "column": "Column types", "decoder": "Decoders", "encoder": "Encoders",
    "fusion": "Fusions", "head": "Target types", "fitter": "Fitters",
    "optimizer": "Optimisers", "predictor": "Predictors", "source": "Sources",
}  # fmt: skip
_PURPOSES = {
    "augmentation": "Change training examples in ways that leave what they are. Listed under a column's `augment`.",
    "column": "What a column of features may be. Named under `features`; guessed for columns that are not named.",
    "decoder": "Write texts, or read them off sounds. Named as `decoder` of a target of type [text](head.md#text).",
    "encoder": "Turn columns into numbers of the network's width. Named as `model.encoder` or in `model.members`.",
    "fusion": "Join the outputs of several encoders.",
    "head": "What a column to predict may be. Named under `targets`. The task follows from it.",
    "fitter": "How the weights of a member are found.",
    "optimizer": "How gradients become steps. Named as `train.optimizer`.",
    "predictor": "What answers. A model is a tree of these; `predictor.json` in a bundle names them, a spec does not.",
    "source": "Kinds of files that tables are read from, found by name and first bytes; `data.format` overrules.",
}  # fmt: skip


def part_pages() -> dict[str, str]:
    """The text of each page, by kind."""
    return {kind: _page(kind) for kind in KINDS}


def _page(kind: str) -> str:
    add = (
        f"A package of yours adds one by an entry point of the group `trueweight.{kind}`; see "
        "[how to add a part](../../CONTRIBUTING.md#how-to-add-a-part). `trueweight parts "
        f"{kind}` lists what is installed."
    )
    ours = [name for name in registry(kind) if registry(kind).is_ours(name)]
    return "\n".join([f"# {_TITLES[kind]}\n\n{_PURPOSES[kind]} {add}\n", *(_part(kind, name) for name in ours)])


def _part(kind: str, name: str) -> str:
    part: Any = registry(kind)[name]
    pieces = [f"## {name}", paragraphs(part.__doc__)]
    if issubclass(part, PartSpec):
        pieces.append(fields_of(part, parts="", skip=("type",)))
        held = dict.fromkeys(one for field in part.model_fields.values() for one in inside(field.annotation))
        pieces += [f"### {one.__name__}\n\n{paragraphs(one.__doc__)}\n\n{fields_of(one, parts='')}" for one in held]
        if part.search_space:
            tried = "; ".join(f"`{key}`: {_values(values)}" for key, values in part.search_space.items())
            pieces.append(f"Worth trying: {tried}.")
    return "\n\n".join(pieces) + "\n"


def _values(values: list[Any]) -> str:
    return ", ".join(json.dumps(value) if not isinstance(value, str) else value for value in values)
