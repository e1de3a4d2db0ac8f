"""A square of each picture painted over."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CutoutAugmentation"]


class CutoutAugmentation(PartSpec):
    """Paints a square of each picture over with the mean colour, so that no single part decides. For long runs.

    Source: DeVries and Taylor 2017, "Improved regularization of convolutional neural networks with cutout",
    arXiv:1708.04552.

    Example:
        ``augment: [shift, {type: cutout, share: 0.25}]``
    """

    reads: ClassVar[str] = "pixel"
    mixes: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {"share": [0.2, 0.25, 0.4]}

    type: Literal["cutout"] = "cutout"
    """Name of this part."""

    share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """Side of the square, as a share of the picture's shorter side."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.augment_pixels.Cutout``."""
        from trueweight.nn.augment_pixels import Cutout

        sense = layout.senses[self.reads]
        return Cutout(max(1, round(self.share * min(sense.grid))), [round(255 * value) for value in sense.mean])
