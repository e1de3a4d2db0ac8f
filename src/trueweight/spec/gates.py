"""A rule that a model must keep to before anybody uses it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from trueweight.spec.base import Conflict, Spec

__all__ = ["CheckName", "GateSpec"]

CheckName = Literal["calibration", "slices", "fairness", "drift", "robustness", "honesty", "explanation"]
"""What is looked at beside the scores. The axis of a check's entries is its name."""

_DEMANDS = ("at_least", "at_most", "better_than", "no_flags", "measured")


class GateSpec(Spec):
    """One rule. Numbers are judged at the unfavourable end of their interval; what was not measured does not pass."""

    name: str = ""
    """What the rule is called in results. Empty: its own words."""

    target: str | None = None
    """Target whose number is meant. Null where the number is of none, such as a cost."""

    metric: str | None = None
    """Name of the number, as the evidence has it: ``roc_auc``, ``wall_seconds``."""

    slice: str | None = None
    """Part of the rows, as the evidence names it. ``every``: each slice that was measured. Null: all rows."""

    axis: str | None = None
    """Axis of the evidence. Null: quality if it has such a number, else the one axis that has."""

    role: Literal["train", "validation", "calibration", "test", "other"] | None = None
    """Rows that the number was measured on. Null: test rows, or in later evidence the rows that it is of."""

    at_least: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """The low end of the number's interval must reach this."""

    at_most: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """The high end of the number's interval may not exceed this."""

    better_than: str | None = None
    """Baseline that the model must beat by this metric on the same rows, shown by the paired interval."""

    no_flags: CheckName | Literal["all"] | None = None
    """Check of which no flag may be raised; ``all``: of none."""

    measured: list[CheckName] | None = None
    """Checks that must have been measured, without one that failed or was not run."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """A rule demands one thing, and names what it demands it of."""
        asked = [key for key in _DEMANDS if raw.get(key) is not None]
        limits = [key for key in asked if key in ("at_least", "at_most")]
        of_number = [key for key in asked if key in ("at_least", "at_most", "better_than")]
        if not asked and not raw.keys() - cls.model_fields.keys():  # a misspelt demand is told already
            yield Conflict((), f"a rule needs one of {', '.join(_DEMANDS)}")
        elif len(asked) > 1 and asked != limits:
            yield Conflict((asked[1],), f"{asked[0]!r} and {asked[1]!r} are two rules: write each by itself")
        if of_number and raw.get("metric") is None:
            yield Conflict((of_number[0],), f"{of_number[0]!r} needs 'metric': of which number?")
        if "better_than" in asked and raw.get("target") is None:
            yield Conflict(("better_than",), "'better_than' needs 'target'")
        if asked and not of_number:
            for key in ("target", "metric", "slice", "axis", "role"):
                if raw.get(key) is not None:
                    yield Conflict((key,), f"{key!r} says nothing beside {asked[0]!r}: leave it out")
        low, high = raw.get("at_least"), raw.get("at_most")
        if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
            yield Conflict(("at_most",), f"at_least {low:g} and at_most {high:g} leave nothing between")
