"""The learning rate of a run whose end is known: warm-up, stable, linear cooldown to zero.

Source: the trapezoidal ("warmup-stable-decay") schedule of Hägele et al. 2024, "Scaling Laws and
Compute-Optimal Training Beyond Fixed Training Durations", arXiv:2405.18392. We add early cooldowns:
events that move the end of the run forward.

Everything here is a pure function, so that a resumed run needs to remember nothing but the events.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Cooldown", "Schedule", "warmup_stable_decay"]


@dataclass(frozen=True, slots=True)
class Cooldown:
    """An early end: from after ``step``, linearly to zero within ``length`` steps."""

    step: int
    """The last step at the old rate."""
    length: int
    """Steps still taken, >= 1."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rate of every step, as a factor of the peak rate. Steps count from 1."""

    planned: int
    """Steps of the whole run, if nothing ends it early."""
    warmup: int
    """Steps spent rising; the last of them is at the peak."""
    decay: int
    """Steps spent falling; the step after the last would be at zero."""
    cooldowns: tuple[Cooldown, ...] = ()
    """In the order in which they took effect."""

    @classmethod
    def of(cls, steps: int, *, warmup: float, decay: float) -> "Schedule":
        """A schedule from shares of the run: ``warmup`` in [0, 1), ``decay`` in [0, 1], their sum at most 1."""
        rising = min(math.ceil(warmup * steps), steps)
        return cls(steps, rising, min(round(decay * steps), steps - rising))

    @property
    def total(self) -> int:
        """Steps of the run as things stand."""
        return self.cooldowns[-1].step + self.cooldowns[-1].length if self.cooldowns else self.planned

    def cooling(self, step: int) -> bool:
        """Whether the step after ``step`` is already on the way down."""
        return bool(self.cooldowns) or step >= self.planned - self.decay

    def cooled(self, step: int, length: int) -> "Schedule":
        """The same schedule, falling from after ``step`` to zero within ``length`` steps, never later than before."""
        length = max(1, min(length, self.total - step))
        return Schedule(self.planned, self.warmup, self.decay, (*self.cooldowns, Cooldown(step, length)))

    def factor(self, step: int) -> float:
        """The rate of a step, as a share of the peak, in [0, 1]; 0 from ``total + 1`` on."""
        return warmup_stable_decay(step, self.planned, self.warmup, self.decay, self.cooldowns)


def warmup_stable_decay(step: int, total: int, warmup: int, decay: int, cooldowns: Sequence[Cooldown] = ()) -> float:
    """Share of the peak rate at ``step``, counted from 1.

        step / warmup                       while rising
        1                                   while stable
        (total + 1 - step) / (decay + 1)    while falling
        f(c) * (1 - (step - c) / (L + 1))   after an early cooldown of length L from step c

    The last step is not at zero (it would be wasted); the one after it would be.
    """
    if cooldowns and step > cooldowns[-1].step:
        last = cooldowns[-1]
        start = warmup_stable_decay(last.step, total, warmup, decay, cooldowns[:-1])
        return max(0.0, start * (1 - (step - last.step) / (last.length + 1)))
    if cooldowns:
        return warmup_stable_decay(step, total, warmup, decay, cooldowns[:-1])
    rising = step / warmup if step < warmup else 1.0
    falling = (total + 1 - step) / (decay + 1) if step > total - decay else 1.0
    return max(0.0, min(rising, falling))
