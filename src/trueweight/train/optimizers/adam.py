"""The ``adam`` optimiser."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.train.loop import Optimizer

__all__ = ["Adam"]


class Adam(PartSpec):
    """Steps scaled by running moments of the gradient.

        m = b1 * m + (1 - b1) * g            M = m / (1 - b1**t)
        v = b2 * v + (1 - b2) * g * g        V = v / (1 - b2**t)
        w = w - learning_rate * M / (sqrt(V) + eps)

    with ``weight_decay * w`` added to g. Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.

    Example:
        ``optimizer: {type: adam, learning_rate: 0.001}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [3e-4, 1e-3, 2e-3, 5e-3],
        "betas": [(0.9, 0.95), (0.9, 0.99), (0.9, 0.999)],
    }
    states_per_weight: ClassVar[int] = 2
    weighs: ClassVar[bool] = False
    auto: ClassVar[Mapping[str, float]] = {"learning_rate": 1e-3}

    type: Literal["adam"] = "adam"
    """Name of the part."""

    learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Peak step size, reached at the end of warm-up. auto: 0.001."""

    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Shares that the running mean and the running mean square keep from one step to the next."""

    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Keeps the division away from zero."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Pull towards zero, added to the gradient. Biases, norms and embedding tables are spared."""

    def build(
        self, network: "nn.Module", *, steps: int | None = None, seen: Mapping[str, float] | None = None,  # noqa: ARG002
    ) -> "Optimizer":  # fmt: skip
        """An optimiser of the network's trainable parameters."""
        from trueweight.train.fused import Fused, adam_update
        from trueweight.train.groups import decay_groups

        rate = self.auto["learning_rate"] if self.learning_rate == "auto" else self.learning_rate
        groups = decay_groups(network, self.weight_decay)
        update = adam_update(self.betas, self.eps, decoupled=False)
        return Fused(groups, rate, ("step", "exp_avg", "exp_avg_sq"), update, self.type)
