"""Axes and places of our own plots."""

import math

import pytest

from trueweight.evidence.record import Curve
from trueweight.report.plots import line_plot, span_of, ticks, whisker


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (-0.3, 0.3, [-0.2, 0, 0.2]), (0, 1200, [0, 500, 1000]), (3, 3, [3])],
)
def test_ticks_are_round_and_inside(low, high, expected):
    assert ticks(low, high, most=3 if low == -0.3 or high == 1200 else 5) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [-3.0, 4.0], [math.nan, 2.0], []])
def test_a_span_has_room(values):
    low, high = span_of(values)
    assert low < high
    assert all(low <= value <= high for value in values if math.isfinite(value))


def test_shares_span_all_of_0_to_1():
    assert span_of([0.4, 0.6], share=True) == (0.0, 1.0)


def test_a_whisker_stands_where_its_value_is():
    drawn = whisker(0.5, (0.25, 0.75), (0.0, 1.0))
    assert 'style="left:25.0%;width:50.0%"' in drawn
    assert 'class="pin" style="left:50.0%"' in drawn


def test_a_line_goes_up_where_values_do():
    drawn = line_plot(Curve("a", "b", ((0.0, 0.0), (1.0, 2.0))), "x <", "y", "told")
    assert 'aria-label="told"' in drawn
    assert "x &lt;" in drawn
    path = drawn.split('class="line"')[0].rpartition('d="')[2].partition('"')[0]
    (x0, y0), (x1, y1) = (tuple(map(float, pair.split())) for pair in path.removeprefix("M").split("L"))
    assert x1 > x0
    assert y1 < y0  # SVG counts from the top
