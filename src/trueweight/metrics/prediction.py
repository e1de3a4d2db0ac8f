"""What a predictor answers: distributions over columns, decoded last.

Shape suffixes:
    N  rows    C  classes or labels    D  width of a vector
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

__all__ = [
    "ClassPrediction",
    "NumberPrediction",
    "Prediction",
    "SetPrediction",
    "VectorPrediction",
    "blend",
    "value_within",
]

Array = np.ndarray


class Prediction(Protocol):
    """Answers for N rows of one target. Frozen; every row-wise array has N rows, in the order asked."""

    def __len__(self) -> int: ...

    def columns(self, name: str) -> dict[str, Array]:
        """Output columns of the fixed names, each (N,): ``survived``, ``survived.p[1]``, ``cost.low``."""
        ...

    def take(self, rows: Array) -> "Prediction":
        """The rows at these positions."""
        ...

    def scores(self) -> Array:
        """The numbers that two runs must agree on, (N, K) float64: probabilities, or values."""
        ...

    def mix(self, others: Sequence["Prediction"], weights: Sequence[float]) -> "Prediction":
        """The mixture of this one and others of the same kind; ``weights`` starts with this one's."""
        ...


@dataclass(frozen=True, slots=True)
class NumberPrediction:
    """A number per row, perhaps with an interval."""

    value_N: Array
    """float64, in the target's own unit."""
    low_N: Array | None = None
    high_N: Array | None = None
    coverage: float | None = None
    """Share of rows whose truth should lie in [low, high]; None without interval."""
    reach: tuple[float, float] | None = None
    """Where a mixture takes values to lie: a member that a wild cell carries far outside must not decide it alone."""

    def __len__(self) -> int:
        return len(self.value_N)

    def columns(self, name: str) -> dict[str, Array]:
        found = {name: self.value_N}
        if self.low_N is not None and self.high_N is not None:
            found |= {f"{name}.low": self.low_N, f"{name}.high": self.high_N}
        return found

    def take(self, rows: Array) -> "NumberPrediction":
        low, high = (None if a is None else a[rows] for a in (self.low_N, self.high_N))
        return replace(self, value_N=self.value_N[rows], low_N=low, high_N=high)

    def scores(self) -> Array:
        return self.value_N[:, None]

    def mix(self, others: Sequence[Prediction], weights: Sequence[float]) -> "NumberPrediction":
        if not others:
            return self if self.coverage is None else self.without_interval()
        held = [p._held() for p in (self, *others) if isinstance(p, NumberPrediction)]
        value_N = _mean(held, weights)[:, 0]
        learnt = [p for p in held if p.coverage is None]  # what was promised of one is not promised of a mixture
        lows = [p.low_N for p in learnt if p.low_N is not None]
        highs = [p.high_N for p in learnt if p.high_N is not None]
        if len(lows) < len(held) or len(highs) < len(held):
            return NumberPrediction(value_N, reach=self.reach)
        return replace(value_within(value_N, _weighted(lows, weights), _weighted(highs, weights)), reach=self.reach)

    def _held(self) -> "NumberPrediction":
        if self.reach is None:
            return self
        low, high = (None if end is None else np.clip(end, *self.reach) for end in (self.low_N, self.high_N))
        return replace(self, value_N=np.clip(self.value_N, *self.reach), low_N=low, high_N=high)

    def with_radius(self, radius: float | Array, coverage: float) -> "NumberPrediction":
        """The same values with an interval of ``radius``, one for all or (N,), to both sides."""
        return NumberPrediction(self.value_N, self.value_N - radius, self.value_N + radius, coverage)

    def widened(self, by: float, coverage: float) -> "NumberPrediction":
        """The same values with ends that lie farther out, or nearer where ``by`` is below 0; they stay inside.

        Raises:
            ValueError: There are no ends.
        """
        if self.low_N is None or self.high_N is None:
            raise ValueError("there is no interval to widen")
        return replace(value_within(self.value_N, self.low_N - by, self.high_N + by), coverage=coverage)

    def followed_by(self, other: "NumberPrediction") -> "NumberPrediction":
        """These rows, then those; with ends where both have some."""
        value_N = np.concatenate([self.value_N, other.value_N])
        if self.low_N is None or self.high_N is None or other.low_N is None or other.high_N is None:
            return NumberPrediction(value_N, reach=self.reach)
        low_N, high_N = np.concatenate([self.low_N, other.low_N]), np.concatenate([self.high_N, other.high_N])
        return NumberPrediction(value_N, low_N, high_N, reach=self.reach)

    def without_interval(self) -> "NumberPrediction":
        """The values alone."""
        return NumberPrediction(self.value_N, reach=self.reach)


def value_within(value_N: Array, low_N: Array, high_N: Array) -> NumberPrediction:
    """Values with both ends of an interval, which never leaves out the value; ends that cross change places."""
    ends = np.stack([low_N, high_N, value_N])
    return NumberPrediction(value_N, ends.min(0), ends.max(0))


