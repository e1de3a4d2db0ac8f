"""The recipe for texts as targets: what reads where something is to be written, and how writing is learnt.

A decoder attends to what was read token by token, so nothing is pooled, several networks in one are none, and what
helps to tell classes (n-grams, means of word vectors) says too little. Speech has a recipe of its own in ``speech``.
"""

from collections.abc import Mapping
from typing import Any

from trueweight.recipes.recipe import SenseRecipe
from trueweight.spec.base import PartSpec
from trueweight.spec.run import RunSpec

__all__ = ["FUSION", "LABEL_SMOOTHING", "READ", "for_writing", "fusion_for", "with_smoothing", "writes"]

READ = SenseRecipe(
    # A deep encoder and a shallow decoder: Kasai et al. 2020, arXiv:2006.10369, where moving layers from the decoder to
    # the encoder cost no quality. Three layers of width 128 instead of their twelve of 512, for laptop cores.
    encoder=[{"type": "transformer", "width": 128, "layers": 3}],
)

FUSION: Mapping[str, Any] = {"type": "transformer"}
"""Joins the tokens of several columns, where concat would pool them. One column alone passes concat as it is."""

LABEL_SMOOTHING = 0.1
"""Where there is something to read: Vaswani et al. 2017, arXiv:1706.03762, section 5.4, which gained BLEU by it. None
for language models, whose probabilities are what is asked for, and which it makes worse by the same section."""


def writes(targets: Mapping[str, str]) -> bool:
    """Whether any target is a text."""
    return "text" in targets.values()


def for_writing(kind: str, targets: Mapping[str, str]) -> SenseRecipe | None:
    """The recipe for a feature of this type where it differs from that of its sense."""
    return READ if kind == "text" and writes(targets) else None


def fusion_for(features: Mapping[str, str]) -> Mapping[str, Any]:
    """What joins columns for a decoder."""
    return FUSION if len(features) > 1 and "text" in features.values() else {"type": "concat"}


def with_smoothing(spec: RunSpec, features: Mapping[str, str]) -> RunSpec:
    """The spec with the label smoothing of texts that are written from something, where it says nothing of it.

    Args:
        spec: As asked for. Not changed.
        features: Types by column.
    """
    if not features:
        return spec
    return spec.model_copy(update={"targets": {name: _smoothed(part) for name, part in spec.targets.items()}})


def _smoothed(part: PartSpec) -> PartSpec:
    if part.type != "text" or "label_smoothing" in part.model_fields_set:
        return part
    decoder = part.model_dump()["decoder"]["type"]
    if decoder == "ctc":  # it sums over ways to read a text, and has no single label at a time
        return part
    return part.model_copy(update={"label_smoothing": LABEL_SMOOTHING})
