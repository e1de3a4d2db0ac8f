"""Bins of a reliability curve and sizes of a learning curve become lines; other facts are left alone."""

from trueweight.evidence.record import Data, Entry, Interval
from trueweight.report.assembled import assembled
from trueweight.report.page import html_report


def entry(axis: str, metric: str, value: float, part: str, *, ends: float = 0.0, n: int = 50) -> Entry:
    around = Interval(value - ends, value + ends, 0.95, "bootstrap") if ends else None
    return Entry(
        id=f"{axis}/t/{metric}/test/{part}", axis=axis, metric=metric, target="t", slice=part, value=value, n=n,
        interval=around, data=Data("sha256:0", "test"),
    )  # fmt: skip


def bins() -> list[Entry]:
    return [
        *(entry("calibration", "said", x, f"bin {b} of 2") for b, x in ((2, 0.9), (1, 0.2))),
        *(entry("calibration", "happened", x, f"bin {b} of 2", ends=0.1) for b, x in ((1, 0.3), (2, 0.8))),
    ]


def test_bins_become_a_line():
    found, used = assembled(bins())
    (line,) = found
    assert line.curve.points == ((0.2, 0.3), (0.9, 0.8))
    assert line.curve.band[0] == (0.3 - 0.1, 0.3 + 0.1)
    assert (line.metric, line.n, line.value, line.interval) == ("reliability", 100, 2, None)
    assert used == {e.id for e in bins()}


def test_sizes_become_a_line_in_their_order():
    sizes = [
        entry("honesty", "learning_curve", loss, f"{rows} training rows") for rows, loss in ((800, 0.3), (100, 0.5))
    ]
    (line,) = assembled(sizes)[0]
    assert line.curve.points == ((100.0, 0.5), (800.0, 0.3))
    assert line.n == 50


def test_half_a_pair_is_no_line():
    assert assembled(bins()[:3]) == ([], set())
    assert assembled([entry("slices", "accuracy", 0.3, "a")]) == ([], set())


def test_more_rows_are_advised_only_where_a_gain_is_shown(subject, make_subject):
    quiet = [e for e in subject.evidence if not e.metric.endswith("flag")]

    def told(ends: float) -> str:
        gain = entry("honesty", "gain_of_twice_the_rows", 0.05, "all", ends=ends)
        return html_report(make_subject([*quiet, gain]))

    assert "More rows like these" in told(0.02)
    assert "More rows like these" not in told(0.08)
