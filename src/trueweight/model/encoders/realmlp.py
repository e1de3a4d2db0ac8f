"""RealMLP's network: periodic embeddings, a scale for each input, layers that learn at rates of their own."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["RealmlpEncoder"]


class RealmlpEncoder(PartSpec):
    """A perceptron in the manner of RealMLP; ``members`` of them from different first weights, computed together.

    Taken over: soft clipping, periodic embeddings beside the number itself (PBLD), a learnt scale for each input, the
    neural tangent parametrisation with a rate for each kind of weight, and activations that may become straight lines.
    Rates are factors inside the network, which for Adam and its kin is the same as rates of groups. Left out: its
    schedules of rate and dropout, in whose place stands ours.

    Source: Holzmueller et al. 2024, "Better by Default", arXiv:2407.04491, section 3 and appendix A.

    Example:
        ``encoder: {type: realmlp, hidden_sizes: [256, 256, 256], members: 4}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "hidden_sizes": [[128, 128], [256, 256, 256], [512, 512, 512]],
        "dropout": [0.0, 0.15, 0.3],
        "activation": ["selu", "mish"],
        "rate": [1.0, 3.0, 10.0],
        "sigma": [0.05, 0.1, 0.5],
        "members": [1, 4, 8],
    }

    weightless: ClassVar[bool] = False
    ngrams: ClassVar[bool] = False

    type: Literal["realmlp"] = "realmlp"
    """Name of this part."""

    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field(default_factory=lambda: [256, 256, 256])
    """Width of each layer."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of hidden units that are zeroed in each training step."""

    activation: Literal["selu", "mish", "relu"] = "selu"
    """Where layers begin; how much of it each unit keeps is learnt."""

    rate: Annotated[float, Field(gt=0)] = 3.0
    """Of hidden layers, as a factor of the optimiser's; scales of inputs learn 6 times as fast, biases, embeddings and
    activations a tenth."""

    frequencies: Annotated[int, Field(ge=1)] = 16
    """Waves of each number."""

    sigma: Annotated[float, Field(gt=0)] = 0.1
    """Standard deviation of the waves' first frequencies."""

    embedding_size: Annotated[int, Field(ge=2)] = 4
    """Places of each number, itself among them."""

    members: Annotated[int, Field(ge=1)] = 1
    """Networks in one, each with weights of its own; their answers are averaged."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.realmlp.RealPerceptron``."""
        from trueweight.nn.realmlp import RealPerceptron

        if layout.senses:
            hint = "name one that reads the column, such as cnn or lstm, or leave the encoder out"
            problem = f"encoder {self.type!r} reads numbers and categories, no pictures, sounds, texts or series"
            raise SpecError(problem, where="encoder", hint=hint)
        return RealPerceptron(
            layout.width("number"), layout.width("flag"), layout.cardinalities, self.hidden_sizes, members=self.members,
            dropout=self.dropout, activation=self.activation, rate=self.rate, frequencies=self.frequencies,
            sigma=self.sigma, embedding_size=self.embedding_size,
        )  # fmt: skip