@dataclass(frozen=True, slots=True)
class ClassPrediction:
    """A probability per class and row; also for yes-no targets, whose positive class is the last."""

    probability_NC: Array
    """float64; rows sum to 1."""
    classes: tuple[str, ...]
    """C labels, as they are written in answers."""
    binary: bool = False
    """Whether only the positive class's probability is worth a column."""
    threshold: float = 0.5
    """For binary: the positive class is answered from this probability on."""
    set_NC: Array | None = None
    """bool: the classes that belong to each row's conformal set. None without sets."""
    coverage: float | None = None
    """Share of rows whose true class should be in the set; None without sets."""

    def __len__(self) -> int:
        return len(self.probability_NC)

    def answer_N(self) -> Array:
        """Index of the class to answer, (N,) int64."""
        if self.binary:
            return (self.probability_NC[:, 1] >= self.threshold).astype(np.int64)
        return np.asarray(self.probability_NC.argmax(1), dtype=np.int64)

    def columns(self, name: str) -> dict[str, Array]:
        labels = np.array(self.classes, dtype=object)[self.answer_N()]
        shown = range(len(self.classes) - 1, len(self.classes)) if self.binary else range(len(self.classes))
        found = {name: labels} | {f"{name}.p[{self.classes[c]}]": self.probability_NC[:, c] for c in shown}
        return found if self.set_NC is None else found | {f"{name}.set": _chosen(self.set_NC, self.classes)}

    def take(self, rows: Array) -> "ClassPrediction":
        chosen = None if self.set_NC is None else self.set_NC[rows]
        return replace(self, probability_NC=self.probability_NC[rows], set_NC=chosen)

    def scores(self) -> Array:
        return self.probability_NC

    def mix(self, others: Sequence[Prediction], weights: Sequence[float]) -> "ClassPrediction":
        return replace(self, probability_NC=_mean([self, *others], weights), set_NC=None, coverage=None)


@dataclass(frozen=True, slots=True)
class SetPrediction:
    """For each label of a fixed list, the probability that it belongs to the row's set."""

    probability_NC: Array
    labels: tuple[str, ...]
    threshold: float = 0.5

    def __len__(self) -> int:
        return len(self.probability_NC)

    def columns(self, name: str) -> dict[str, Array]:
        return {name: _chosen(self.probability_NC >= self.threshold, self.labels)} | {
            f"{name}.p[{label}]": self.probability_NC[:, c] for c, label in enumerate(self.labels)
        }

    def take(self, rows: Array) -> "SetPrediction":
        return replace(self, probability_NC=self.probability_NC[rows])

    def scores(self) -> Array:
        return self.probability_NC

    def mix(self, others: Sequence[Prediction], weights: Sequence[float]) -> "SetPrediction":
        return replace(self, probability_NC=_mean([self, *others], weights))


@dataclass(frozen=True, slots=True)
class VectorPrediction:
    """A vector of fixed width per row."""

    value_ND: Array

    def __len__(self) -> int:
        return len(self.value_ND)

    def columns(self, name: str) -> dict[str, Array]:
        answers = np.empty(len(self), dtype=object)
        for i, row in enumerate(self.value_ND):
            answers[i] = row.tolist()
        return {name: answers}

    def take(self, rows: Array) -> "VectorPrediction":
        return VectorPrediction(self.value_ND[rows])

    def scores(self) -> Array:
        return self.value_ND

    def mix(self, others: Sequence[Prediction], weights: Sequence[float]) -> "VectorPrediction":
        return VectorPrediction(_mean([self, *others], weights))


def blend(
    predictions: Sequence[Prediction], weights: Sequence[float], ends: Sequence[float] | None = None
) -> Prediction:
    """The weighted mixture of predictions of one kind, for the same rows.

    Args:
        predictions: At least one.
        weights: As many, >= 0, summing to 1. Those of weight 0 are left out.
        ends: The same for the ends of intervals, where they are mixed in other shares.
    """
    found = _mixed(predictions, weights)
    around = found if ends is None else _mixed(predictions, ends)
    if ends is None or not isinstance(found, NumberPrediction) or not isinstance(around, NumberPrediction):
        return found
    if around.low_N is None or around.high_N is None:
        return found.without_interval()
    return replace(value_within(found.value_N, around.low_N, around.high_N), reach=found.reach)


def _mixed(predictions: Sequence[Prediction], weights: Sequence[float]) -> Prediction:
    # Members without weight are left out: 0 times infinity is no number.
    used = [place for place, weight in enumerate(weights) if weight > 0]
    return predictions[used[0]].mix([predictions[place] for place in used[1:]], [weights[place] for place in used])


def _chosen(chosen_NC: Array, labels: Sequence[str]) -> Array:
    """A list of labels for each row, (N,) object."""
    answers = np.empty(len(chosen_NC), dtype=object)
    for i in range(len(answers)):
        answers[i] = []
    rows, places = np.nonzero(chosen_NC)  # once for all rows: servers answer a few at a time, and often
    for i, c in zip(rows.tolist(), places.tolist(), strict=True):
        answers[i].append(labels[c])
    return answers


def _weighted(arrays: Sequence[Array], weights: Sequence[float]) -> Array:
    return np.asarray(sum(w * a for w, a in zip(weights, arrays, strict=True)))


def _mean(predictions: Sequence[Prediction], weights: Sequence[float]) -> Array:
    total = sum(w * p.scores() for w, p in zip(weights, predictions, strict=True))
    return np.asarray(total)
