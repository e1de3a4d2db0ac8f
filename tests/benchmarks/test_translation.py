import pytest
from benchmarks.translation import TASKS, counted, gained, predictions, samples, scored, truth_of

from trueweight.metrics.compare import paired
from trueweight.metrics.registry import metric

MEANT = [f"the {thing} of number {place} is here" for place, thing in enumerate(["house", "boat", "tree"] * 10)]
CLOSE = [text.replace("here", "there") for text in MEANT]
FAR = [text[::-1] if place % 2 else text[:9] for place, text in enumerate(MEANT)]


@pytest.mark.parametrize("name", sorted(set(TASKS.values())))
def test_differences_come_out_of_what_is_kept_as_they_do_of_the_texts(name):
    value, low, high = gained(counted(CLOSE, MEANT, name), counted(FAR, MEANT, name), name)
    direct = paired(metric(name), predictions(CLOSE), predictions(FAR), truth_of(MEANT))
    assert value == pytest.approx(direct.value, abs=1e-5)
    # The draws of rows are others.
    assert (low, high) == pytest.approx((direct.low, direct.high), abs=0.02)
    assert value == pytest.approx(scored(CLOSE, MEANT, name)[name] - scored(FAR, MEANT, name)[name], abs=2e-4)


def test_three_short_answers_are_kept_to_be_shown():
    assert samples(["a"] * 5, ["x" * 20, "x" * 40, "x" * 200, "y" * 40, "z" * 40]) == [
        ["x" * 40, "a"], ["y" * 40, "a"], ["z" * 40, "a"],
    ]  # fmt: skip
