"""The transformer decoder."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.model.attention_heads import HEADS, WIDTH, uneven_heads
from trueweight.spec.base import Conflict, PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TransformerDecoderPart"]


class TransformerDecoderPart(PartSpec):
    """Attention to the text so far, to what was read if there is anything, and a perceptron; several times.

    Sources: Vaswani et al. 2017, arXiv:1706.03762; "Deep encoder, shallow decoder", Kasai et al. 2020,
    arXiv:2006.10369, for two layers where there is something to read; Radford et al. 2019, "Language models are
    unsupervised multitask learners", where there is not. ``{norm: post, normalization: layer, activation: relu,
    positions: sinusoidal, qk_norm: false}`` is the original.

    Example:
        ``decoder: {type: transformer, width: 256, layers: 2, heads: 4}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "width": [64, 128, 256],
        "layers": [1, 2, 4, 6],
        "dropout": [0.0, 0.1, 0.3],
    }

    type: Literal["transformer"] = "transformer"
    """Name of this part."""

    width: Annotated[int, Field(ge=1)] = WIDTH
    """Of each token."""

    layers: Annotated[int, Field(ge=1)] | None = None
    """Blocks. Null: 2 where there is something to read, else 4."""

    heads: Annotated[int, Field(ge=1)] = HEADS
    """Of attention, each ``width / heads`` wide."""

    key_value_heads: Annotated[int, Field(ge=1)] | None = None
    """Heads of keys and values, a divisor of ``heads``; fewer make the cache smaller. Null: as many as ``heads``."""

    hidden: Annotated[int, Field(ge=1)] | None = None
    """Width of the perceptron inside each block. Null: 4 times ``width``, for swiglu 8/3 times."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of hidden units and of what each half of a block adds that is zeroed in each training step."""

    norm: Literal["pre", "post"] = "pre"
    """Whether branches normalise what they read, or sums are normalised."""

    normalization: Literal["rms", "layer"] = "rms"
    """How."""

    norm_eps: Annotated[float, Field(gt=0)] | None = None
    """Added under the root when normalising. Null: 1e-6 for rms, 1e-5 for layer."""

    activation: Literal["gelu", "gelu_tanh", "relu", "swiglu"] = "gelu"
    """Inside the perceptron. gelu_tanh is gelu as older models compute it, by tanh."""

    positions: Literal["rotary", "sinusoidal", "learned"] = "rotary"
    """How tokens know their places."""

    rotary_base: Annotated[float, Field(gt=1)] = 10_000.0
    """Of rotary positions: the longest wave, in tokens, over two pi. Models for long texts have greater ones."""

    biases: bool = True
    """Let linear layers add a learnt vector."""

    qk_norm: bool = True
    """Scale queries and keys, against logits that grow without bound."""

    tied: bool = True
    """Make logits with the table of tokens (Press and Wolf 2016, arXiv:1608.05859)."""

    scaled: bool = True
    """Multiply tokens with the root of the width before places are added, as the original does."""

    max_length: Annotated[int, Field(ge=1)] | None = None
    """Places of ``positions: learned``; tokens beyond share the last. Null: what a text can have at most."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Heads that do not divide the width."""
        yield from uneven_heads(raw, raw)
        heads, groups = raw.get("heads", HEADS), raw.get("key_value_heads")
        if isinstance(heads, int) and isinstance(groups, int) and groups > 0 and heads % groups:
            problem = f"{heads} heads cannot share {groups} key_value_heads evenly; choose a divisor of {heads}"
            yield Conflict(("key_value_heads",), problem)

    def build(self, vocabulary: int, memory_width: int | None, length: int) -> "nn.Module":
        """A ``nn.decoder.TransformerDecoder``.

        Args:
            vocabulary: Tokens there are.
            memory_width: Of the tokens that are read; None: nothing is read.
            length: Most tokens of a text, its beginning included.
        """
        from trueweight.nn.decoder import DecoderWishes, TransformerDecoder

        wide = 8 * self.width // 3 if self.activation == "swiglu" else 4 * self.width
        wishes = DecoderWishes(
            width=self.width, layers=self.layers or (4 if memory_width is None else 2), heads=self.heads,
            key_value_heads=self.key_value_heads or self.heads,
            hidden=self.hidden or wide, dropout=self.dropout, norm=self.norm,
            normalization=self.normalization, activation=self.activation, positions=self.positions,
            qk_norm=self.qk_norm, tied=self.tied, length=self.max_length or length, norm_eps=self.norm_eps,
            rotary_base=self.rotary_base, biases=self.biases, scaled=self.scaled,
        )  # fmt: skip
        return TransformerDecoder(vocabulary, memory_width, wishes)
