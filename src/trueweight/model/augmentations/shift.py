"""Pictures moved by a few pixels."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ShiftAugmentation"]


class ShiftAugmentation(PartSpec):
    """Moves each picture by up to a share of its sides, mirroring at the edges what comes in.

    Source: padding and random crops of He et al. 2016, "Deep residual learning", arXiv:1512.03385, section 4.2, with
    mirrored edges as in Jordan 2024, arXiv:2404.00498, section 3.1.

    Example:
        ``augment: [{type: shift, share: 0.1}]``
    """

    reads: ClassVar[str] = "pixel"
    mixes: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {"share": [0.03, 0.06, 0.12]}

    type: Literal["shift"] = "shift"
    """Name of this part."""

    share: Annotated[float, Field(gt=0, le=0.5)] = 0.06
    """Of each side, at most; at least one pixel. 0.06 is two pixels of 32."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.augment_pixels.Shift``."""
        from trueweight.nn.augment_pixels import Shift

        most = [min(side - 1, max(1, round(self.share * side))) for side in layout.senses[self.reads].grid]
        return Shift(most[0], most[1])
