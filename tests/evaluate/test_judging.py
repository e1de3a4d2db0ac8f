"""A check that fails loses neither the model nor anything that a bundle may not hold."""

import logging
from typing import Any

import pytest

from trueweight.errors import DataError
from trueweight.evaluate.judging import Judging, further

SECRET = "Zyxwille"


def number_of(text: str) -> float:
    return float(text)  # what Python says of it names the text


def broken(judging: Judging) -> Any:
    return number_of(str(judging.table.column("name")[0].as_py()))


def refusing(judging: Judging) -> Any:
    raise DataError("there is no column 'x'", where="later.csv")


@pytest.fixture
def judging(people: Any, judge: Any) -> Judging:
    rows = people()
    found: Judging = judge(rows | {"name": [f"{SECRET} {row}" for row in range(len(rows["x"]))]})
    return found


def test_a_check_that_ends_in_an_error_is_shown_as_failed(judging: Judging, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "trueweight.evaluate"):
        entries = {e.id: e for e in further(judging, {"drift": broken, "slices": refusing, "honesty": lambda _: []})}
    assert list(entries) == [
        "drift/check", "cost/check/drift", "slices/check", "cost/check/slices", "cost/check/honesty",
    ]  # fmt: skip
    failed, refused = entries["drift/check"], entries["slices/check"]
    assert (failed.axis, failed.status, failed.value) == ("drift", "failed", None)
    assert str(failed.reason).startswith("a fault of ours: ValueError in judging.py, line ")
    assert (refused.status, refused.reason) == ("failed", "there is no column 'x'")


def test_what_an_error_says_of_a_cell_is_told_to_the_terminal_and_to_nobody_else(
    judging: Judging, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "trueweight.evaluate"):
        entries = further(judging, {"drift": broken})
    assert SECRET in caplog.text
    assert not [entry for entry in entries if SECRET in str(entry)]


def test_checks_that_were_not_asked_for_do_not_run(people: Any, judge: Any) -> None:
    asked = judge(people(), evaluate={"checks": ["drift"]})
    found = further(asked, {"drift": lambda _: [], "slices": broken})
    assert [entry.id for entry in found] == ["cost/check/drift"]
