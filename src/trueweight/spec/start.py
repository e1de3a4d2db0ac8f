"""Where a model starts from, and which of the weights that it takes over go on learning."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from trueweight.spec.base import Conflict, Spec

__all__ = ["StartSpec"]


class StartSpec(Spec):
    """An older model's weights, and what becomes of them."""

    source: str
    """Bundle of ours, or folder in the layout of Hugging Face (BERT, GPT-2, Llama: config.json, model.safetensors,
    tokenizer; ResNet: preprocessor_config.json for the tokenizer), relative to the spec's folder."""

    train: Literal["whole", "frozen", "last_layers", "lora"] = "whole"
    """Which of the weights that are taken over go on learning; new ones always learn. whole: all. frozen: none.
    last_layers: those of the last layers. lora: none, but each of their matrices gets a small one beside it that
    learns, and is added to it when the model is saved."""

    layers: Annotated[int, Field(ge=1)] = 1
    """Of ``train: last_layers``: how many go on learning."""

    rank: Annotated[int, Field(ge=1)] = 8
    """Of ``train: lora``: how many directions each matrix can change in."""

    alpha: Annotated[float, Field(gt=0)] = 16.0
    """Of ``train: lora``: how much the small matrices count, by ``alpha / sqrt(rank)``."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Options of one way of training say nothing beside another."""
        chosen = raw.get("train", "whole")
        for option, way in (("layers", "last_layers"), ("rank", "lora"), ("alpha", "lora")):
            if option in raw and chosen != way and raw[option] != cls.model_fields[option].default:
                yield Conflict((option,), f"is of train: {way}, and train is {chosen!r}: leave it out, or change that")
