"""What is asked of robustness beyond the suites that always run."""

from typing import Annotated, Literal

from pydantic import Field

from trueweight.spec.base import Spec

__all__ = ["AttackSpec", "RobustnessSpec", "TextAttackSpec"]


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


class TextAttackSpec(Spec):
    """Words changed on purpose, so that the model is most wrong; only its answers are asked, so any model will do
    (Gao et al. 2018, arXiv:1801.04354).

    Example:
        ``robustness: {text_attack: {words: 3}}``
    """

    words: Annotated[int, Field(ge=1, le=20)]
    """Words of a row that may be changed, of all its texts together."""

    changes: Annotated[list[Literal["delete", "swap"]], Field(min_length=1)] = ["delete", "swap"]
    """What may become of a word: it is left out, or two neighbouring letters near its middle change places."""


class RobustnessSpec(Spec):
    """What is tried against the model beside suites of damage."""

    attack: AttackSpec | None = None
    """Null: pictures and numbers are not attacked."""

    text_attack: TextAttackSpec | None = None
    """Null: no words are changed on purpose."""
