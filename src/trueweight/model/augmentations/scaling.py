"""Each channel of a series made larger or smaller."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ScalingAugmentation"]


class ScalingAugmentation(PartSpec):
    """Multiplies each channel of a series by a normal number about 1, the same for all of its steps.

    Source: Um et al. 2017, "Data augmentation of wearable sensor data", arXiv:1706.00527, section 2.

    Example:
        ``augment: [{type: scaling, deviation: 0.2}]``
    """

    reads: ClassVar[str] = "frame"
    mixes: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {"deviation": [0.05, 0.1, 0.2]}

    type: Literal["scaling"] = "scaling"
    """Name of this part."""

    deviation: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Of the factors from 1."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.augment_frames.Scaling``."""
        from trueweight.nn.augment_frames import Scaling

        return Scaling(layout.senses[self.reads].mean, self.deviation)
