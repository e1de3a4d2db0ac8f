"""The torch side of the row-wise heads: values, one of two, one of many, any of many.

Each is a linear layer per member over the pooled encoding; the same module is descended to or solved.

Shape suffixes in this file:
    R  rows    K  members    C  classes or labels    D  width of a target vector    O  outputs
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Generator, Tensor, nn

from trueweight.metrics.prediction import Prediction
from trueweight.nn.boosted import Goal, hand_on
from trueweight.nn.design import Again, Design, Enough
from trueweight.nn.encoding import Encoding, Form, Tensors
from trueweight.nn.entries import Entries
from trueweight.nn.logistic import logistic_path
from trueweight.nn.losses import (
    binary_loss,
    binary_mean,
    category_loss,
    category_mean,
    mean_over_rows,
    regression_loss,
    regression_mean,
)
from trueweight.nn.members import MemberLinear
from trueweight.nn.path import keep_best
from trueweight.nn.pooling import pooled
from trueweight.nn.ridge import ridge_path

__all__ = ["LINEAR", "AnyOfMany", "OneOfMany", "OneOfTwo", "Reader", "Values"]

Reader = Callable[[np.ndarray, Mapping[str, Any]], Prediction]
"""Outputs as float64 and the target's ``learnt`` to a Prediction."""


class Values(nn.Module):
    """Standardised numbers, D of them: targets "value" (R, D), outputs "value" (R, D).

    Args:
        form: Of the encoding.
        outputs: D.
        loss: "mse", "mae" or "huber". Solving always minimises squares.
        huber_delta: In standard deviations of the target.
        reader: Gives the answer in the target's own unit.
    """

    row_wise = True

    def __init__(self, form: Form, outputs: int, *, loss: str, huber_delta: float, reader: Reader) -> None:
        super().__init__()
        self.linear = MemberLinear(form.members, form.width, outputs)
        self.loss_name, self.huber_delta, self.reader = loss, huber_delta, reader

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:  # noqa: ARG002
        """See ``model.protocols.Head``."""
        x_BD = pooled(z)
        if self.linear.members == 1 and _plain(x_BD, y, weight_R):
            return regression_mean(self.linear.only(x_BD), y["value"], self.loss_name, self.huber_delta)
        loss_RK = regression_loss(self.linear(x_BD), y["value"], self.loss_name, self.huber_delta)
        return mean_over_rows(loss_RK, y.get("present"), weight_R)

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:  # noqa: ARG002
        """None is needed."""
        return {}

    def outputs(self, z: Encoding | Entries, how: object, noise: Tensors) -> Tensors:  # noqa: ARG002
        """The members' mean."""
        return {"value": _linear(self.linear, z).mean(1)}

    def read(self, out: Tensors, facts: Mapping[str, Any], context: object) -> Prediction:  # noqa: ARG002
        """In the target's own unit."""
        return self.reader(out["value"].double().numpy(), facts)

    def solve(self, train: Again, validation: Again, enough: Enough | None = None) -> Iterator[tuple[float, float]]:
        """Ridge; see :func:`trueweight.nn.ridge.ridge_path`."""
        path = ridge_path(Design(train, _values, enough), Design(validation, _values))
        return keep_best(self.linear, path)

    def goals(self) -> list[Goal]:
        """See ``nn.boosted.Scored``."""
        kinds: dict[str, Literal["square", "absolute", "huber"]] = {"mse": "square", "mae": "absolute"}
        kind = kinds.get(self.loss_name, "huber")
        places = range(self.linear.bias_KO.shape[1])
        return [Goal(kind, partial(_place, "value", d), share=self.huber_delta) for d in places]

    def hand_on(self) -> None:
        """See ``nn.boosted.Scored``."""
        hand_on(self.linear)


