"""A sound made louder or softer."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["GainAugmentation"]


class GainAugmentation(PartSpec):
    """Makes each sound louder or softer as a whole: microphones and distances differ.

    Example:
        ``augment: [{type: gain, decibels: 6}]``
    """

    reads: ClassVar[str] = "frame"
    mixes: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {"decibels": [3.0, 6.0, 12.0]}

    type: Literal["gain"] = "gain"
    """Name of this part."""

    decibels: Annotated[float, Field(gt=0, le=60)] = 6.0
    """Most, either way."""

    def build(self, layout: Layout) -> "nn.Module":  # noqa: ARG002  # all augmentations are asked alike
        """A ``nn.augment_sound.Gain``."""
        from trueweight.nn.augment_sound import Gain

        return Gain(self.decibels)
