"""Noise behind a sound."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NoiseAugmentation"]

Decibels = Annotated[float, Field(ge=-20, le=100)]


class NoiseAugmentation(PartSpec):
    """Adds the power of white noise to that of each sound, as if it had been recorded with it.

    Example:
        ``augment: [{type: noise, signal_to_noise: [10, 40]}]``
    """

    reads: ClassVar[str] = "frame"
    mixes: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {"signal_to_noise": [[20.0, 50.0], [10.0, 40.0], [0.0, 30.0]]}

    type: Literal["noise"] = "noise"
    """Name of this part."""

    signal_to_noise: Annotated[list[Decibels], Field(min_length=2, max_length=2)] = Field(
        default_factory=lambda: [10.0, 40.0]
    )
    """Decibels by which the noise is softer than the sound, from the loudest noise to the softest."""

    @model_validator(mode="after")
    def _from_loud_to_soft(self) -> Self:
        low, high = self.signal_to_noise
        if low > high:
            raise ValueError(f"'signal_to_noise' goes from the smaller number to the larger: [{high:g}, {low:g}]")
        return self

    def build(self, layout: Layout) -> "nn.Module":  # noqa: ARG002  # all augmentations are asked alike
        """A ``nn.augment_sound.Noise``."""
        from trueweight.nn.augment_sound import Noise

        return Noise(*self.signal_to_noise)
