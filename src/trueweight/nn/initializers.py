"""How weights begin, by name."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn

__all__ = ["INITIALIZERS", "initialize"]

INITIALIZERS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "kaiming_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    "kaiming_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "orthogonal": nn.init.orthogonal_,
    "zeros": nn.init.zeros_,
}
"""By name: He et al. 2015, arXiv:1502.01852 (kaiming); Glorot and Bengio 2010 (xavier); Saxe et al. 2013,
arXiv:1312.6120 (orthogonal); zeros, for tests."""


def initialize(module: nn.Module, name: str) -> None:
    """Set the weight of every linear layer inside ``module``; biases begin at zero.

    Args:
        module: Changed in place.
        name: One of :data:`INITIALIZERS`.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear) and layer.weight.numel():
            INITIALIZERS[name](layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
