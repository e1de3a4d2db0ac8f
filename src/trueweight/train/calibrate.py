"""What calibration rows teach a fitted model: better probabilities, a threshold, sets and intervals."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trueweight.data.signature import ColumnFacts
from trueweight.metrics.conformal import Radius, conformal_ends, conformal_radius, conformal_sets
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, Prediction, SetPrediction, blend
from trueweight.metrics.recalibrate import Recalibration, learn_recalibration
from trueweight.metrics.threshold import Threshold, learn_threshold
from trueweight.metrics.truth import Truth
from trueweight.model.predictors.calibrated import CalibratedPredictor, put_through
from trueweight.model.predictors.conformal import ConformalPredictor
from trueweight.model.predictors.threshold import ThresholdPredictor
from trueweight.model.protocols import Predictor
from trueweight.seeds import row_hashes, stream_seed
from trueweight.spec.evaluate import ConformalSpec
from trueweight.train.prepare import Prepared

__all__ = ["Answers", "Shares", "Weigh", "calibrated", "calibration_answers"]

Answers = Mapping[str, Prediction]
"""By target."""


@dataclass(frozen=True, slots=True)
class Shares:
    """In what shares members are mixed, by target: one number for each member, summing to 1."""

    values: Mapping[str, Sequence[float]]
    ends: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Of learnt quantiles, for targets that have some."""

    @classmethod
    def of_one(cls, targets: Iterable[str]) -> "Shares":
        """Of a single member."""
        return cls({name: [1.0] for name in targets})


Weigh = Callable[[Sequence[Answers], np.ndarray], Shares]
"""Members' answers for some rows, and these rows' numbers, to shares."""


def calibration_answers(
    ready: Prepared, members: Sequence[Callable[[np.ndarray], Answers]], weights: Shares, weigh: Weigh
) -> Answers:
    """The blend's answers for calibration rows.

    Where those rows also select, each half is answered by a blend that the other half chose. Steps and strengths of
    regularisation were chosen on both, so that what is learnt from the answers is optimistic.

    Args:
        ready: The prepared run.
        members: From rows to answers.
        weights: Of the members.
        weigh: How weights are found.
    """
    rows = ready.split.calibration
    answers = [ask(rows) for ask in members]
    late = (row_hashes(stream_seed(0, "cross-fit"), rows) & np.uint64(1)).astype(bool)
    if not ready.split.cross_fitted or len(members) == 1 or late.all() or not late.any():
        return _mixed(answers, weights)
    found = []
    for half in (late, ~late):
        mine, others = np.flatnonzero(half), np.flatnonzero(~half)
        crossed = weigh([_taken(some, others) for some in answers], rows[others])
        found.append(_mixed([_taken(some, mine) for some in answers], crossed))
    order = np.argsort(np.concatenate([np.flatnonzero(late), np.flatnonzero(~late)]))
    return {name: _joined(found[0][name], found[1][name]).take(order) for name in found[0]}


def _taken(answers: Answers, rows: np.ndarray) -> Answers:
    return {name: answer.take(rows) for name, answer in answers.items()}


def _mixed(answers: Sequence[Answers], weights: Shares) -> Answers:
    return {
        name: blend([answer[name] for answer in answers], shares, weights.ends.get(name))
        for name, shares in weights.values.items()
    }


def _joined(first: Prediction, second: Prediction) -> Prediction:
    scores = np.concatenate([first.scores(), second.scores()])
    match first:
        case NumberPrediction() if isinstance(second, NumberPrediction):
            return first.followed_by(second)
        case ClassPrediction() | SetPrediction():
            return replace(first, probability_NC=scores)
    return first.take(np.zeros(0, dtype=np.int64))  # nothing is learnt about vectors


@dataclass(frozen=True, slots=True)
class _Rows:
    """One target on calibration rows."""

    facts: ColumnFacts
    answer: Prediction
    truth: Truth
    crossed: bool


