"""The recurrent decoder."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LstmDecoderPart"]


class LstmDecoderPart(PartSpec):
    """An LSTM over the text so far that looks at what was read by attention.

    Source: Luong, Pham and Manning 2015, "Effective approaches to attention-based neural machine translation",
    arXiv:1508.04025.

    Example:
        ``decoder: {type: lstm, width: 256, layers: 1}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "width": [128, 256, 512],
        "layers": [1, 2],
        "dropout": [0.0, 0.1, 0.3],
    }

    type: Literal["lstm"] = "lstm"
    """Name of this part."""

    width: Annotated[int, Field(ge=1)] = 128
    """Of tokens and states."""

    layers: Annotated[int, Field(ge=1)] = 1
    """LSTMs in a row."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of values that are zeroed in each training step: of tokens, between layers, before the logits."""

    tied: bool = True
    """Make logits with the table of tokens (Press and Wolf 2016, arXiv:1608.05859)."""

    def build(self, vocabulary: int, memory_width: int | None, length: int) -> "nn.Module":  # noqa: ARG002
        """A ``nn.decoder_lstm.LstmDecoder``.

        Args:
            vocabulary: Tokens there are.
            memory_width: Of the tokens that are read; None: nothing is read.
            length: Means nothing to it.
        """
        from trueweight.nn.decoder_lstm import LstmDecoder

        return LstmDecoder(
            vocabulary, memory_width, width=self.width, layers=self.layers, dropout=self.dropout, tied=self.tied
        )
