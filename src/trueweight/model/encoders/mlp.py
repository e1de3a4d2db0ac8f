"""A multilayer perceptron over embedded columns, alone or as several in one."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.numeric import Embedding

__all__ = ["MlpEncoder"]


class MlpEncoder(PartSpec):
    """Numbers embedded, categories one-hot or embedded, then dense layers; ``members`` of them share one trunk.

    Sources: numerical embeddings of Gorishniy et al. 2022, arXiv:2203.05556; members of TabM-mini, Gorishniy et al.
    2024, arXiv:2410.24210; soft clipping of RealMLP, Holzmueller et al. 2024, arXiv:2407.04491.

    Example:
        ``encoder: {type: mlp, hidden_sizes: [256, 256], members: 8}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "hidden_sizes": [[128], [256, 256], [512, 512, 512]],
        "dropout": [0.0, 0.1, 0.3],
        "numerical_embedding": ["piecewise_linear", "periodic", "none"],
        "embedding_size": [8, 16, 32],
        "members": [1, 8, 32],
    }

    weightless: ClassVar[bool] = False
    ngrams: ClassVar[bool] = False

    type: Literal["mlp"] = "mlp"
    """Name of this part."""

    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field(default_factory=lambda: [256, 256])
    """Width of each layer."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of hidden units that are zeroed in each training step."""

    activation: Literal["relu", "gelu", "silu", "selu", "tanh"] = "relu"
    """Between the layers."""

    normalization: Literal["none", "layer", "rms", "batch"] = "none"
    """Before each activation. batch mixes rows while training, which private training refuses."""

    residual: bool = False
    """Add each layer's input to its output where the widths agree."""

    initializer: Literal[
        "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal", "orthogonal", "zeros"
    ] = "kaiming_uniform"  # fmt: skip
    """How the layers' weights begin."""

    numerical_embedding: Literal["piecewise_linear", "periodic", "none"] = "piecewise_linear"
    """What each number becomes before the first layer; none passes it on, softly clipped."""

    embedding_size: Annotated[int, Field(ge=1)] = 16
    """Width of each number's embedding."""

    category_embedding_size: Annotated[int, Field(ge=1)] | None = None
    """Width of each category's embedding. Null: one-hot up to nine levels, else 8 to 32 by the number of levels."""

    members: Annotated[int, Field(ge=1)] = 1
    """Networks in one. Each has its own scaling of the input and its own head; their answers are averaged."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.tabular.PerceptronEncoder``."""
        from trueweight.nn.initializers import initialize
        from trueweight.nn.mlp import Mlp
        from trueweight.nn.tabular import PerceptronEncoder, TableEmbedding

        if layout.senses:
            hint = "name one that reads the column, such as cnn or lstm, or leave the encoder out"
            problem = f"encoder {self.type!r} reads numbers and categories, no pictures, sounds, texts or series"
            raise SpecError(problem, where="encoder", hint=hint)
        number, chunks = self._number(layout)
        flags, categories = layout.width("flag"), self.category_embedding_size
        embedding = TableEmbedding(number, chunks, flags, layout.cardinalities, categories)
        trunk = Mlp(
            sum(embedding.chunks), self.hidden_sizes, activation=self.activation, normalization=self.normalization,
            dropout=self.dropout, residual=self.residual,
        )  # fmt: skip
        initialize(trunk, self.initializer)
        width = self.hidden_sizes[-1] if self.hidden_sizes else sum(embedding.chunks)
        return PerceptronEncoder(embedding, trunk, width, self.members)

    def _number(self, layout: Layout) -> "tuple[Embedding | None, list[int]]":
        """The embedding of numbers and how many places it gives to each column."""
        from trueweight.nn.numeric import EmbedSome, Periodic, PiecewiseLinear, SmoothClip

        columns = layout.width("number")
        if not columns:
            return None, []
        if self.numerical_embedding == "none":
            return SmoothClip(), [1] * columns
        if self.numerical_embedding == "periodic":
            return Periodic(columns, self.embedding_size), [self.embedding_size] * columns
        knots = [*layout.knots, *[()] * (columns - len(layout.knots))]
        chosen = [place for place, inner in enumerate(knots) if inner]
        others = [place for place, inner in enumerate(knots) if not inner]
        if not chosen:
            return SmoothClip(), [1] * columns
        embedding = PiecewiseLinear([knots[place] for place in chosen], self.embedding_size)
        if not others:
            return embedding, [self.embedding_size] * columns
        # A wave of the calendar has no quantiles worth a bin: it is smooth already.
        return EmbedSome(embedding, chosen, others), [self.embedding_size] * len(chosen) + [1] * len(others)
