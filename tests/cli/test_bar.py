"""How far a piece of work is said to be."""

import pytest

from trueweight.cli.bar import _Lines, left
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


def test_work_that_begins_anew_is_told_from_there(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 0.0, 20.0, 40.0])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("trueweight.cli.bar.time.monotonic", lambda: next(clock))
        lines = _Lines()
        for done in (50, 10, 20):
            lines(Progress("training", done, 100))
    assert [line.partition(" after ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "0.0 s", "20 s, 2 min 40 s left",
    ]  # fmt: skip


def test_work_of_the_same_name_that_follows_has_a_pace_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 0.0, 20.0, 25.0, 60.0, 80.0])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("trueweight.cli.bar.time.monotonic", lambda: next(clock))
        lines = _Lines()
        for done in (20, 60, 100, 21, 61):
            lines(Progress("writing words", done, 100))
    assert capsys.readouterr().err.splitlines()[-1].endswith("after 20 s, 20 s left")
