"""A head over boosted trees: they score, an ordinary head makes answers of the scores.

Shape suffixes in this file:
    R  rows    S  scores
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import torch
from torch import Generator, Tensor, nn

from trueweight.metrics.prediction import Prediction
from trueweight.nn.encoding import Encoding, Form, Tensors
from trueweight.nn.forest import Forest
from trueweight.nn.losses import binary_loss, category_loss, regression_loss
from trueweight.nn.members import MemberLinear
from trueweight.nn.pooling import pooled

__all__ = ["Boosted", "Goal", "Scored", "boosted", "hand_on"]


@dataclass(frozen=True, slots=True)
class Goal:
    """What trees are to learn, for one score or several that belong together."""

    kind: Literal["square", "absolute", "huber", "quantile", "yes_no", "classes"]
    truth: Callable[[Tensors], Tensor]
    """Of the target's tensors: (R,), a number, or of a class."""
    scores: int = 1
    weight: Callable[[Tensors], Tensor] | None = None
    """Factor of each row, (R,)."""
    share: float = 0.5
    """Of ``quantile``: rows below it. Of ``huber``: the error from which it grows linearly."""

    def loss(self, score_RS: Tensor, y: Tensors) -> Tensor:
        """How wrong each row's scores are, (R,)."""
        truth_R = self.truth(y)
        if self.kind == "classes":
            loss_R = category_loss(score_RS.unsqueeze(1), truth_R, gamma=0.0, label_smoothing=0.0)[:, 0]
        elif self.kind == "yes_no":
            hot_R1 = truth_R.unsqueeze(1).to(score_RS.dtype)
            loss_R = binary_loss(score_RS.unsqueeze(1), hot_R1, gamma=0.0, label_smoothing=0.0)[:, 0, 0]
        elif self.kind == "quantile":
            miss_R = truth_R - score_RS[:, 0]
            loss_R = torch.maximum(self.share * miss_R, (self.share - 1) * miss_R)
        else:
            name = {"square": "mse", "absolute": "mae", "huber": "huber"}[self.kind]
            loss_R = regression_loss(score_RS.unsqueeze(1), truth_R.unsqueeze(1), name, self.share)[:, 0]
        return loss_R if self.weight is None else loss_R * self.weight(y)


class Scored(Protocol):
    """A head that can be put over scores."""

    def goals(self) -> Sequence[Goal]:
        """What its scores are to learn, in order."""
        ...

    def hand_on(self) -> None:
        """Make its linear layers pass each score on as it is."""
        ...


class Boosted(nn.Module):
    """Trees, then a head whose linear layer passes their scores on.

    Args:
        inner: The head, over an encoding of ``scores`` places.
        form: Of the encoding that trees read.
        scores: S.
    """

    row_wise = True

    def __init__(self, inner: nn.Module, form: Form, scores: int) -> None:
        super().__init__()
        self.forest = Forest(form.width, scores)
        self.raw = form.raw
        """Codes of each place that trees read, 0 for numbers."""
        self.inner = inner.requires_grad_(False)
        cast(Scored, inner).hand_on()

    def goals(self) -> Sequence[Goal]:
        """See :class:`Scored`."""
        return cast(Scored, self.inner).goals()

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:
        """See ``model.protocols.Head``. It has no slope."""
        loss: Tensor = cast(Any, self.inner).loss(self._scored(z), y, weight_R, rng)
        return loss

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:
        """What the head needs."""
        needed: Tensors = cast(Any, self.inner).noise(rows_R, seed)
        return needed

    def outputs(self, z: Encoding, how: object, noise: Tensors) -> Tensors:
        """The head's, of the scores."""
        out: Tensors = cast(Any, self.inner).outputs(self._scored(z), how, noise)
        return out

    def read(self, out: Tensors, facts: Mapping[str, Any], context: object) -> Prediction:
        """The head's."""
        answer: Prediction = cast(Any, self.inner).read(out, facts, context)
        return answer

    def _scored(self, z: Encoding) -> Encoding:
        return Encoding(self.forest(pooled(z)).unsqueeze(1))


def boosted(build: Callable[[Form], nn.Module], scores: int, form: Form) -> Boosted:
    """A head over trees.

    Args:
        build: Of the head, for an encoding.
        scores: That it makes its answer of.
        form: Of the encoding that trees read.
    """
    return Boosted(build(Form(width=scores)), form, scores)


@torch.no_grad()
def hand_on(linear: MemberLinear, first: int = 0) -> None:
    """Make a linear layer give the scores from ``first`` on as they are, as many as it has outputs."""
    outputs = linear.bias_KO.shape[1]
    linear.weight_KDO.zero_()
    linear.weight_KDO[0, range(first, first + outputs), range(outputs)] = 1.0
    linear.bias_KO.zero_()