def calibrated(
    ready: Prepared, top: Predictor, answers: Answers, truths: Mapping[str, Truth], methods: Mapping[str, str]
) -> Predictor:
    """The model with all that its spec asks to be learnt on calibration rows, laid over it.

    Probabilities first, then thresholds and sets of the better probabilities. The sets rest on the same rows as the one
    to three parameters of the calibration; what that costs of their coverage is of the order of one row in all.

    Args:
        ready: The prepared run.
        top: What answers.
        answers: For the calibration rows.
        truths: Of the calibration rows.
        methods: Target to how its probabilities are corrected; those that are not named stay as they are.
    """
    split = ready.split
    if not len(split.calibration):
        return top
    known = [
        _known(facts, answers[facts.name], truths[facts.name], split.cross_fitted)
        for facts in ready.signature.targets()
    ]
    maps = {one.facts.name: found for one in known if (found := _map(one, methods)) is not None}
    if maps:
        top = CalibratedPredictor(ready.signature, top, maps)
        known = [
            replace(one, answer=put_through(one.answer, maps[one.facts.name])) if one.facts.name in maps else one
            for one in known
        ]
    thresholds = {one.facts.name: learnt for one in known if (learnt := _threshold(one)) is not None}
    if thresholds:
        top = ThresholdPredictor(ready.signature, top, thresholds)
    return _with_sets(ready, top, known)


def _known(facts: ColumnFacts, answer: Prediction, truth: Truth, crossed: bool) -> _Rows:
    rows = np.flatnonzero(truth.present_N)
    taken = answer.take(rows) if facts.type != "vector" else answer
    return _Rows(facts, taken, truth.take(rows), crossed)


def _map(one: _Rows, asked: Mapping[str, str]) -> Recalibration | None:
    method, truth = asked.get(one.facts.name), one.truth
    if method is None:
        return None
    match one.answer:
        case ClassPrediction(probability_NC=p_NC, binary=binary):
            return learn_recalibration(p_NC, truth.value, truth.weight_N, method, binary=binary, crossed=one.crossed)
        case SetPrediction(probability_NC=p_NC):
            flat, labels = p_NC.reshape(-1), p_NC.shape[1]
            weight = None if truth.weight_N is None else np.repeat(truth.weight_N, labels)
            pairs, member = np.stack([1 - flat, flat], axis=1), truth.value.reshape(-1).astype(np.int64)
            return learn_recalibration(pairs, member, weight, method, binary=False, crossed=one.crossed)
    return None


def _threshold(one: _Rows) -> Threshold | None:
    wish = one.facts.spec.get("threshold")
    if not isinstance(wish, Mapping) or not isinstance(one.answer, ClassPrediction):
        return None
    costs, truth = wish["minimize_cost"], one.truth
    positive_N = truth.value == 1
    return learn_threshold(
        one.answer.probability_NC[:, 1], positive_N, truth.weight_N, float(costs["false_positive"]),
        float(costs["false_negative"]), crossed=one.crossed,
    )  # fmt: skip


def _radius(one: _Rows, answer: NumberPrediction, wish: ConformalSpec) -> Radius:
    """How far intervals reach, by the method asked for; of a model that has learnt no quantiles, by one radius."""
    if wish.method == "quantile" and answer.low_N is not None and answer.high_N is not None:
        return conformal_ends(answer.low_N, answer.high_N, one.truth.value, wish.coverage, crossed=one.crossed)
    value_N = answer.value_N if wish.method == "conditional" else None
    errors = np.abs(answer.value_N - one.truth.value)
    return conformal_radius(errors, wish.coverage, crossed=one.crossed, value_N=value_N)


def _with_sets(ready: Prepared, top: Predictor, known: Sequence[_Rows]) -> Predictor:
    """Add conformal intervals for numbers and sets for classes, when asked for and possible."""
    wish = ready.spec.evaluate.conformal
    if wish is None:
        return top
    radii, sets, each = {}, {}, wish.method == "conditional"
    for one in known:
        match one.answer:
            case NumberPrediction():
                radii[one.facts.name] = _radius(one, one.answer, wish)
            case ClassPrediction(probability_NC=p_NC):
                sets[one.facts.name] = conformal_sets(
                    p_NC, one.truth.value, wish.coverage, by_class=each, crossed=one.crossed
                )
    return ConformalPredictor(ready.signature, top, radii, sets) if radii or sets else top
