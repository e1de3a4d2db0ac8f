"""Low-rank adaptation: a frozen matrix, and a small one beside it that learns.

Shape suffixes in this file:
    I  width in    O  width out    K  rank
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["Adapted", "adapt", "merge"]


class Adapted(nn.Module):
    """``y = base(x) + alpha / sqrt(K) * up(down(x))``, where only ``up`` and ``down`` learn. ``up`` begins at zero, and
    so does what is added.

    Sources: Hu et al. 2021, "LoRA: low-rank adaptation of large language models", arXiv:2106.09685, section 4.1;
    Kalajdzievski 2023, "A rank stabilization scaling factor for fine-tuning with LoRA", arXiv:2312.03732, for the root,
    with which higher ranks learn as fast as low ones.

    Args:
        base: Frozen here.
        rank: K; no more than the narrower side of the matrix is of use, and no more is taken.
        alpha: How much the addition counts.

    Shape:
        (..., I) -> (..., O)
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        rank = min(rank, base.in_features, base.out_features)
        self.factor = alpha / math.sqrt(rank)
        self.down_KI = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.up_OK = nn.Parameter(base.weight.new_zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down_KI, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Both."""
        added = nn.functional.linear(nn.functional.linear(x, self.down_KI), self.up_OK)
        y: Tensor = self.base(x) + self.factor * added
        return y

    def merged(self) -> nn.Linear:
        """The base, with the addition in its matrix; summed in float64, so that nothing is lost but the last digit."""
        with torch.no_grad():
            added_OI = self.factor * (self.up_OK.double() @ self.down_KI.double())
            self.base.weight.copy_((self.base.weight.double() + added_OI).to(self.base.weight.dtype))
        return self.base.requires_grad_(True)


def adapt(network: nn.Module, frozen: Iterable[nn.Parameter], *, rank: int, alpha: float) -> int:
    """Put an :class:`Adapted` in the place of every linear layer whose matrix is frozen; says how many there are.

    Args:
        network: Changed in place.
        frozen: Parameters that keep their values.
        rank: K.
        alpha: See the class.
    """
    kept = {id(parameter) for parameter in frozen}
    count = 0
    for module in list(network.modules()):
        for name, inner in list(module.named_children()):
            if type(inner) is nn.Linear and id(inner.weight) in kept:
                setattr(module, name, Adapted(inner, rank, alpha))
                count += 1
    return count


def merge(network: nn.Module) -> None:
    """The inverse of :func:`adapt`, with what was learnt: the network has its old names and its old cost again."""
    for module in list(network.modules()):
        for name, inner in list(module.named_children()):
            if isinstance(inner, Adapted):
                setattr(module, name, inner.merged())
