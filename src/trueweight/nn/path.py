"""Keeps the best of a path of solutions in a head's linear layer."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from trueweight.nn.design import Ended
from trueweight.nn.members import MemberLinear
from trueweight.nn.ridge import Fit

__all__ = ["keep_best"]

UNJUDGED = 1e-3
"""The strength taken when no validation row has a label."""


def keep_best(linear: MemberLinear, path: Iterable[Fit]) -> Iterator[tuple[float, float]]:
    """Yield (strength, validation loss) of each fit; leave the weights of the best one in ``linear``.

    Without validation rows the losses are NaN, and the strength nearest to :data:`UNJUDGED` is kept. A path that is
    ended while it looks for a point ends with the point before.
    """
    best, points = math.inf, iter(path)
    while True:
        try:
            strength, loss, weight_PO, bias_O = next(points)
        except (StopIteration, Ended):
            return
        score = abs(math.log((strength + 1e-9) / UNJUDGED)) if math.isnan(loss) else loss
        if score < best:
            best = score
            _set(linear, weight_PO, bias_O)
        yield strength, loss


@torch.no_grad()
def _set(linear: MemberLinear, weight_PO: Tensor, bias_O: Tensor) -> None:
    linear.weight_KDO.copy_(weight_PO.unsqueeze(0))
    linear.bias_KO.copy_(bias_O.unsqueeze(0))
