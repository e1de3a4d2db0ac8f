"""Pictures mirrored, left for right."""

from typing import TYPE_CHECKING, ClassVar, Literal

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["HorizontalFlipAugmentation"]


class HorizontalFlipAugmentation(PartSpec):
    """Mirrors half of the pictures, left for right. Wrong where that changes what they show: digits, letters, signs.

    With ``alternate`` each picture is mirrored in every second pass over the training rows instead of by chance, so
    that two passes in a row show both sides of it: Jordan 2024, arXiv:2404.00498, section 3.6.

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

    alternate: bool = False
    """Whether each picture is mirrored in every second pass, half of them in the first, and not by chance each time."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.augment_pixels.HorizontalFlip``, an ``AlternatingFlip`` if asked, or nothing."""
        from torch import nn

        from trueweight.nn.augment_pixels import AlternatingFlip, HorizontalFlip

        wrong = self.wary and not layout.senses[self.reads].mirrors
        right = not wrong and (self.grey or layout.width(self.reads) > 1)
        if not right:
            return nn.Identity()
        return AlternatingFlip() if self.alternate else HorizontalFlip()
