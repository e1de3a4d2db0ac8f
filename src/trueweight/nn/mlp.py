"""The multilayer perceptron, its norms and activations by name.

Shape suffixes in this file:
    B  rows    D  width
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from torch import Tensor, nn

from trueweight.nn.dropout import Dropout

__all__ = ["ACTIVATIONS", "NORMALIZATIONS", "Mlp"]

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "selu": nn.SELU,
    "tanh": nn.Tanh,
}
NORMALIZATIONS: Mapping[str, Callable[[int], nn.Module]] = {
    "none": lambda width: nn.Identity(),  # noqa: ARG005
    "layer": nn.LayerNorm,
    "rms": nn.RMSNorm,
    "batch": nn.BatchNorm1d,
}


class Block(nn.Module):
    """``dropout(activation(norm(linear(x))))``, added to x where asked and possible: (B, D_in) -> (B, D_out)."""

    def __init__(
        self, width_in: int, width_out: int, *, activation: str, normalization: str, dropout: float, residual: bool
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(width_in, width_out)
        self.norm = NORMALIZATIONS[normalization](width_out)
        self.activation = ACTIVATIONS[activation]()
        self.dropout = Dropout(dropout)
        # On small networks a call that does nothing costs nearly as much as one that does something.
        self.normalizes, self.drops = normalization != "none", dropout > 0
        self.residual = residual and width_in == width_out

    def forward(self, x_BD: Tensor) -> Tensor:
        """One layer."""
        y_BD: Tensor = self.linear(x_BD)
        y_BD = self.activation(self.norm(y_BD) if self.normalizes else y_BD)
        if self.drops:
            y_BD = self.dropout(y_BD)
        return x_BD + y_BD if self.residual else y_BD


class Mlp(nn.Sequential):
    """Blocks in a row: (B, width) -> (B, hidden_sizes[-1]).

    Args:
        width: Of the input.
        hidden_sizes: Width of each block; empty gives the input back.
        activation: One of :data:`ACTIVATIONS`.
        normalization: One of :data:`NORMALIZATIONS`. "batch" mixes rows while training.
        dropout: Probability of zeroing a hidden unit during training, in [0, 1).
        residual: Add a block's input to its output where the widths agree.
    """

    def __init__(
        self,
        width: int,
        hidden_sizes: Sequence[int],
        *,
        activation: str = "relu",
        normalization: str = "none",
        dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        widths = [width, *hidden_sizes]
        super().__init__(
            *(
                Block(a, b, activation=activation, normalization=normalization, dropout=dropout, residual=residual)
                for a, b in pairwise(widths)
            )
        )
