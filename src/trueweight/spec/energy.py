"""How energy is told: from which meter, by which assumption, and as how much carbon."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from trueweight.spec.base import Conflict, Spec

__all__ = ["CarbonSpec", "EnergySpec"]

_Watts = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class CarbonSpec(Spec):
    """Grams of CO2 for each kilowatt-hour. There is no default: it depends on the place and the year."""

    grams_per_kwh: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """The factor."""

    source: Annotated[str, Field(min_length=1)]
    """Who says so: the grid operator, an agency's table."""

    year: Annotated[int, Field(ge=1990, le=2100)]
    """Year that the factor is of."""


class EnergySpec(Spec):
    """Energy of training and of predictions: measured where the machine counts it, else estimated with an interval."""

    meter: str | None = None
    """CSV file of a meter at the plug: ``time`` and one of ``watts``, ``joules``, ``wh``, ``kwh``. Relative to the
    spec's folder. It is read when training has ended and must reach over all of it."""

    watts: Annotated[list[_Watts], Field(min_length=2, max_length=2)] | None = None
    """What this machine's processor draws, idle and fully busy (its TDP). For the estimate where nothing is counted.
    Null: 1 to 25 W for each busy core, which holds for nearly any."""

    carbon: CarbonSpec | None = None
    """Grams of CO2 are told only with a factor. Null: not told."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """The busy processor draws more than the idle one."""
        watts = raw.get("watts")
        numbers = [w for w in watts if isinstance(w, int | float)] if isinstance(watts, list) else []
        if len(numbers) == 2 and numbers[0] > numbers[1]:
            yield Conflict(("watts",), f"idle {numbers[0]:g} W are more than busy {numbers[1]:g} W")
