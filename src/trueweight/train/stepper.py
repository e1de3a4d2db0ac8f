"""What the record says of a member's optimiser."""

from collections.abc import Mapping

from torch import nn

from trueweight.train.fused import METHOD
from trueweight.train.loop import Optimizer

__all__ = ["told"]


def told(optimizer: Optimizer, network: nn.Module) -> Mapping[str, list[str]]:
    """Names of the weights by who moves them: what each group of the optimiser says, or the optimiser's class."""
    names = {id(p): name for name, p in network.named_parameters()}
    found: dict[str, list[str]] = {}
    for group in optimizer.param_groups:
        method = group.get(METHOD, type(optimizer).__name__)
        found.setdefault(method, []).extend(names[id(p)] for p in group["params"])
    return found
