"""Whether the next member of a blend is begun.

Members that climb are tried in order, each only while time is left for it and the climb before was worth its time.
What was decided is written into the plan, and a replay obeys it. A member that was begun stays in the blend with the
weight that it earns, noise or not: on four cuts of clothing-reviews and zh-reviews a bag's gain was within the noise of
about 1,000 validation rows, and on each it was three to four standard errors on the test rows.

Shape suffixes:
    N  rows
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.data.signature import ColumnFacts
from trueweight.metrics.prediction import Prediction, blend
from trueweight.metrics.registry import metric
from trueweight.metrics.truth import Truth
from trueweight.train.calibrate import Answers
from trueweight.train.plan import Climb, MemberPlan

__all__ = ["LEAST_PASSES", "Gain", "blended", "gain_of", "last_climb", "too_little_time"]

LEAST_PASSES = 1.0
"""Passes over the training rows that must fit into what is left of the budget. On zh-reviews and clothing-reviews, a
bag's validation loss was lowest after one to three passes."""


@dataclass(frozen=True, slots=True)
class Gain:
    """How much lower the blend's loss is on validation rows than before."""

    mean: float
    noise: float
    """Its standard error, rows being paired."""

    @property
    def real(self) -> bool:
        """Whether it is more than noise: the one-standard-error rule (Breiman et al. 1984, "Classification and
        Regression Trees", section 3.4.3), for the difference and not for either loss."""
        return self.mean > self.noise

    def __str__(self) -> str:
        sign = "−" if self.mean < 0 else "+"
        return f"{sign}{abs(self.mean):.2g} ± {self.noise:.2g}"


def gain_of(
    targets: Sequence[ColumnFacts], weights: Mapping[str, float], before: Answers, after: Answers,
    truths: Mapping[str, Truth],
) -> Gain:  # fmt: skip
    """The paired difference of two models' losses over all targets.

    Args:
        targets: What is told.
        weights: Share of each target in the loss.
        before: Predictions of the rows by target.
        after: The same of the other model.
        truths: Of the same rows.
    """
    weight_N = next(_row_weights(truth) for truth in truths.values())
    less_N = np.zeros(len(weight_N))
    for facts in targets:
        truth = truths[facts.name]
        if not truth.present_N.any():
            continue
        own_N = _row_loss(facts, before[facts.name], truth) - _row_loss(facts, after[facts.name], truth)
        known_N = np.isfinite(own_N)
        # Where few rows have the label, each of them stands for more.
        share = weights[facts.name] * weight_N.sum() / max(float(weight_N[known_N].sum()), 1e-300)
        less_N += share * np.where(known_N, own_N, 0.0)
    share_N = weight_N / weight_N.sum()
    mean = float(share_N @ less_N)
    return Gain(mean, float(np.sqrt(np.sum(np.square(share_N * (less_N - mean))))))


def _row_weights(truth: Truth) -> np.ndarray:
    return np.ones(len(truth)) if truth.weight_N is None else truth.weight_N


def _row_loss(facts: ColumnFacts, prediction: Prediction, truth: Truth) -> np.ndarray:
    """In the unit of ``train.selection.target_loss``, whose mean it has; NaN where no label is known."""
    classes = facts.type in ("binary", "category", "set")
    loss_N = metric("log_loss" if classes else "rmse").per_row(prediction, truth)
    if loss_N is None:  # an answer that is not finite: no difference tells anything
        return np.full(len(truth), np.nan)
    unit = 1.0 if classes else float(np.mean(np.square(facts.learnt["std"]))) or 1.0
    return np.asarray(loss_N / unit)


def blended(answers: Sequence[Answers], weights: Mapping[str, Sequence[float]]) -> Answers:
    """The blend's predictions from those of its members."""
    return {name: blend([answer[name] for answer in answers], list(found)) for name, found in weights.items()}


def too_little_time(plan: MemberPlan) -> str | None:
    """Why a member is not begun, if its budget ends before it has seen all rows; None where it does not."""
    if plan.limited_by != "time" or plan.epochs >= LEAST_PASSES:
        return None
    return f"{plan.epochs:.2g} passes over the training rows fit into {plan.seconds or 0:.3g} s, and 1 is the least"


def last_climb(climbs: Sequence[Climb]) -> str | None:
    """Why no other member is begun after these; None where nothing speaks against it."""
    if not climbs or climbs[-1].gained:
        return None
    last = climbs[-1]
    return f"{last.name} was no gain" if last.begun else f"{last.name} was not begun"
