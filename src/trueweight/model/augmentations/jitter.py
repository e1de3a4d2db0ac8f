"""Noise on every step of a series or sound."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["JitterAugmentation"]


class JitterAugmentation(PartSpec):
    """Adds normal noise to every value of a series, each of its own.

    Source: Um et al. 2017, "Data augmentation of wearable sensor data", arXiv:1706.00527, section 2.

    Example:
        ``augment: [{type: jitter, deviation: 0.05}]``
    """

    reads: ClassVar[str] = "frame"
    mixes: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {"deviation": [0.02, 0.05, 0.1]}

    type: Literal["jitter"] = "jitter"
    """Name of this part."""

    deviation: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Of the noise, in standard deviations of the channel."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.augment_frames.Jitter``."""
        from trueweight.nn.augment_frames import Jitter

        return Jitter(layout.senses[self.reads].std, self.deviation)
