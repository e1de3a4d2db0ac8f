"""The featuriser of linear models with an eye for the shape of series."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.model.encoders.linear import cut_levels, summaries_of
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["RocketEncoder"]

_MAX_WIDTH = 2048
"""Of one-hot codes, as in the linear encoder."""


class RocketEncoder(PartSpec):
    """What the linear encoder sees, and for series and sounds the answers of many fixed convolutions: with a solved
    head, a fast and strong classifier of series. Learns nothing itself.

    Sources: ROCKET, Dempster et al. 2020, arXiv:1910.13051; MiniRocket, Dempster et al. 2021, arXiv:2012.08791. How we
    deviate is said at ``nn.rocket.Rocket``.

    Example:
        ``model: {encoder: {type: rocket, thresholds: 2}}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {"dilations": [4, 6, 8], "thresholds": [1, 2, 4]}

    weightless: ClassVar[bool] = True
    ngrams: ClassVar[bool] = True

    type: Literal["rocket"] = "rocket"
    """Name of this part."""

    dilations: Annotated[int, Field(ge=1, le=32)] = 6
    """Distances between the taps of a pattern, from 1 step up to an eighth of the longest row."""

    thresholds: Annotated[int, Field(ge=0, le=64)] = 1
    """For each pattern and distance: how often, and where, its answer is above. A row becomes about
    84 * dilations * (3 + 2 * thresholds) numbers."""

    seed: Annotated[int, Field(ge=0)] = 0
    """Of the choice of channels that each pattern reads."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.tabular.Featurizer``."""
        from trueweight.nn.rocket import Rocket
        from trueweight.nn.tabular import Featurizer

        senses = summaries_of(layout)
        if (frame := layout.senses.get("frame")) is not None:
            width, some = layout.width("frame"), self.dilations
            senses.append(Rocket(width, frame.length, dilations=some, thresholds=self.thresholds, seed=self.seed))
        levels = cut_levels(layout.cardinalities, _MAX_WIDTH)
        return Featurizer(layout.width("number"), layout.width("flag"), levels, senses)
