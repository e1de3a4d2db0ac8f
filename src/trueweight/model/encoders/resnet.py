"""Residual networks over pictures."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.model.senses import Pooling, pooled_by
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ResnetEncoder"]

_SMALL = 64


class ResnetEncoder(PartSpec):
    """Convolutions in blocks that add to what they read: the layouts of 18 to 152 layers, for larger pictures.

    Source: He et al. 2016, arXiv:1512.03385, table 1, with the stride in the 3x3 convolution (Goyal et al. 2017,
    arXiv:1706.02677). With ``pooling: mean`` and a category target of 1,000 classes it is the published network, weight
    for weight.

    Example:
        ``encoder: {type: resnet, layers: 50, pooling: mean}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "layers": [10, 18, 34, 50], "variant": ["b", "d"], "width": [32, 64],
    }  # fmt: skip

    weightless: ClassVar[bool] = False
    ngrams: ClassVar[bool] = False

    type: Literal["resnet"] = "resnet"
    """Name of this part."""

    layers: Literal[10, 18, 26, 34, 50, 101, 152] = 18
    """With weights, head included. 10, one block a stage, and 26, two bottlenecks a stage, are not of the paper."""

    variant: Literal["b", "d"] = "b"
    """b: the paper's, with the stride in the 3x3 convolution. d: of He et al. 2018, "Bag of tricks for image
    classification with convolutional neural networks", arXiv:1812.01187, section 4.2: three 3x3 convolutions for the
    first one of 7x7, and short ways that average 2 by 2 places where others skip three of four."""

    width: Annotated[int, Field(ge=1, le=1024)] = 64
    """Channels of the first stage; each further one has twice as many. Half of it is a quarter of the work."""

    blur_pool: bool = False
    """Average neighbours before each step, so that a shift of a pixel changes less: Zhang 2019, arXiv:1904.11486."""

    small: bool | None = None
    """Begin gently, as for pictures of 32 pixels: a 3x3 convolution without stride, no pooling. Null: for pictures
    whose shorter side has at most 64 pixels."""

    zero_residual: bool = True
    """Begin with blocks that change nothing."""

    checkpointing: bool = False
    """Save memory: compute each block again in the backward pass instead of keeping all it made. A third slower."""

    pooling: Pooling = "none"
    """How places become one vector. none leaves them to what follows, which takes their mean if it wants one vector."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.resnet.Resnet``.

        Raises:
            SpecError: The column holds no pictures.
        """
        from trueweight.nn.resnet import Resnet

        pixel = layout.senses.get("pixel")
        if pixel is None:
            hint = "name it under the column of pictures: features.NAME.encoder"
            raise SpecError("encoder 'resnet' reads pictures, and these columns are none", where="encoder", hint=hint)
        small = min(pixel.grid) <= _SMALL if self.small is None else self.small
        module = Resnet(
            pixel.grid, pixel.mean, pixel.std, self.layers, small=small, zero_residual=self.zero_residual,
            checkpointing=self.checkpointing, width=self.width, deep=self.variant == "d", blurred=self.blur_pool,
        )  # fmt: skip
        return pooled_by(self.pooling, module, module.form)
