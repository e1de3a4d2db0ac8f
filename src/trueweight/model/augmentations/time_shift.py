"""A sound or series moved in time."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["TimeShiftAugmentation"]


class TimeShiftAugmentation(PartSpec):
    """Moves each sound earlier or later, repeating the step where it opens up; its length stays.

    Example:
        ``augment: [{type: time_shift, steps: 10}]``
    """

    reads: ClassVar[str] = "frame"
    mixes: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {"steps": [5, 10, 20]}

    type: Literal["time_shift"] = "time_shift"
    """Name of this part."""

    steps: Annotated[int, Field(ge=1)] = 10
    """Most to move by, either way, and never more than half of a sound. A step of a sound is 10 ms."""

    def build(self, layout: Layout) -> "nn.Module":  # noqa: ARG002  # all augmentations are asked alike
        """A ``nn.augment_sound.TimeShift``."""
        from trueweight.nn.augment_sound import TimeShift

        return TimeShift(self.steps)
