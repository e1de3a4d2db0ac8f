"""The ``adamw`` optimiser."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.train.loop import Optimizer

__all__ = ["AdamW"]


class AdamW(PartSpec):
    """Adam with weight decay beside the gradient rather than in it.

        w = w - learning_rate * weight_decay * w
        w = w - learning_rate * M / (sqrt(V) + eps)        M and V as in ``adam``

    Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2, with the decay scaled by the rate as in torch.

    Example:
        ``optimizer: {type: adamw, learning_rate: 0.002, weight_decay: 0.01}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [5e-4, 1e-3, 2e-3, 4e-3, 8e-3],
        "betas": [(0.9, 0.95), (0.9, 0.99), (0.9, 0.999)],
        "weight_decay": [0.0, 3e-4, 1e-2, 5e-2],
    }
    states_per_weight: ClassVar[int] = 2
    weighs: ClassVar[bool] = False
    auto: ClassVar[Mapping[str, float]] = {"learning_rate": 2e-3}

    type: Literal["adamw"] = "adamw"
    """Name of the part."""

    learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Peak step size, reached at the end of warm-up. auto: 0.002."""

    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Shares that the running mean and the running mean square keep from one step to the next."""

    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Keeps the division away from zero."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Pull towards zero, times the learning rate. Biases, norms and embedding tables are spared."""

    def build(
        self, network: "nn.Module", *, steps: int | None = None, seen: Mapping[str, float] | None = None,  # noqa: ARG002
    ) -> "Optimizer":  # fmt: skip
        """An optimiser of the network's trainable parameters."""
        from trueweight.train.fused import Fused, adam_update
        from trueweight.train.groups import decay_groups

        rate = self.auto["learning_rate"] if self.learning_rate == "auto" else self.learning_rate
        groups = decay_groups(network, self.weight_decay)
        update = adam_update(self.betas, self.eps, decoupled=True)
        return Fused(groups, rate, ("step", "exp_avg", "exp_avg_sq"), update, self.type)