class OneOfTwo(nn.Module):
    """One logit for the positive class: targets "index" (R,), outputs "probability" (R, 2).

    Args:
        form: Of the encoding.
        weight_2: Factor of each class in the loss.
        prior: Share of the positive class, where the bias begins.
        gamma: Of focal loss; 0 is cross entropy. Solving always minimises cross entropy.
        label_smoothing: In [0, 1).
        reader: Gives the answer.
    """

    row_wise = True
    weight_2: Tensor

    def __init__(
        self, form: Form, weight_2: list[float], *, prior: float, gamma: float, label_smoothing: float, reader: Reader
    ) -> None:
        super().__init__()
        self.linear = MemberLinear(form.members, form.width, 1)
        nn.init.constant_(self.linear.bias_KO, float(np.log(prior / (1 - prior))))
        self.register_buffer("weight_2", torch.tensor(weight_2), persistent=False)
        self.weighted = len(set(weight_2)) > 1
        self.gamma, self.label_smoothing, self.reader = gamma, label_smoothing, reader
        self.one_kernel = form.members == 1 and not gamma and not self.weighted

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:  # noqa: ARG002
        """See ``model.protocols.Head``."""
        x_BD = pooled(z)
        if self.one_kernel and _plain(x_BD, y, weight_R):
            z_R1, yes_R1 = self.linear.only(x_BD), y["index"].unsqueeze(1)
            return binary_mean(z_R1, yes_R1, label_smoothing=self.label_smoothing)
        z_RK1 = self.linear(x_BD)
        hot_R1 = y["index"].unsqueeze(1).to(z_RK1.dtype)
        loss_RK = binary_loss(z_RK1, hot_R1, gamma=self.gamma, label_smoothing=self.label_smoothing).squeeze(2)
        if self.weighted:
            loss_RK = loss_RK * self.weight_2[y["index"]].unsqueeze(1)
        return mean_over_rows(loss_RK, y.get("present"), weight_R)

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:  # noqa: ARG002
        """None is needed."""
        return {}

    def outputs(self, z: Encoding | Entries, how: object, noise: Tensors) -> Tensors:  # noqa: ARG002
        """The members' mean probability of both classes."""
        p_R1 = torch.sigmoid(_linear(self.linear, z)).mean(1)
        return {"probability": torch.cat([1 - p_R1, p_R1], dim=1)}

    def read(self, out: Tensors, facts: Mapping[str, Any], context: object) -> Prediction:  # noqa: ARG002
        """Probabilities."""
        return self.reader(_normalised(out["probability"]), facts)

    def solve(self, train: Again, validation: Again, enough: Enough | None = None) -> Iterator[tuple[float, float]]:
        """Logistic regression; see :func:`trueweight.nn.logistic.logistic_path`."""
        path = logistic_path(Design(train, self._answer, enough), Design(validation, self._answer), "sigmoid")
        return keep_best(self.linear, path)

    def goals(self) -> list[Goal]:
        """See ``nn.boosted.Scored``."""
        return [Goal("yes_no", _index, weight=self._factor if self.weighted else None)]

    def hand_on(self) -> None:
        """See ``nn.boosted.Scored``."""
        hand_on(self.linear)

    def _factor(self, y: Tensors) -> Tensor:
        return self.weight_2[y["index"]]

    def _answer(self, y: Tensors) -> tuple[Tensor, Tensor | None]:
        return y["index"].unsqueeze(1), self.weight_2[y["index"]] if self.weighted else None


class OneOfMany(nn.Module):
    """A logit for each class: targets "index" (R,), outputs "probability" (R, C).

    Args:
        form: Of the encoding.
        weight_C: Factor of each class in the loss.
        prior_C: Share of each class, > 0, where the biases begin.
        gamma: Of focal loss; 0 is cross entropy. Solving always minimises cross entropy.
        label_smoothing: In [0, 1).
        reader: Gives the answer.
        small: Whether weights begin with a standard deviation of 1 / width.
    """

    row_wise = True
    weight_C: Tensor

    def __init__(
        self,
        form: Form,
        weight_C: list[float],
        *,
        prior_C: list[float],
        gamma: float,
        label_smoothing: float,
        reader: Reader,
        small: bool = False,
    ) -> None:
        super().__init__()
        self.linear = MemberLinear(form.members, form.width, len(weight_C))
        with torch.no_grad():
            self.linear.bias_KO.copy_(torch.tensor(prior_C).log())
            if small and form.width:  # from a uniform distribution up to 1 / sqrt(width)
                self.linear.weight_KDO.mul_((3 / form.width) ** 0.5)
        self.register_buffer("weight_C", torch.tensor(weight_C), persistent=False)
        self.weighted = len(set(weight_C)) > 1
        self.gamma, self.label_smoothing, self.reader = gamma, label_smoothing, reader
        self.one_kernel = form.members == 1 and not gamma and not self.weighted

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:  # noqa: ARG002
        """See ``model.protocols.Head``."""
        x_BD = pooled(z)
        if self.one_kernel and _plain(x_BD, y, weight_R):
            return category_mean(self.linear.only(x_BD), y["index"], label_smoothing=self.label_smoothing)
        z_RKC = self.linear(x_BD)
        loss_RK = category_loss(z_RKC, y["index"], gamma=self.gamma, label_smoothing=self.label_smoothing)
        if self.weighted:
            loss_RK = loss_RK * self.weight_C[y["index"]].unsqueeze(1)
        return mean_over_rows(loss_RK, y.get("present"), weight_R)

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:  # noqa: ARG002
        """None is needed."""
        return {}

    def outputs(self, z: Encoding | Entries, how: object, noise: Tensors) -> Tensors:  # noqa: ARG002
        """The members' mean probabilities."""
        return {"probability": torch.softmax(_linear(self.linear, z), dim=2).mean(1)}

    def read(self, out: Tensors, facts: Mapping[str, Any], context: object) -> Prediction:  # noqa: ARG002
        """Probabilities."""
        return self.reader(_normalised(out["probability"]), facts)

    def solve(self, train: Again, validation: Again, enough: Enough | None = None) -> Iterator[tuple[float, float]]:
        """Multinomial logistic regression; see :func:`trueweight.nn.logistic.logistic_path`."""
        path = logistic_path(Design(train, self._answer, enough), Design(validation, self._answer), "softmax")
        return keep_best(self.linear, path)

    def goals(self) -> list[Goal]:
        """See ``nn.boosted.Scored``."""
        return [Goal("classes", _index, len(self.weight_C), self._factor if self.weighted else None)]

    def hand_on(self) -> None:
        """See ``nn.boosted.Scored``."""
        hand_on(self.linear)

    def _factor(self, y: Tensors) -> Tensor:
        return self.weight_C[y["index"]]

    def _answer(self, y: Tensors) -> tuple[Tensor, Tensor | None]:
        hot_RC = nn.functional.one_hot(y["index"], len(self.weight_C))
        return hot_RC, self.weight_C[y["index"]] if self.weighted else None


