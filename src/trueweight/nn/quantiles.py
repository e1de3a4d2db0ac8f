"""The torch side of a number told with two of its quantiles.

Shape suffixes in this file:
    R  rows    K  members    T  quantiles    P  places of the encoding    Q  P + 1, the intercept last
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from trueweight.metrics.prediction import Prediction
from trueweight.nn.answers import Values
from trueweight.nn.boosted import Goal, hand_on
from trueweight.nn.design import Again, Design, Ended, Enough
from trueweight.nn.encoding import Encoding, Form, Tensors
from trueweight.nn.losses import mean_over_rows
from trueweight.nn.members import MemberLinear
from trueweight.nn.pinball import pinball_loss, quantile_path
from trueweight.nn.pooling import pooled

__all__ = ["QuantileReader", "ValueWithQuantiles"]

QuantileReader = Callable[[np.ndarray, np.ndarray, Mapping[str, Any]], Prediction]
"""Values (R, 1) and quantiles (R, T) as float64, and the target's ``learnt``, to a Prediction."""


class ValueWithQuantiles(nn.Module):
    """A standardised number and quantiles of it: targets "value" (R, 1), outputs "value" (R, 1), "quantile" (R, T).

    The loss is that of the value plus the pinball loss of the quantiles; each has a linear layer of its own over the
    shared encoding.

    Args:
        value: Answers the number.
        form: Of the encoding.
        shares: Of rows below each quantile, in (0, 1).
        reader: Gives the answer in the target's own unit.
    """

    row_wise = True
    share_T: Tensor

    def __init__(self, value: Values, form: Form, shares: Sequence[float], reader: QuantileReader) -> None:
        super().__init__()
        self.value, self.reader = value, reader
        self.quantiles = MemberLinear(form.members, form.width, len(shares))
        self.register_buffer("share_T", torch.tensor(shares), persistent=False)
        # Where a normal target's quantiles lie before anything is known about a row.
        self.score_T = torch.tensor([NormalDist().inv_cdf(share) for share in shares], dtype=torch.float64)
        with torch.no_grad():
            self.quantiles.bias_KO.copy_(self.score_T)

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:
        """See ``model.protocols.Head``."""
        loss_RK = pinball_loss(self.quantiles(pooled(z)), y["value"][:, 0], self.share_T)
        return self.value.loss(z, y, weight_R, rng) + mean_over_rows(loss_RK, y.get("present"), weight_R)

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:  # noqa: ARG002
        """None is needed."""
        return {}

    def outputs(self, z: Encoding, how: object, noise: Tensors) -> Tensors:
        """The members' means."""
        return {**self.value.outputs(z, how, noise), "quantile": self.quantiles(pooled(z)).mean(1)}

    def read(self, out: Tensors, facts: Mapping[str, Any], context: object) -> Prediction:  # noqa: ARG002
        """In the target's own unit."""
        return self.reader(out["value"].double().numpy(), out["quantile"].double().numpy(), facts)

    def solve(self, train: Again, validation: Again, enough: Enough | None = None) -> Iterator[tuple[float, float]]:
        """Ridge regression for the value, then linear quantile regression.

        Whoever asks may stop at any point: until the quantiles have been solved they lie beside the value, as far as
        normal errors of its size would put them.
        """
        best, ended = math.inf, False

        def asked() -> bool:
            nonlocal ended
            ended = ended or (enough is not None and enough())
            return ended

        for strength, loss in self.value.solve(train, validation, asked):
            if not loss >= best:  # also where there is no validation row, and so no loss
                best = loss
                self._beside(self._spread(loss))
            yield strength, loss
        self._beside(self._spread(best))
        designs = Design(train, _value, asked), Design(validation, _value)
        path = quantile_path(*designs, self.share_T.double(), self._weights(), self._spread(best))
        kept = math.inf
        with suppress(Ended):
            for strength, loss, weight_QT in path:
                if not loss >= kept:
                    kept = loss
                    self._set(weight_QT)
                yield strength, loss

    def goals(self) -> list[Goal]:
        """See ``nn.boosted.Scored``."""
        return [*self.value.goals(), *(Goal("quantile", _first, share=float(share)) for share in self.share_T)]

    def hand_on(self) -> None:
        """See ``nn.boosted.Scored``."""
        hand_on(self.value.linear)
        hand_on(self.quantiles, 1)

    @staticmethod
    def _spread(loss: float) -> float:
        return max(math.sqrt(loss), 1e-6) if math.isfinite(loss) else 1.0

    def _beside(self, spread: float) -> None:
        linear = self.value.linear
        bias_T = linear.bias_KO.detach()[0].double() + spread * self.score_T
        self._set(torch.cat([linear.weight_KDO.detach()[0].double().expand(-1, len(bias_T)), bias_T.unsqueeze(0)]))

    def _weights(self) -> Tensor:
        linear = self.quantiles
        return torch.cat([linear.weight_KDO.detach()[0], linear.bias_KO.detach()]).double()

    @torch.no_grad()
    def _set(self, weight_QT: Tensor) -> None:
        self.quantiles.weight_KDO.copy_(weight_QT[:-1].unsqueeze(0))
        self.quantiles.bias_KO.copy_(weight_QT[-1:])


def _first(y: Tensors) -> Tensor:
    return y["value"][:, 0]


def _value(y: Tensors) -> tuple[Tensor, Tensor | None]:
    return y["value"], None
