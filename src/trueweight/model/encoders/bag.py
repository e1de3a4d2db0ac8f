"""Texts as the weighted sum of their n-grams' embeddings."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from trueweight.data.field import Layout
from trueweight.errors import SpecError
from trueweight.spec.base import PartSpec

if TYPE_CHECKING:
    from torch import nn

__all__ = ["BagEncoder"]


class BagEncoder(PartSpec):
    """Adds up the embeddings of a text's n-grams, weighted by TF-IDF, and puts dense layers on top.

    Order is lost but for what pairs of words say; so it is fast, and on topics and opinions hard to beat.
    Source: Joulin et al. 2017, "Bag of tricks for efficient text classification", arXiv:1607.01759.

    Example:
        ``review: {type: text, encoder: {type: bag, width: 128, hidden_sizes: [128]}}``
    """

    search_space: ClassVar[dict[str, list[Any]]] = {
        "width": [32, 64, 128],
        "hidden_sizes": [[], [64]],
        "ngram_dropout": [0.0, 0.3, 0.5],
    }
    weightless: ClassVar[bool] = False
    ngrams: ClassVar[bool] = True

    type: Literal["bag"] = "bag"
    """Name of this part."""

    width: Annotated[int, Field(ge=1)] = 64
    """Of each n-gram's embedding."""

    hidden_sizes: list[Annotated[int, Field(ge=1)]] = Field(default_factory=lambda: [64])
    """Width of each layer on the sum; without any, and a plain head, the model is linear in the n-grams."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of hidden units that are zeroed in each training step."""

    ngram_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3
    """Share of n-grams that are left out of each row in each training step."""

    def build(self, layout: Layout) -> "nn.Module":
        """A ``nn.bag.BagEncoder``.

        Raises:
            SpecError: The columns are no text.
        """
        from trueweight.nn.bag import BagEncoder as Module
        from trueweight.nn.mlp import Mlp

        bag, flags = layout.senses.get("bag"), layout.width("flag")
        if set(layout.shapes) - {"bag", "weight", "token", "flag"} or (bag is None and not flags):
            problem = "encoder 'bag' reads texts, and these columns are none"
            hint = "name it under a column of type text: features.NAME.encoder"
            raise SpecError(problem, where="encoder", hint=hint)
        trunk = Mlp(self.width, self.hidden_sizes, dropout=self.dropout)
        last = self.hidden_sizes[-1] if self.hidden_sizes else self.width
        vocabulary = 0 if bag is None else bag.vocabulary
        return Module(vocabulary, self.width, flags, trunk, last, ngram_dropout=self.ngram_dropout)
