"""Pictures mirrored, left for right."""

from typing import TYPE_CHECKING, ClassVar, Literal

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["HorizontalFlipAugmentation"]


class HorizontalFlipAugmentation(PartSpec):
    """Mirrors half of the pictures, left for right. Wrong where that changes what they show: digits, letters, signs.

    Source: as old as Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks", 4.1.

    Example:
        ``augment: [horizontal_flip]``
    """

    reads: ClassVar[str] = "pixel"
    mixes: ClassVar[bool] = False

    type: Literal["horizontal_flip"] = "horizontal_flip"
    """Name of this part."""

    grey: bool = True
    """Whether grey pictures are mirrored too. The recipe says no: they are digits and letters too often."""

    wary: bool = False
    """Whether pictures stay as they are where the training rows show that classes differ from their mirror images.
    The recipe says yes."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.augment_pixels.HorizontalFlip``, or nothing."""
        from torch import nn

        from trueweight.nn.augment_pixels import HorizontalFlip

        wrong = self.wary and not layout.senses[self.reads].mirrors
        right = not wrong and (self.grey or layout.width(self.reads) > 1)
        return HorizontalFlip() if right else nn.Identity()
