"""Joins encodings side by side."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

    from trueweight.nn.encoding import Form

__all__ = ["ConcatFusion"]


class ConcatFusion(PartSpec):
    """Pools each encoding to one vector and joins the vectors. A single encoding passes through unchanged.

    Example:
        ``fusion: {type: concat}``
    """

    type: Literal["concat"] = "concat"
    """Name of this part."""

    def build(self, forms: "Mapping[str, Form]") -> "nn.Module":
        """A ``nn.concat.Concat`` of encodings of these forms."""
        from trueweight.nn.concat import Concat

        return Concat(forms)
