"""The conformer: attention and convolution over the steps of speech."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.model.attention_heads import HEADS, WIDTH, share_of, uneven_heads
from trueweight.model.senses import Pooling, pooled_by, sequence_stem
from trueweight.spec.base import Conflict, PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form

__all__ = ["ConformerEncoder"]


class ConformerEncoder(PartSpec):
    """Attention to all steps for what is far, a convolution for what is near, between two halves of a perceptron.

    Put it behind layers that leave fewer steps: ``[{type: cnn, channels: [128, 128]}, conformer]`` gives it a quarter.
    Source: Gulati et al. 2020, "Conformer: convolution-augmented transformer for speech recognition",
    arXiv:2005.08100; smaller, with rotary positions and no norm over batches.

    Example:
        ``encoder: [{type: cnn, channels: [128, 128]}, {type: conformer, layers: 4}]``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "width": [64, 128, 256],
        "layers": [2, 4, 6],
        "dropout": [0.0, 0.1, 0.3],
    }

    weightless: ClassVar[bool] = False
    ngrams: ClassVar[bool] = False

    type: Literal["conformer"] = "conformer"
    """Name of this part."""

    width: Annotated[int, Field(ge=1)] = WIDTH
    """Of each step."""

    layers: Annotated[int, Field(ge=1)] = 3
    """Blocks."""

    heads: Annotated[int, Field(ge=1)] = HEADS
    """Of attention, each ``width / heads`` wide."""

    hidden: Annotated[int, Field(ge=1)] | None = None
    """Width inside the perceptrons. Null: 4 times ``width``."""

    kernel_size: Annotated[int, Field(ge=1)] = 15
    """Steps that the convolution looks at, an odd number."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of links, hidden units and sums that are zeroed in each training step."""

    pooling: Pooling = "none"
    """How steps become one vector; none leaves them to what follows."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Heads share the width evenly, rotary positions turn pairs, and a filter has a middle."""
        yield from uneven_heads(raw, raw)
        if (size := share_of(raw)) % 2:
            problem = f"rotary positions turn pairs, and each head has {size} places: choose an even number of them"
            yield Conflict(("heads" if "heads" in raw else "width",), problem)
        kernel = raw.get("kernel_size", 15)
        if isinstance(kernel, int) and kernel % 2 == 0:
            yield Conflict(("kernel_size",), f"{kernel} steps have no middle: choose {kernel - 1} or {kernel + 1}")

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.conformer.Conformer`` behind a stem that turns the column into steps.

        Raises:
            SpecError: Columns that are no sequence.
        """
        from trueweight.nn.chain import Chain

        stem: Any = sequence_stem(layout, self.width, self.type)
        return Chain(stem, [self.build_on(stem.form)])

    def build_on(self, form: "Form") -> "nn.Module":
        """The same behind another encoder."""
        from trueweight.nn.conformer import Conformer, ConformerWishes

        wishes = ConformerWishes(
            layers=self.layers, heads=self.heads, hidden=self.hidden or 4 * self.width, kernel=self.kernel_size,
            dropout=self.dropout,
        )  # fmt: skip
        module = Conformer(form, self.width, wishes)
        return pooled_by(self.pooling, module, module.form)
