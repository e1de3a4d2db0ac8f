"""Answers of two models are held against each other in one order of classes, and stay the answers that they were."""

import numpy as np
import pytest

from trueweight.evaluate.diff import aligned_with
from trueweight.metrics.prediction import ClassPrediction, NumberPrediction, SetPrediction

RNG = np.random.default_rng(0)


def labels(prediction: ClassPrediction) -> list[str]:
    return [prediction.classes[k] for k in prediction.answer_N()]


def sets(prediction: ClassPrediction) -> list[set[str]]:
    assert prediction.set_NC is not None
    return [{prediction.classes[k] for k in np.flatnonzero(row)} for row in prediction.set_NC]


@pytest.mark.parametrize("threshold", [0.5, 0.3, 0.8, 0.0, 1.0])
def test_another_positive_class_changes_no_answer(threshold: float) -> None:
    share = np.concatenate([RNG.random(50), [0.0, 0.3, 0.5, 0.8, 1.0]])
    chosen = RNG.random((55, 2)) < 0.6
    theirs = ClassPrediction(np.stack([1 - share, share], 1), ("yes", "no"), True, threshold, chosen, 0.9)
    ours = ClassPrediction(np.full((55, 2), 0.5), ("no", "yes"), True)
    found = aligned_with(theirs, ours)
    assert isinstance(found, ClassPrediction)
    assert found.classes == ours.classes
    assert np.array_equal(found.probability_NC[:, 0], share)
    assert labels(found) == labels(theirs)
    assert sets(found) == sets(theirs)


def test_classes_in_another_order_keep_their_columns_and_sets() -> None:
    theirs = ClassPrediction(RNG.dirichlet([1, 1, 1], 20), ("c", "a", "b"), set_NC=RNG.random((20, 3)) < 0.5)
    found = aligned_with(theirs, ClassPrediction(np.full((20, 3), 1 / 3), ("a", "b", "c")))
    assert isinstance(found, ClassPrediction)
    assert labels(found) == labels(theirs)
    assert sets(found) == sets(theirs)


def test_what_cannot_be_compared_says_why() -> None:
    one = ClassPrediction(np.full((2, 2), 0.5), ("a", "b"))
    other = ClassPrediction(one.probability_NC, ("a", "c"))
    assert "know other classes: a, b and a, c" in str(aligned_with(other, one))
    numbers, tags = NumberPrediction(np.zeros(2)), SetPrediction(np.zeros((2, 1)), ("x",))
    assert aligned_with(numbers, one) == "they answer different kinds of targets"
    assert aligned_with(tags, SetPrediction(np.zeros((2, 1)), ("y",))) == "they know other labels"
    assert aligned_with(numbers, NumberPrediction(np.ones(2))) is numbers
