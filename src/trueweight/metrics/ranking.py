"""Areas under the curves of a ranking, for many weightings of the rows from one sort.

Shape suffixes:
    N  rows    P  positive rows    R  resamples
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trueweight.metrics.statistic import Array, Statistic, Sums, Weighted, ratio

__all__ = ["AVERAGE_PRECISION", "ONE_CLASS", "ROC_AUC", "Area", "Curve", "mean_area"]

Curve = Callable[[Array], Array]
"""(R, N) weights to (R,) areas; NaN where one side has no weight."""

ONE_CLASS = "only one class is among these rows, so there is nothing to rank"
"""Why an area is not defined."""

_MANY = 20_000
"""Rows times labels from which resamples follow the areas' slopes."""
_ENOUGH = 100
"""Rows on each side of a label that its slope needs to be trusted."""


@dataclass(frozen=True, slots=True)
class Area:
    """An area under a curve of scores (N,) and which rows are positive (N,) bool."""

    curve: Callable[[Array, Array], Curve]
    slope: Callable[[Array, Array, Array], tuple[float, Array]]
    """With weights (N,): the area, and its derivative by each row's weight, (N,)."""


def mean_area(area: Area, labels: Sequence[tuple[Array, Array]], weight_N: Array | None) -> Statistic:
    """The mean area over the labels for which it is defined, as a statistic; NaN where it is for none.

    Rows of one side only have no ranking. (scikit-learn calls the average precision of such rows 1 without rows
    that are not of a label: a perfect score for whatever a model says.)

    Under resampling each draw is ranked anew, up to :data:`_MANY` rows times labels. Beyond, draws follow the
    area's first-order change by the rows' weights (the infinitesimal jackknife: Efron 1982, "The jackknife, the
    bootstrap and other resampling plans", chapter 6), whose error vanishes as 1 / rows; labels with few rows on
    one side are always ranked anew. The value itself is the same either way.

    Args:
        area: Which one.
        labels: Scores and which rows are positive, for each label.
        weight_N: The rows' weights, or None for 1 each.
    """
    labels = [one for one in labels if one[1].any() and not one[1].all()]
    if not labels:
        return Weighted(_mean_over_labels([]), weight_N, reason=ONE_CLASS)
    weight = np.ones(len(labels[0][0])) if weight_N is None else weight_N
    many = sum(len(score_N) for score_N, _ in labels) > _MANY
    steep = [many and min(hit_N.sum(), (~hit_N).sum()) >= _ENOUGH for _, hit_N in labels]
    if all(steep):
        values, slopes = zip(*(area.slope(*label, weight) for label in labels), strict=True)
        return _straight_sums(float(np.mean(values)), np.mean(slopes, axis=0), weight)
    curves = [
        _straight(*area.slope(*label, weight)) if by_slope else area.curve(*label)
        for label, by_slope in zip(labels, steep, strict=True)
    ]
    return Weighted(_mean_over_labels(curves), weight_N)


def _straight(value: float, slope_N: Array) -> Curve:
    # Areas are homogeneous: slopes times the weights sum to 0, so the weights themselves can be used.
    return lambda weight_RN: np.clip(value + weight_RN @ slope_N, 0.0, 1.0)


def _straight_sums(value: float, slope_N: Array, weight_N: Array) -> Sums:
    return Sums((slope_N * weight_N)[:, None], lambda sums_RK: np.clip(value + sums_RK[:, 0], 0.0, 1.0))


def _roc_curve(score_N: Array, positive_N: Array) -> Curve:
    """Probability that a positive row scores above a negative one, ties counting half.

    Source: the Mann-Whitney form of the area, Hanley and McNeil 1982, with weights.
    """
    negative = np.flatnonzero(~positive_N)
    positive = np.flatnonzero(positive_N)
    negative = negative[np.argsort(score_N[negative], kind="stable")]
    positive = positive[np.argsort(score_N[positive], kind="stable")]
    below_P = np.searchsorted(score_N[negative], score_N[positive], side="left")
    upto_P = np.searchsorted(score_N[negative], score_N[positive], side="right")
    tied = bool((below_P != upto_P).any())
    # Negative rows between the same two positive ones are passed together: of one class among many, that is most.
    start_S = np.unique(np.concatenate([[0], below_P, upto_P]))
    start_S = start_S[start_S < len(negative)]
    below_P, upto_P = np.searchsorted(start_S, below_P), np.searchsorted(start_S, upto_P)

    def area(weight_RN: Array) -> Array:
        passed = np.zeros((len(weight_RN), len(start_S) + 1))
        if len(negative):
            np.cumsum(np.add.reduceat(weight_RN[:, negative], start_S, axis=1), axis=1, out=passed[:, 1:])
        weight_RP = weight_RN[:, positive]
        beaten_RP = passed[:, below_P]
        if tied:
            beaten_RP = (beaten_RP + passed[:, upto_P]) / 2
        return ratio(np.einsum("rp,rp->r", weight_RP, beaten_RP), weight_RP.sum(1) * passed[:, -1])

    return area


