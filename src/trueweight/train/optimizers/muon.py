"""The ``muon`` optimiser."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.train.loop import Optimizer

__all__ = ["Muon"]

_AUTO, _AUTO_OTHERS = 0.02, 2e-3


class Muon(PartSpec):
    """Momentum, made orthogonal: every direction of a hidden matrix moves by the same amount.

        B = momentum * B + (1 - momentum) * G      G' = momentum * B + (1 - momentum) * G  (nesterov)
        W = W - learning_rate * weight_decay * W
        W = W - learning_rate * sqrt(max(1, rows / columns)) * U V^T      where G' = U S V^T

    U V^T is approximated by five Newton-Schulz iterations in bfloat16. Source: Jordan et al. 2024, "Muon: An
    optimizer for hidden layers in neural networks". Embedding tables, heads, and weights that are not
    matrices are left to AdamW.

    Example:
        ``optimizer: {type: muon, learning_rate: 0.02}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "learning_rate": [0.005, 0.01, 0.02, 0.04],
        "weight_decay": [0.0, 0.01, 0.1],
        "other_learning_rate": [1e-3, 2e-3, 4e-3],
    }
    states_per_weight: ClassVar[int] = 2

    type: Literal["muon"] = "muon"
    """Name of the part."""

    learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Peak step size of hidden matrices. auto: 0.02."""

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.95
    """Share of the running gradient that is kept from one step to the next."""

    nesterov: bool = True
    """Look ahead by one push of the gradient."""

    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """Pull towards zero, times the learning rate. Biases, norms and embedding tables are spared."""

    other_learning_rate: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """Peak step size of AdamW for everything else. auto: 0.002."""

    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Of AdamW for everything else."""

    def build(self, network: "nn.Module", *, steps: int | None = None) -> "Optimizer":  # noqa: ARG002  # of the protocol
        """An optimiser of the network's trainable parameters: one object, however many it is made of."""
        import torch

        from trueweight.train.fused import Fused, adam_update
        from trueweight.train.groups import Several, decay_groups, hidden_matrices

        matrices = hidden_matrices(network)
        rest = decay_groups(network, self.weight_decay, without=matrices)
        parts: list[Optimizer] = []
        if matrices:
            rate = _AUTO if self.learning_rate == "auto" else self.learning_rate
            parts.append(
                torch.optim.Muon(
                    matrices, lr=rate, weight_decay=self.weight_decay, momentum=self.momentum, nesterov=self.nesterov
                )
            )
        if rest:
            rate = _AUTO_OTHERS if self.other_learning_rate == "auto" else self.other_learning_rate
            update = adam_update(self.betas, 1e-8, decoupled=True)
            parts.append(Fused(rest, rate, ("step", "exp_avg", "exp_avg_sq"), update, decoupled=True))
        return Several(*parts)
