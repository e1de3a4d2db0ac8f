"""A sound played faster or slower."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["SpeedAugmentation"]


class SpeedAugmentation(PartSpec):
    """Plays each sound at one of some speeds, and so as if by another speaker: faster is shorter and higher.

    Source: Ko et al. 2015, "Audio augmentation for speech recognition".

    Example:
        ``augment: [{type: speed, factors: [0.9, 1.0, 1.1]}, {type: spec_augment}]``
    """

    reads: ClassVar[str] = "frame"
    mixes: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {"factors": [[0.9, 1.0, 1.1], [0.95, 1.0, 1.05]]}

    type: Literal["speed"] = "speed"
    """Name of this part."""

    factors: Annotated[list[Annotated[float, Field(ge=0.5, le=2)]], Field(min_length=1)] = Field(
        default_factory=lambda: [0.9, 1.0, 1.1]
    )
    """Speeds, each as likely for a sound in a training step."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.augment_speed.Speed``.

        Raises:
            SpecError: A column without frequencies.
        """
        from trueweight.nn.augment_speed import Speed

        hertz = layout.senses["frame"].hertz
        if not hertz:
            problem = "augmentation 'speed' moves frequencies, and this column has none"
            raise SpecError(problem, where="augment", hint="it is for columns of sounds: leave it out")
        return Speed(hertz, self.factors)
