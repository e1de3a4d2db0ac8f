"""Stretches of time and frequency hidden in a sound."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["SpecAugmentation"]


class SpecAugmentation(PartSpec):
    """Hides random stretches of time and of frequency behind the mean of each band, so that no part alone decides.

    Source: Park et al. 2019, "SpecAugment: a simple data augmentation method for automatic speech recognition",
    arXiv:1904.08779, section 2, without time warping; widths of time as shares of each sound's length, as in Park et
    al. 2020, arXiv:1912.05533, section 3.

    Example:
        ``augment: [{type: spec_augment, time_share: 0.1}]``
    """

    reads: ClassVar[str] = "frame"
    mixes: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {"time_share": [0.05, 0.1, 0.2], "frequency_share": [0.15, 0.3]}

    type: Literal["spec_augment"] = "spec_augment"
    """Name of this part."""

    time_masks: Annotated[int, Field(ge=0, le=20)] = 2
    """Stretches of time in each sound."""

    time_share: Annotated[float, Field(ge=0, le=1)] = 0.15
    """Largest width of each, as a share of the sound."""

    frequency_masks: Annotated[int, Field(ge=0, le=20)] = 2
    """Stretches of neighbouring bands in each sound."""

    frequency_share: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Largest width of each, as a share of all bands."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.augment_sound.SpecAugment``."""
        from trueweight.nn.augment_sound import SpecAugment

        return SpecAugment(
            layout.senses[self.reads].mean, time_masks=self.time_masks, time_share=self.time_share,
            frequency_masks=self.frequency_masks, frequency_share=self.frequency_share,
        )  # fmt: skip