class AnyOfMany(nn.Module):
    """A logit for each label, independent: targets "hot" (R, C), outputs "probability" (R, C).

    Args:
        form: Of the encoding.
        prior_C: Share of rows that have each label, in (0, 1), where the biases begin.
        gamma: Of focal loss; 0 is cross entropy. Solving always minimises cross entropy.
        label_smoothing: In [0, 1).
        reader: Gives the answer.
    """

    row_wise = True

    def __init__(
        self,
        form: Form,
        *,
        prior_C: list[float],
        gamma: float,
        label_smoothing: float,
        reader: Reader,
    ) -> None:
        super().__init__()
        self.linear = MemberLinear(form.members, form.width, len(prior_C))
        with torch.no_grad():
            self.linear.bias_KO.copy_(torch.logit(torch.tensor(prior_C)))
        self.gamma, self.label_smoothing, self.reader = gamma, label_smoothing, reader
        self.one_kernel = form.members == 1 and not gamma

    def loss(self, z: Encoding, y: Tensors, weight_R: Tensor | None, rng: Generator) -> Tensor:  # noqa: ARG002
        """See ``model.protocols.Head``; averaged over labels."""
        x_BD = pooled(z)
        if self.one_kernel and _plain(x_BD, y, weight_R):
            return binary_mean(self.linear.only(x_BD), y["hot"], label_smoothing=self.label_smoothing)
        z_RKC = self.linear(x_BD)
        loss_RKC = binary_loss(z_RKC, y["hot"], gamma=self.gamma, label_smoothing=self.label_smoothing)
        return mean_over_rows(loss_RKC.mean(2), y.get("present"), weight_R)

    def noise(self, rows_R: Tensor, seed: int) -> Tensors:  # noqa: ARG002
        """None is needed."""
        return {}

    def outputs(self, z: Encoding | Entries, how: object, noise: Tensors) -> Tensors:  # noqa: ARG002
        """The members' mean probabilities."""
        return {"probability": torch.sigmoid(_linear(self.linear, z)).mean(1)}

    def read(self, out: Tensors, facts: Mapping[str, Any], context: object) -> Prediction:  # noqa: ARG002
        """Probabilities."""
        return self.reader(out["probability"].double().numpy(), facts)

    def solve(self, train: Again, validation: Again, enough: Enough | None = None) -> Iterator[tuple[float, float]]:
        """One logistic regression per label; see :func:`trueweight.nn.logistic.logistic_path`."""
        path = logistic_path(Design(train, _hot, enough), Design(validation, _hot), "sigmoid")
        return keep_best(self.linear, path)

    def goals(self) -> list[Goal]:
        """See ``nn.boosted.Scored``."""
        return [Goal("yes_no", partial(_place, "hot", c)) for c in range(self.linear.bias_KO.shape[1])]

    def hand_on(self) -> None:
        """See ``nn.boosted.Scored``."""
        hand_on(self.linear)


LINEAR = (Values, OneOfTwo, OneOfMany, AnyOfMany)
"""Heads that also answer from :class:`~trueweight.nn.entries.Entries`, of one member."""


def _linear(linear: MemberLinear, z: Encoding | Entries) -> Tensor:
    """Each member's sums, (R, K, O)."""
    found: Tensor = linear.of_entries(z) if isinstance(z, Entries) else linear(pooled(z))
    return found


def _plain(x_BD: Tensor, y: Tensors, weight_R: Tensor | None) -> bool:
    """Whether the loss is the mean over all rows, and there are some."""
    return weight_R is None and "present" not in y and x_BD.shape[0] > 0


def _normalised(probability_RC: Tensor) -> np.ndarray:
    """In float64, with rows that sum to 1 there too."""
    exact = probability_RC.double().numpy()
    return np.asarray(exact / exact.sum(axis=1, keepdims=True))


def _values(y: Tensors) -> tuple[Tensor, Tensor | None]:
    return y["value"], None


def _place(name: str, place: int, y: Tensors) -> Tensor:
    return y[name][:, place]


def _index(y: Tensors) -> Tensor:
    return y["index"]


def _hot(y: Tensors) -> tuple[Tensor, Tensor | None]:
    return y["hot"], None
