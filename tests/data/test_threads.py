"""Work done ahead in threads: the same results in the same order, and not too many at once."""

import os
import threading

import pytest

from trueweight.data.threads import threads_ahead


@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_the_same_as_map(count, cores, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert list(threads_ahead(lambda x: x * x, iter(range(count)))) == [x * x for x in range(count)]


def test_never_far_ahead(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    begun, lock = [], threading.Lock()

    def job(x: int) -> int:
        with lock:
            begun.append(x)
        return x

    for x in threads_ahead(job, range(100)):
        with lock:
            assert max(begun) <= x + 3


def test_what_goes_wrong_is_told_in_its_turn(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    found = threads_ahead(lambda x: 1 // (3 - x), range(10))
    assert [next(found) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)
