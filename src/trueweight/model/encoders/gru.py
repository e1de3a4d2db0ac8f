"""Gated recurrent units: a recurrent network with fewer gates than an LSTM."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.model.senses import Pooling, pooled_by, sequence_stem
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form

__all__ = ["GruEncoder"]


class GruEncoder(PartSpec):
    """Reads a sequence step by step like an LSTM, with one state and two gates: a quarter fewer weights.

    At each step t, with gates z, r between 0 and 1:

        h_t = z * h_(t-1) + (1 - z) * tanh(W x_t + r * (U h_(t-1) + b))

    Source: Cho et al. 2014, arXiv:1406.1078; the reset gate acts on the product with the state, as in torch's kernels.

    Example:
        ``encoder: {type: gru, hidden_size: 128, layers: 2, bidirectional: true}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "hidden_size": [64, 128, 256],
        "layers": [1, 2],
        "bidirectional": [False, True],
        "dropout": [0.0, 0.2, 0.3],
    }

    weightless: ClassVar[bool] = False
    ngrams: ClassVar[bool] = False

    type: Literal["gru"] = "gru"
    """Name of this part."""

    hidden_size: Annotated[int, Field(ge=1)] = 128
    """Width of the state of each layer and direction."""

    layers: Annotated[int, Field(ge=1)] = 1
    """Each reads what the one below gives at every step."""

    bidirectional: bool = False
    """Read every row backwards too."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each layer's outputs that are zeroed in training before the next layer, the same at all steps."""

    embedding_size: Annotated[int, Field(ge=1)] | None = None
    """Width that each step is brought to before the first layer. Null: 64 for texts, else as wide as the step is."""

    pooling: Pooling = "none"
    """How steps become one vector; last takes the state of each direction after its last step. none leaves them to what
    follows, which takes their mean if it wants one vector."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.recurrent.Recurrent`` behind a stem that turns the column into steps.

        Raises:
            SpecError: Columns that are no sequence.
        """
        from trueweight.nn.chain import Chain

        stem: Any = sequence_stem(layout, self.embedding_size, self.type)
        return Chain(stem, [self.build_on(stem.form)])

    def build_on(self, form: "Form") -> "nn.Module":
        """The same behind another encoder."""
        from trueweight.nn.recurrent import Recurrent

        ends = self.pooling == "last"
        module = Recurrent(
            self.type, form, self.hidden_size, layers=self.layers, bidirectional=self.bidirectional,
            dropout=self.dropout, ends=ends,
        )  # fmt: skip
        return module if ends else pooled_by(self.pooling, module, module.form)
