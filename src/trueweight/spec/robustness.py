"""What is asked of robustness beyond the suites that always run."""

from typing import Annotated, Literal

from pydantic import Field

from trueweight.spec.base import Spec

__all__ = ["AttackSpec", "RobustnessSpec"]


class AttackSpec(Spec):
    """Input changed on purpose, within a radius, so that the model is most wrong (Madry et al. 2018).

    Pictures are changed in pixels from 0 to 1, columns of numbers in standard deviations of the training rows; other
    columns stay as they are.

    Example:
        ``robustness: {attack: {norm: linf, radius: 0.03}}``
    """

    norm: Literal["linf", "l2"] = "linf"
    """linf: every pixel and every number may change by the radius. l2: the root of all squared changes of a picture,
    and of all numbers of a row, may reach it."""

    radius: Annotated[float, Field(gt=0)]
    """Largest change, in the units above."""

    steps: Annotated[int, Field(ge=1)] = 20
    """Steps uphill from each start."""

    restarts: Annotated[int, Field(ge=1)] = 1
    """Starts: the row itself first, then random points within the radius."""


class RobustnessSpec(Spec):
    """What is tried against the model beside suites of damage."""

    attack: AttackSpec | None = None
    """Null: nothing is attacked."""
