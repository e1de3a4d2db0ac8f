"""Training examples that are changed in turns from pass to pass: how an augmentation learns whose turn it is.

A row's turn is a whole number that it begins the run with, drawn from the member's seed and the row's number, and that
grows by one with each pass over the training rows (``Batch.turn_B``). The network lends it to the augmentations of a
field beside the arrays, and takes it out again before anything is encoded:

    row.turn  (B,) int64

Shape suffixes in this file:
    B  rows
"""

from torch import Tensor, nn

from trueweight.nn.encoding import Tensors

__all__ = ["TURN", "Turning", "asks_turns", "with_turns", "without_turns"]

TURN = "row.turn"


class Turning(nn.Module):
    """What changes rows by their turn. It must do without where nobody counts passes, as while steps are timed."""


def asks_turns(network: nn.Module) -> bool:
    """Whether anything in it changes rows by their turn."""
    return any(isinstance(module, Turning) for module in network.modules())


def with_turns(x: Tensors, turn_B: Tensor | None) -> Tensors:
    """The arrays, and beside them whose turn it is, if that is known."""
    return x if turn_B is None else {**x, TURN: turn_B}


def without_turns(x: Tensors) -> Tensors:
    """The arrays alone."""
    return {key: value for key, value in x.items() if key != TURN} if TURN in x else x
