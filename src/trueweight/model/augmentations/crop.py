"""A part of each picture, enlarged."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CropAugmentation"]


class CropAugmentation(PartSpec):
    """Cuts a random part of the same proportions out of each picture, and enlarges it to the whole.

    Source: Szegedy et al. 2015, "Going deeper with convolutions", arXiv:1409.4842, section 6; here proportions
    stay, and the nearest pixel is taken.

    Example:
        ``augment: [{type: crop, smallest: 0.5}]``
    """

    reads: ClassVar[str] = "pixel"
    mixes: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {"smallest": [0.35, 0.5, 0.7, 0.85]}

    type: Literal["crop"] = "crop"
    """Name of this part."""

    smallest: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Share of the picture's area that is kept at least."""

    def build(self, layout: Layout) -> "nn.Module":  # noqa: ARG002  # the protocol
        """A ``nn.augment_pixels.Zoom``."""
        from trueweight.nn.augment_pixels import Zoom

        return Zoom(self.smallest)
