"""Holes in the heap: when they are given back."""

from types import SimpleNamespace

import pytest

from trueweight.train import heap
from trueweight.train.heap import LEAST, SECONDS, Holes


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(heap, "perf_counter", lambda: now[0])
    return now


def asked(monkeypatch: pytest.MonkeyPatch, holes: int, used: int) -> list[int]:
    """What the library was told to keep, each time that it was asked to give back."""
    given: list[int] = []
    told = lambda: SimpleNamespace(fordblks=holes, uordblks=used)  # noqa: E731
    monkeypatch.setattr(heap, "_library", lambda: (told, lambda keep: given.append(keep) or 1))
    return given


@pytest.mark.parametrize(
    ("holes", "used", "times"), [(2 * LEAST, LEAST, 1), (2 * LEAST, 3 * LEAST, 0), (LEAST, 1000, 0)]
)
def test_large_holes_are_given_back(
    holes: int, used: int, times: int, clock: list[float], monkeypatch: pytest.MonkeyPatch
):
    given, found = asked(monkeypatch, holes, used), Holes()
    clock[0] = SECONDS + 1
    assert found.give_back() == bool(times)
    assert given == [0] * times


def test_nobody_looks_again_before_some_seconds_have_passed(clock: list[float], monkeypatch: pytest.MonkeyPatch):
    given, found = asked(monkeypatch, 4 * LEAST, 0), Holes()
    for moment in range(10):
        clock[0] = float(moment)
        found.give_back()
    assert len(given) == 3


def test_another_library_is_left_alone(clock: list[float], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(heap, "_library", lambda: None)
    found = Holes()
    clock[0] = 100.0
    assert not found.give_back()


def test_the_library_of_this_machine_is_asked_as_it_wants_to_be(clock: list[float], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(heap, "LEAST", -1)
    if (library := heap._library()) is None:
        pytest.skip("not GNU's C library")
    told, _ = library
    assert told().uordblks > 0
    found = Holes()
    clock[0] = 100.0
    assert found.give_back() in (True, False)
