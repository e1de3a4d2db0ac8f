"""Areas under the curves of a ranking, for many weightings of the rows from one sort.

Shape suffixes:
    N  rows    P  positive rows    R  resamples
"""

from collections.abc import Callable, Sequence

import numpy as np

from trueweight.metrics.statistic import Array, ratio

__all__ = ["Curve", "average_precision_curve", "mean_over_labels", "roc_curve_area"]

Curve = Callable[[Array], Array]
"""(R, N) weights to (R,) areas; NaN where one side has no weight."""


def roc_curve_area(score_N: Array, positive_N: Array) -> Curve:
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

    def area(weight_RN: Array) -> Array:
        passed = np.zeros((len(weight_RN), len(negative) + 1))
        np.cumsum(weight_RN[:, negative], axis=1, out=passed[:, 1:])
        weight_RP = weight_RN[:, positive]
        beaten_RP = passed[:, below_P]
        if tied:
            beaten_RP = (beaten_RP + passed[:, upto_P]) / 2
        return ratio(np.einsum("rp,rp->r", weight_RP, beaten_RP), weight_RP.sum(1) * passed[:, -1])

    return area


def average_precision_curve(score_N: Array, positive_N: Array) -> Curve:
    """Mean over positive rows of the precision among all rows that score at least as much.

    This is scikit-learn's sum of precision over steps of recall, without interpolation.
    """
    order = np.argsort(-score_N, kind="stable")
    # A tie is passed as a whole: every row is judged at the last row of its own score.
    last_N = np.searchsorted(-score_N[order], -score_N[order], side="right") - 1
    positive_P = np.flatnonzero(positive_N[order])
    all_P = last_N[positive_P]
    hits_P = np.searchsorted(positive_P, all_P, side="right") - 1
    sorted_positive = order[positive_P]

    def area(weight_RN: Array) -> Array:
        passed_RN = np.cumsum(weight_RN[:, order], axis=1)
        weight_RP = weight_RN[:, sorted_positive]
        hits_RP = np.cumsum(weight_RP, axis=1)
        precision_RP = ratio(hits_RP[:, hits_P], passed_RN[:, all_P], empty=0.0)
        return ratio(np.einsum("rp,rp->r", weight_RP, precision_RP), weight_RP.sum(1))

    return area


def mean_over_labels(curves: Sequence[Curve]) -> Curve:
    """The mean over the labels for which the area is defined; NaN where it is for none."""

    def area(weight_RN: Array) -> Array:
        total, defined = np.zeros(len(weight_RN)), np.zeros(len(weight_RN))
        for curve in curves:
            value = curve(weight_RN)
            known = ~np.isnan(value)
            total[known] += value[known]
            defined += known
        return ratio(total, defined)

    return area
