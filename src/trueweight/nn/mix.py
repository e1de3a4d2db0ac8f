"""Training examples that are two rows at once: how an augmentation says so, and what becomes of the loss.

An augmentation that mixes rows adds two arrays to those that it gives back, beside the mixed ones:

    mix.partner  (R,) int64   which row of the batch each row was mixed with
    mix.share    ()   float   how much of each row is its own

The network takes them out again before anything is encoded.

Shape suffixes in this file:
    R  rows
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from trueweight.nn.encoding import Tensors

__all__ = ["Mix", "mixed_by", "taken_apart"]

_PARTNER, _SHARE = "mix.partner", "mix.share"

Loss = Callable[[Tensors, Tensor | None], Tensor]
"""One target's tensors and the rows' weights to a mean over rows."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How the rows of a batch were mixed."""

    partner_R: Tensor
    """int64, every row once."""
    share: Tensor
    """Of the row itself, in [0, 1]; its partner has the rest."""

    def loss(self, loss: Loss, y: Tensors, weight_R: Tensor | None) -> Tensor:
        """``share * loss(target) + (1 - share) * loss(the partner's target)``; a partner brings its own weight.

        Cross entropy of the mixed label is the same mixture, since it is linear in the label: Zhang et al. 2018,
        arXiv:1710.09412, section 2. For losses that are not (squares, focal), the mixture is of losses, not of labels.

        Args:
            loss: A head's, of the mixed rows' encoding.
            y: The target's tensors, as they were before.
            weight_R: >= 0; None for 1 each.
        """
        partner_y = {key: value[self.partner_R] for key, value in y.items()}
        partner_weight_R = None if weight_R is None else weight_R[self.partner_R]
        return self.share * loss(y, weight_R) + (1 - self.share) * loss(partner_y, partner_weight_R)


def mixed_by(mix: Mix, x: Tensors) -> dict[str, Tensor]:
    """The arrays, and beside them what was done to them."""
    return {**x, _PARTNER: mix.partner_R, _SHARE: mix.share}


def taken_apart(x: Mapping[str, Tensor]) -> tuple[Tensors, Mix | None]:
    """The arrays alone, and how their rows were mixed, if they were."""
    if _PARTNER not in x:
        return x, None
    alone = {key: value for key, value in x.items() if key not in (_PARTNER, _SHARE)}
    return alone, Mix(x[_PARTNER], x[_SHARE])
