"""What the recurrent encoders share: their options, and how these become a network. Imports torch only when called."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.model.senses import Pooling, pooled_by, sequence_stem
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form

__all__ = ["RecurrentSpec", "recurrent", "recurrent_on"]


class RecurrentSpec(PartSpec):
    """Options of a recurrent network. Abstract: a part of it names its cell by its type."""

    search_space: ClassVar[dict[str, list[Any]]] = {
        "hidden_size": [64, 128, 256],
        "layers": [1, 2],
        "bidirectional": [False, True],
        "dropout": [0.0, 0.2, 0.3],
    }

    weightless: ClassVar[bool] = False
    ngrams: ClassVar[bool] = False

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


def recurrent(spec: RecurrentSpec, layout: Layout) -> "nn.Module":
    """A ``nn.recurrent.Recurrent`` behind a stem that turns the column into steps.

    Raises:
        SpecError: Columns that are no sequence.
    """
    from trueweight.nn.chain import Chain

    stem: Any = sequence_stem(layout, spec.embedding_size, spec.type)
    return Chain(stem, [recurrent_on(spec, stem.form)])


def recurrent_on(spec: RecurrentSpec, form: "Form") -> "nn.Module":
    """The same behind another encoder."""
    from trueweight.nn.recurrent import Recurrent

    ends, kind = spec.pooling == "last", cast(Literal["lstm", "gru"], spec.type)
    module = Recurrent(
        kind, form, spec.hidden_size, layers=spec.layers, bidirectional=spec.bidirectional, dropout=spec.dropout,
        ends=ends,
    )  # fmt: skip
    return module if ends else pooled_by(spec.pooling, module, module.form)
