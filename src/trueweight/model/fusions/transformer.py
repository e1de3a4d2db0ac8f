"""Joins encodings token by token."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from trueweight.model.attention_heads import HEADS, WIDTH, uneven_heads
from trueweight.spec.base import Conflict, PartSpec

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

    width: Annotated[int, Field(ge=1)] = WIDTH
    """Of each token, and of the joined encoding."""

    layers: Annotated[int, Field(ge=1)] = 2
    """Blocks of attention and perceptron."""

    heads: Annotated[int, Field(ge=1)] = HEADS
    """Of attention, each ``width / heads`` wide."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of links, hidden units and sums that are zeroed in each training step."""

    pooling: Literal["class", "mean"] = "class"
    """What stands for a row: a learnt token that reads all others, or the mean of all."""

    checkpointing: bool = False
    """Save memory: compute each block again in the backward pass instead of keeping all it made. A third slower."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Heads share the width evenly."""
        yield from uneven_heads(raw, raw)

    def build(self, forms: "Mapping[str, Form]") -> "nn.Module":
        """A ``nn.joined.TokenFusion`` of encodings of these forms."""
        from trueweight.nn.joined import TokenFusion
        from trueweight.nn.transformer import Wishes

        wishes = Wishes(
            layers=self.layers, heads=self.heads, hidden=4 * self.width, dropout=self.dropout,
            checkpointing=self.checkpointing,
        )  # fmt: skip
        return TokenFusion(forms, self.width, wishes, class_token=self.pooling == "class")
