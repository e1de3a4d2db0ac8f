"""Who hears of work, and when."""

from trueweight import progress
from trueweight.progress import Progress, Ticker, listen


def heard_of(ticker: Ticker, clock: list[float], moments: dict[float, tuple[int, int]]) -> list[Progress]:
    heard: list[Progress] = []
    with listen(heard.append):
        for at, (done, total) in moments.items():
            clock[0] = at
            ticker.show(done, total)
    return heard


def test_five_times_a_second_and_the_end(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress, "perf_counter", lambda: clock[0])
    moments = {0.01: (1, 10), 0.1: (2, 10), 0.3: (3, 10), 0.35: (4, 10), 0.4: (10, 10)}
    assert [event.done for event in heard_of(Ticker("training net", "steps"), clock, moments)] == [1, 3, 10]


def test_short_work_is_not_told_of(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress, "perf_counter", lambda: clock[0])
    assert heard_of(Ticker("answering", quiet=2.0), clock, {0.5: (5, 10), 1.0: (10, 10)}) == []


def test_long_work_is_told_of_after_a_while_and_its_end_too(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(progress, "perf_counter", lambda: clock[0])
    moments = {0.5: (1, 10), 2.5: (5, 10), 2.6: (6, 10), 2.65: (10, 10)}
    heard = heard_of(Ticker("answering", quiet=2.0), clock, moments)
    assert [(event.task, event.done, event.unit) for event in heard] == [
        ("answering", 5, "rows"),
        ("answering", 10, "rows"),
    ]
