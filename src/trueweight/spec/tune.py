"""What ``trueweight tune`` may try, beyond what the parts themselves suggest."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat

from trueweight.spec.base import Conflict, Spec

__all__ = ["RangeSpec", "TuneSpec"]

Bound = int | FiniteFloat


class RangeSpec(Spec):
    """Numbers between two ends. Whole numbers when both ends are."""

    low: Bound
    """The least."""

    high: Bound
    """The most."""

    log: bool = False
    """Try as many values between 1 and 10 as between 10 and 100: for rates and sizes."""

    @classmethod
    def conflicts(cls, raw: Mapping[str, Any]) -> Iterator[Conflict]:
        """The ends are in order, and a logarithm of the lower one exists."""
        low, high = raw.get("low"), raw.get("high")
        if not isinstance(low, int | float) or not isinstance(high, int | float):
            return
        if low >= high:
            yield Conflict(("high",), f"high {high} is not more than low {low}")
        if raw.get("log") is True and low <= 0:
            yield Conflict(("low",), f"with log, low must be more than 0, not {low}")


Values = Annotated[list[Any], Field(min_length=1)]


class TuneSpec(Spec):
    """What ``trueweight tune`` searches. Training alone does not look at it."""

    search_space: dict[str, Values | RangeSpec] = Field(default_factory=dict)
    """Values to try by dotted name: a list, or ``{low, high, log}``. A name is written as for ``--set``, but members by
    their names and all columns at once as ``*``: ``train.optimizer.learning_rate``,
    ``model.members.mlp.encoder.dropout``, ``features.*.transform``. What is named here is searched even if the spec
    asks for a value; a list of one value fixes it."""

    other_fields: Literal["search", "keep"] = "search"
    """What happens to fields that are not named: search those that the recipe decides over the values that their parts
    suggest, or keep them all."""