def _roc_slope(score_N: Array, positive_N: Array, weight_N: Array) -> tuple[float, Array]:
    """Source: the structural components of DeLong, DeLong and Clarke-Pearson 1988, with weights."""
    beaten_N = np.empty(len(score_N))
    for mine, others, sign in ((positive_N, ~positive_N, 1), (~positive_N, positive_N, -1)):
        order = np.argsort(sign * score_N[others], kind="stable")
        scores = sign * score_N[others][order]
        passed = np.concatenate([[0.0], np.cumsum(weight_N[others][order])])
        below = np.searchsorted(scores, sign * score_N[mine], side="left")
        upto = np.searchsorted(scores, sign * score_N[mine], side="right")
        beaten_N[mine] = (passed[below] + passed[upto]) / 2 / passed[-1]
    value = float(np.average(beaten_N[positive_N], weights=weight_N[positive_N]))
    side_N = np.where(positive_N, weight_N[positive_N].sum(), weight_N[~positive_N].sum())
    return value, (beaten_N - value) / side_N


def _precision_curve(score_N: Array, positive_N: Array) -> Curve:
    """Mean over positive rows of the precision among all rows that score at least as much.

    This is scikit-learn's sum of precision over steps of recall, without interpolation.
    """
    order = np.argsort(-score_N, kind="stable")
    # A tie is passed as a whole: every row is judged at the last row of its own score.
    last_N = np.searchsorted(-score_N[order], -score_N[order], side="right") - 1
    positive_P, negative = np.flatnonzero(positive_N[order]), np.flatnonzero(~positive_N)
    all_P = last_N[positive_P]
    hits_P = np.searchsorted(positive_P, all_P, side="right") - 1
    sorted_positive = order[positive_P]

    def area(weight_RN: Array) -> Array:
        passed_RN = np.cumsum(weight_RN[:, order], axis=1)
        weight_RP = weight_RN[:, sorted_positive]
        hits_RP = np.cumsum(weight_RP, axis=1)
        precision_RP = ratio(hits_RP[:, hits_P], passed_RN[:, all_P], empty=0.0)
        area_R = ratio(np.einsum("rp,rp->r", weight_RP, precision_RP), weight_RP.sum(1))
        return np.where(weight_RN[:, negative].any(1), area_R, np.nan)

    return area


def _precision_slope(score_N: Array, positive_N: Array, weight_N: Array) -> tuple[float, Array]:
    """By the rule of the quotient: a row changes the precision at every positive row that scores no more."""
    order = np.argsort(-score_N, kind="stable")
    falling = -score_N[order]
    first_N = np.searchsorted(falling, falling, side="left")
    last_N = np.searchsorted(falling, falling, side="right") - 1
    hit_N, weight = positive_N[order], weight_N[order]
    hits_N, passed_N = np.cumsum(weight * hit_N)[last_N], np.cumsum(weight)[last_N]
    total = hits_N[-1]
    value = float((weight * hit_N * hits_N / passed_N).sum() / total)
    gain_N = _sum_from(weight * hit_N / passed_N)[first_N] + hits_N / passed_N - value
    loss_N = _sum_from(weight * hit_N * hits_N / passed_N**2)[first_N]
    slope_N = np.empty(len(score_N))
    slope_N[order] = (hit_N * gain_N - loss_N) / total
    return value, slope_N


def _sum_from(value_N: Array) -> Array:
    return np.cumsum(value_N[::-1])[::-1]


def _mean_over_labels(curves: Sequence[Curve]) -> Curve:
    def area(weight_RN: Array) -> Array:
        total, defined = np.zeros(len(weight_RN)), np.zeros(len(weight_RN))
        for curve in curves:
            value = curve(weight_RN)
            known = ~np.isnan(value)
            total[known] += value[known]
            defined += known
        return ratio(total, defined)

    return area


ROC_AUC = Area(_roc_curve, _roc_slope)
AVERAGE_PRECISION = Area(_precision_curve, _precision_slope)
