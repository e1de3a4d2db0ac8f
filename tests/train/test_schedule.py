"""The schedule's laws: bounds, shape, continuity at an early cooldown, and an end that never moves back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trueweight.spec.run import ScheduleSpec
from trueweight.train.schedule import Schedule


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    warmup = draw(st.floats(0, 0.5))
    return Schedule.of(draw(st.integers(1, 500)), warmup=warmup, decay=draw(st.floats(0, 0.99 - warmup)))


@given(schedules())
def test_rises_stays_and_falls(schedule: Schedule):
    factors = [schedule.factor(step) for step in range(1, schedule.total + 1)]
    assert all(0 < factor <= 1 for factor in factors)
    top = schedule.total - schedule.decay
    assert factors[: schedule.warmup] == sorted(factors[: schedule.warmup])
    assert all(factor == 1 for factor in factors[max(schedule.warmup - 1, 0) : top])
    assert factors[top:] == sorted(factors[top:], reverse=True)


@given(schedules(), st.data())
def test_an_early_cooldown_falls_to_zero_from_where_it_began(schedule: Schedule, data: st.DataObject):
    step = data.draw(st.integers(1, max(1, schedule.total - 1)))
    length = data.draw(st.integers(1, 600))
    cooled = schedule.cooled(step, length)
    assert cooled.total <= max(schedule.total, step + 1)
    assert [cooled.factor(s) for s in range(1, step + 1)] == [schedule.factor(s) for s in range(1, step + 1)]
    begin = schedule.factor(step)
    falls = [cooled.factor(s) for s in range(step, cooled.total + 2)]
    slope = begin / (cooled.total + 1 - step)
    assert falls[-1] == pytest.approx(0, abs=1e-12)
    assert [a - b for a, b in zip(falls, falls[1:], strict=False)] == pytest.approx([slope] * (len(falls) - 1))


def test_known_values():
    schedule = Schedule.of(10, warmup=0.2, decay=0.4)
    expected = [0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
    assert [schedule.factor(step) for step in range(1, 11)] == pytest.approx(expected)
    assert schedule.factor(11) == 0
    assert schedule.cooled(4, 4).total == 8
    assert not schedule.cooling(5)
    assert schedule.cooling(6)


def test_it_may_fall_from_the_first_step_on():
    schedule = Schedule.of(9, warmup=0, decay=1)
    assert [schedule.factor(step) for step in range(1, 11)] == pytest.approx([k / 10 for k in range(9, -1, -1)])
    assert schedule.cooling(0)
    assert ScheduleSpec(warmup=0, decay="100%").decay == 1
    with pytest.raises(ValidationError, match="more than the whole run"):
        ScheduleSpec(decay=1)


def test_a_second_cooldown_starts_from_the_first():
    schedule = Schedule.of(100, warmup=0, decay=0.5).cooled(10, 50).cooled(35, 5)
    assert schedule.total == 40
    half = 1 - 25 / 51
    assert schedule.factor(35) == pytest.approx(half)
    assert schedule.factor(36) == pytest.approx(half * 5 / 6)
