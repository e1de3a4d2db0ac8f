"""The ``sgd`` optimiser."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.spec.base import Conflict, PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.train.loop import Optimizer

__all__ = ["Sgd"]


class Sgd(PartSpec):
    """Stochastic gradient descent with momentum.

        v = momentum * v + (g + weight_decay * w)
        w = w - learning_rate * v                                      plain
        w = w - learning_rate * (g + weight_decay * w + momentum * v)  nesterov

    Source: Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", in
    torch's form, where the learning rate does not enter the velocity.

    Example:
        ``optimizer: {type: sgd, learning_rate: 0.1, nesterov: true}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [0.005, 0.01, 0.02, 0.05, 0.1, 0.2],
        "momentum": [0.8, 0.9, 0.95],
        "weight_decay": [0.0, 1e-4, 1e-3],
    }
    states_per_weight: ClassVar[int] = 1
    weighs: ClassVar[bool] = False
    auto: ClassVar[Mapping[str, float]] = {"learning_rate": 0.05}

    type: Literal["sgd"] = "sgd"
    """Name of the part."""

    learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Peak step size, reached at the end of warm-up. auto: 0.05."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Share of the velocity that is kept from one step to the next."""

    nesterov: bool = False
    """Look ahead: use the gradient's own push twice. Needs momentum above 0."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Pull towards zero, added to the gradient. Biases, norms and embedding tables are spared."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """Looking ahead needs momentum."""
        if raw.get("nesterov") is True and raw.get("momentum", 1) == 0:
            yield Conflict(("momentum",), "nesterov needs momentum above 0; 0.9 is usual")

    def build(
        self, network: "nn.Module", *, steps: int | None = None, seen: Mapping[str, float] | None = None,  # noqa: ARG002
    ) -> "Optimizer":  # fmt: skip
        """An optimiser of the network's trainable parameters."""
        from trueweight.train.fused import Fused, sgd_update
        from trueweight.train.groups import decay_groups

        rate = self.auto["learning_rate"] if self.learning_rate == "auto" else self.learning_rate
        groups = decay_groups(network, self.weight_decay)
        slots = ("momentum_buffer",) if self.momentum else ()
        return Fused(groups, rate, slots, sgd_update(self.momentum, nesterov=self.nesterov), self.type)
