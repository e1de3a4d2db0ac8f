"""A check that fails loses neither the model nor anything that a bundle may not hold."""

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trueweight.errors import DataError
from trueweight.evaluate.judging import Judging, further, judged_cases

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


def ready(
    *, reads: bool = True, decoder: str = "transformer", more: tuple[str, ...] = (), most: int | None = 10
) -> Any:
    """As little of a prepared run as says which rows are judged."""
    text = SimpleNamespace(type="text", spec={"decoder": {"type": decoder}})
    targets = [text, *(SimpleNamespace(type=kind, spec={}) for kind in more)]
    columns = SimpleNamespace(targets=lambda: targets, features=lambda: [SimpleNamespace(type="text")] if reads else [])
    split = SimpleNamespace(test=np.arange(100, 150), validation=np.arange(50, 90))
    evaluate = SimpleNamespace(written_rows=most)
    return SimpleNamespace(split=split, signature=columns, spec=SimpleNamespace(evaluate=evaluate))


@pytest.mark.parametrize("role", ["test", "validation"])
def test_of_what_is_written_a_sample_is_judged_always_the_same(role: str) -> None:
    whole = getattr(ready().split, role)
    cases = judged_cases(ready(), role)
    assert len(cases) == 10
    assert np.isin(cases, whole).all()
    assert (np.diff(cases) > 0).all()
    assert judged_cases(ready(more=("binary",)), role).tolist() == cases.tolist()


@pytest.mark.parametrize(
    "known", [{"reads": False}, {"decoder": "ctc"}, {"most": None}, {"most": 50}], ids=lambda known: str(known)
)
def test_everything_else_is_judged_by_all_rows(known: dict[str, Any]) -> None:
    assert judged_cases(ready(**known), "test").tolist() == list(range(100, 150))
