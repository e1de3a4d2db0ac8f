"""Joins encodings token by token."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form

__all__ = ["TransformerFusion"]


class TransformerFusion(PartSpec):
    """Puts the tokens of all encodings into one sequence and lets a transformer read it: words can look at patches.

    Each encoding is projected to one width, with a learnt vector that says whose its tokens are; plain columns give
    one token together. The idea of one stream for several senses: VisualBERT, Li et al. 2019, arXiv:1908.03557.

    Example:
        ``fusion: {type: transformer, width: 128, layers: 2}``
    """

    type: Literal["transformer"] = "transformer"
    """Name of this part."""

    width: Annotated[int, Field(ge=1)] = 128
    """Of each token, and of the joined encoding."""

    layers: Annotated[int, Field(ge=1)] = 2
    """Blocks of attention and perceptron."""

    heads: Annotated[int, Field(ge=1)] = 4
    """Of attention, each ``width / heads`` wide."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of links, hidden units and sums that are zeroed in each training step."""

    pooling: Literal["class", "mean"] = "class"
    """What stands for a row: a learnt token that reads all others, or the mean of all."""

    checkpointing: bool = False
    """Save memory: compute each block again in the backward pass instead of keeping all it made. A third slower."""

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be shared evenly by {self.heads} heads")
        return self

    def build(self, forms: "Mapping[str, Form]") -> "nn.Module":
        """A ``nn.joined.TokenFusion`` of encodings of these forms."""
        from trueweight.nn.joined import TokenFusion
        from trueweight.nn.transformer import Wishes

        wishes = Wishes(
            layers=self.layers, heads=self.heads, hidden=4 * self.width, dropout=self.dropout,
            checkpointing=self.checkpointing,
        )  # fmt: skip
        return TokenFusion(forms, self.width, wishes, class_token=self.pooling == "class")
