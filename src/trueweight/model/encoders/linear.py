"""The featuriser of linear models: numbers, flags and one-hot codes side by side, without weights."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["LinearEncoder", "cut_levels", "summaries_of"]


class LinearEncoder(PartSpec):
    """Joins all columns to one vector and learns nothing: with any head on top, a linear model.

    Texts come as weighted n-grams, pictures as a few averaged pixels, sounds and series as means and spreads over time.
    Missing and rare codes get a place of their own, and no level is dropped: the solver's penalty, not the choice
    of a reference level, settles what the data leaves open.

    Example:
        ``encoder: {type: linear}``
    """

    weightless: ClassVar[bool] = True
    ngrams: ClassVar[bool] = True

    type: Literal["linear"] = "linear"
    """Name of this part."""

    max_width: Annotated[int, Field(ge=1)] = 2048
    """Most places for one-hot codes together. Where columns have more levels, those of most levels are cut to their
    first (most frequent) ones, the others counting as rare. Solving for a number costs the cube of
    this."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.tabular.Featurizer``."""
        from trueweight.nn.tabular import Featurizer

        levels = cut_levels(layout.cardinalities, self.max_width)
        return Featurizer(layout.width("number"), layout.width("flag"), levels, summaries_of(layout))


def summaries_of(layout: Layout) -> "list[nn.Module]":
    """A module for each array of the senses that linear models can read."""
    from trueweight.nn.summaries import FrameSummary, PixelSummary, WeightedBag

    found: list[nn.Module] = []
    for name, sense in layout.senses.items():
        match name:
            case "pixel":
                found.append(PixelSummary(sense.grid, sense.mean, sense.std))
            case "frame":
                found.append(FrameSummary(sense.mean, sense.std, sense.length))
            case "bag":
                found.append(WeightedBag(sense.vocabulary, *layout.senses["weight"].mean))
    return found


def cut_levels(levels: Sequence[int], most: int) -> list[int]:
    """The same counts, the largest lowered to a common cap until they sum to ``most``; never below 2."""
    if sum(levels) <= most:
        return list(levels)
    low, high = 2, max(levels)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(min(n, middle) for n in levels) <= most else (low, middle - 1)
    return [min(n, low) for n in levels]
