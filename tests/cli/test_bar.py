"""How far a piece of work is said to be."""

import pytest

from trueweight.cli.bar import left
from trueweight.progress import Progress


@pytest.mark.parametrize(
    ("done", "first", "seconds", "said"),
    [
        (10, 0, 5, ", 45 s left"),
        (60, 50, 5, ", 20 s left"),  # taken up again at 50
        (50, 50, 5, ""),
        (1, 0, 0.01, ""),
        (100, 0, 5, ""),
    ],
)
def test_the_rest_takes_as_long_as_what_was_done(done: float, first: float, seconds: float, said: str) -> None:
    assert left(Progress("training", done, 100), first, seconds) == said


def test_an_end_that_nobody_knows() -> None:
    assert left(Progress("reading", 10, None), 0, 5) == ""
