"""Two pictures in one."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["MixupAugmentation"]


class MixupAugmentation(PartSpec):
    """Lays each picture over another one of its batch, and asks for both answers, each by its picture's share.

    Whole rows are mixed: the picture must be the only feature, and no target may need rows one by one. For long runs:
    a network that could learn its pictures by heart learns what lies between them. Source: Zhang et al. 2018, "mixup:
    beyond empirical risk minimization", arXiv:1710.09412, section 2; as in the authors' code, a batch has one share.

    Example:
        ``augment: [shift, {type: mixup, alpha: 0.2}]``
    """

    reads: ClassVar[str] = "pixel"
    mixes: ClassVar[bool] = True
    search_space: ClassVar[dict[str, list[Any]]] = {"alpha": [0.1, 0.2, 0.4, 1.0]}

    type: Literal["mixup"] = "mixup"
    """Name of this part."""

    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.2
    """The share is drawn from a Beta(alpha, alpha) distribution: near 0 or 1 for small values, anything for 1."""

    def build(self, layout: Layout) -> "nn.Module":  # noqa: ARG002  # the protocol
        """A ``nn.augment_pixels.Mixup``."""
        from trueweight.nn.augment_pixels import Mixup

        return Mixup(self.alpha)
