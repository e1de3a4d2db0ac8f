"""Words that are hidden while training."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["WordDropoutAugmentation"]


class WordDropoutAugmentation(PartSpec):
    """Hides some tokens of each text, others in each step, so that no single word decides.

    Source: Iyyer et al. 2015, "Deep unordered composition rivals syntactic methods for text classification", section
    3; Bowman et al. 2016, arXiv:1511.06349, section 3.1.

    Example:
        ``augment: [{type: word_dropout, probability: 0.1}]``
    """

    reads: ClassVar[str] = "token"
    mixes: ClassVar[bool] = False
    search_space: ClassVar[dict[str, list[Any]]] = {"probability": [0.05, 0.1, 0.2]}

    type: Literal["word_dropout"] = "word_dropout"
    """Name of this part."""

    probability: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Of hiding each token."""

    def build(self, layout: Layout) -> "nn.Module":  # noqa: ARG002  # every vocabulary has an unknown token
        """A ``nn.augment_tokens.WordDropout``."""
        from trueweight.nn.augment_tokens import WordDropout

        return WordDropout(self.probability)
