"""The ``nadamw`` optimiser."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.train.loop import Optimizer

__all__ = ["NadamW"]


class NadamW(PartSpec):
    """AdamW that looks ahead: Nesterov's momentum instead of plain momentum.

        w = w - learning_rate * weight_decay * w
        w = w - learning_rate * (c1 * g + c2 * m) / (sqrt(V) + eps)                m and V as in ``adam``
        mu(t) = b1 * (1 - 0.5 * 0.96**(t * momentum_decay))                        P(t) = mu(1) * ... * mu(t)
        c1 = (1 - mu(t)) / (1 - P(t))          c2 = mu(t + 1) / (1 - P(t + 1))

    Source: Dozat 2016, "Incorporating Nesterov Momentum into Adam", ICLR workshop, algorithm 8 and its schedule of
    momentum, with decay beside the gradient as in ``adamw``. The baseline of the AlgoPerf competition.

    Example:
        ``optimizer: {type: nadamw, learning_rate: 0.002, weight_decay: 0.01}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [5e-4, 1e-3, 2e-3, 4e-3, 8e-3],
        "betas": [(0.9, 0.95), (0.9, 0.99), (0.9, 0.999)],
        "weight_decay": [0.0, 3e-4, 1e-2, 5e-2],
    }
    states_per_weight: ClassVar[int] = 2
    weighs: ClassVar[bool] = False
    auto: ClassVar[Mapping[str, float]] = {"learning_rate": 2e-3}

    type: Literal["nadamw"] = "nadamw"
    """Name of the part."""

    learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Peak step size, reached at the end of warm-up. auto: 0.002."""

    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Shares that the running mean and the running mean square keep from one step to the next."""

    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Keeps the division away from zero."""

    momentum_decay: Annotated[float, Field(ge=0)] = 4e-3
    """How fast momentum rises from half of its share to the whole: 1 / 250 a step in the paper."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Pull towards zero, times the learning rate. Biases, norms and embedding tables are spared."""

    def build(
        self, network: "nn.Module", *, steps: int | None = None, seen: Mapping[str, float] | None = None,  # noqa: ARG002
    ) -> "Optimizer":  # fmt: skip
        """An optimiser of the network's trainable parameters."""
        from trueweight.train.fused import Fused, nadam_update
        from trueweight.train.groups import decay_groups

        rate = self.auto["learning_rate"] if self.learning_rate == "auto" else self.learning_rate
        groups = decay_groups(network, self.weight_decay)
        update = nadam_update(self.betas, self.eps, self.momentum_decay)
        return Fused(groups, rate, ("step", "exp_avg", "exp_avg_sq"), update, self.type, decoupled=True)
