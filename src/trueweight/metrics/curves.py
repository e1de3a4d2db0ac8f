"""Lines behind the numbers: how a score changes with a threshold, or with the answer. At most :data:`MOST` points.

Each point rests on a group of rows, so that no single row can be read off a line.

Shape suffixes:
    N  rows    G  groups of neighbouring rows    Q  shares
"""

from collections.abc import Mapping

import numpy as np

from trueweight.evidence.record import Curve
from trueweight.metrics.metric import known_rows
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction
from trueweight.metrics.truth import Truth

__all__ = ["MOST", "curves_of", "thinned"]

MOST = 50
"""Points of a line."""

_DECIMALS = 6

Array = np.ndarray


def curves_of(prediction: Prediction, truth: Truth, least: int) -> Mapping[str, Curve]:
    """Lines by name; none where there are too few rows, or of answers that have none.

    Args:
        prediction: For all rows.
        truth: Of the same rows; rows without a label are left out.
        least: Rows that every point must rest on.
    """
    rows = known_rows(truth)
    if len(rows) < 2 * max(1, least):
        return {}
    taken, known = prediction.take(rows), truth.take(rows)
    weight_N = np.ones(len(rows)) if known.weight_N is None else known.weight_N
    match taken:
        case ClassPrediction(binary=True):
            positive_N = known.value == len(taken.classes) - 1
            return _ranked(taken.probability_NC[:, -1], positive_N, weight_N, least) | _sure(
                taken, known, weight_N, least
            )
        case ClassPrediction():
            return _sure(taken, known, weight_N, least)
        case NumberPrediction():
            return _numbers(taken.value_N, known.value, weight_N, least)
        case _:
            return {}


def thinned(x: Array, most: int = MOST) -> Array:
    """Places of at most ``most`` of the values, the first and the last among them."""
    return np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).round().astype(int))


def _ends(score_N: Array, least: int) -> Array:
    """For rows sorted by score: where each group ends. Ties stay together; a last group that is small joins."""
    size = max(1, least, -(-len(score_N) // MOST))
    last_of_tie = np.flatnonzero(np.append(np.diff(score_N) != 0, True)) + 1
    ends, start = list[int](), 0
    for end in last_of_tie:
        if end - start >= size:
            ends.append(int(end))
            start = int(end)
    if not ends:
        return np.array([len(score_N)])
    ends[-1] = len(score_N) if len(score_N) - ends[-1] < size else ends[-1]
    return np.array(ends if ends[-1] == len(score_N) else [*ends, len(score_N)])


def _sums(value_N: Array, ends_G: Array) -> Array:
    return np.asarray(np.diff(np.concatenate([[0.0], np.cumsum(value_N)[ends_G - 1]])))


def _ranked(score_N: Array, positive_N: Array, weight_N: Array, least: int) -> dict[str, Curve]:
    order = np.argsort(-score_N, kind="stable")
    ends_G = _ends(-score_N[order], least)
    hits_G = np.cumsum(_sums((weight_N * positive_N)[order], ends_G))
    all_G = np.cumsum(_sums(weight_N[order], ends_G))
    rows_G = np.diff(ends_G, prepend=0)
    hits, others = hits_G[-1], all_G[-1] - hits_G[-1]
    if not (hits > 0 and others > 0 and len(ends_G) > 1):
        return {}
    rate_G, false_G = hits_G / hits, (all_G - hits_G) / others
    false_rate_G, hit_rate_G = np.concatenate([[0.0], false_G]), np.concatenate([[0.0], rate_G])
    return {
        "roc": _curve("false_positive_rate", "recall", false_rate_G, hit_rate_G, n=np.concatenate([[0], rows_G])),
        "precision_recall": _curve("recall", "precision", rate_G, hits_G / all_G, n=rows_G),
    }


def _sure(prediction: ClassPrediction, truth: Truth, weight_N: Array, least: int) -> dict[str, Curve]:
    """Accuracy when only the rows that the model is surest of are answered.

    Source: the accuracy-rejection curve of Nadeem, Zucker and Hanczar 2010.
    """
    sure_N = prediction.probability_NC.max(1)
    order = np.argsort(-sure_N, kind="stable")
    ends_G = _ends(-sure_N[order], least)
    right_G = np.cumsum(_sums((weight_N * (prediction.answer_N() == truth.value))[order], ends_G))
    all_G = np.cumsum(_sums(weight_N[order], ends_G))
    if len(ends_G) < 2 or not all_G[0] > 0:
        return {}
    rows_G = np.diff(ends_G, prepend=0)
    return {"accuracy_when_sure": _curve("share_answered", "accuracy", all_G / all_G[-1], right_G / all_G, n=rows_G)}


def _numbers(answer_N: Array, true_N: Array, weight_N: Array, least: int) -> dict[str, Curve]:
    order = np.argsort(answer_N, kind="stable")
    ends_G = _ends(answer_N[order], least)
    total_G = _sums(weight_N[order], ends_G)
    rows_G = np.diff(ends_G, prepend=0)
    found = {}
    if len(ends_G) > 1 and (total_G > 0).all():
        answer_G = _sums((weight_N * answer_N)[order], ends_G) / total_G
        true_G = _sums((weight_N * true_N)[order], ends_G) / total_G
        square_G = _sums((weight_N * np.square(true_N - np.mean(true_N)))[order], ends_G) / total_G
        spread_G = np.sqrt(np.maximum(square_G - np.square(true_G - np.mean(true_N)), 0.0))
        half_G = 2 * spread_G / np.sqrt(rows_G)
        found["true_by_answer"] = _curve("answer", "true", answer_G, true_G, true_G - half_G, true_G + half_G, n=rows_G)
    share_Q = np.linspace(0.05, 0.95, 19)
    share_Q = share_Q[np.minimum(share_Q, 1 - share_Q) * len(answer_N) >= max(1, least)]
    if len(share_Q) > 1:
        error_Q = np.quantile(np.abs(answer_N - true_N), share_Q)
        found["error_quantiles"] = _curve("share_of_rows", "absolute_error", share_Q, error_Q)
    return found


def _curve(
    x: str, y: str, x_G: Array, y_G: Array, low_G: Array | None = None, high_G: Array | None = None,
    n: Array | None = None,
) -> Curve:  # fmt: skip
    band = () if low_G is None or high_G is None else _pairs(low_G, high_G)
    return Curve(x, y, _pairs(x_G, y_G), band, () if n is None else tuple(int(count) for count in n))


def _pairs(one: Array, other: Array) -> tuple[tuple[float, float], ...]:
    return tuple((_short(a), _short(b)) for a, b in zip(one, other, strict=True))


def _short(value: float) -> float:
    return float(f"{value:.{_DECIMALS}g}") + 0.0  # + 0.0: no "-0.0"
