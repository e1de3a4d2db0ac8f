"""An embedding of bags of weighted n-grams.

Shape suffixes in this file:
    B  rows    T  n-grams of the row that has most    K  n-grams there are    D  width    F  flags
"""

import torch
from torch import Tensor, nn

from trueweight.nn.dropout import Dropout
from trueweight.nn.encoding import Encoding, Form, Tensors

__all__ = ["BagEncoder"]


class BagEncoder(nn.Module):
    """The weighted sum of a row's embeddings, then a trunk.

        y = trunk(sum_t weight_t * embedding[bag_t])

    Source: Joulin et al. 2017, "Bag of tricks for efficient text classification", arXiv:1607.01759, section 2, where
    the weights are equal. Dropout of whole n-grams: Iyyer et al. 2015, "Deep unordered composition rivals syntactic
    methods for text classification", section 3.

    Args:
        vocabulary: K; 0 reads flags alone.
        width: D.
        flags: F, put beside what the trunk gives.
        trunk: (B, D) -> (B, D of the trunk).
        trunk_width: D of the trunk.
        ngram_dropout: Share of n-grams that are left out in each training step.

    Shape:
        ``bag`` and ``weight`` (B, T, 1), ``flag`` (B, F) -> one token, D of the trunk + F wide.
    """

    def __init__(
        self, vocabulary: int, width: int, flags: int, trunk: nn.Module, trunk_width: int, *, ngram_dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width) if vocabulary else None
        self.trunk = trunk if vocabulary else nn.Identity()
        self.drop = Dropout(ngram_dropout)
        self.flags = flags
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight, std=START)
        self.form = Form((trunk_width if vocabulary else 0) + flags)

    def forward(self, x: Tensors) -> Encoding:
        """Add up, and go through the trunk."""
        parts = [] if self.embedding is None else [self.trunk(self._sum(self.embedding.weight, x))]
        if self.flags:
            parts.append(x["flag"])
        return Encoding(torch.cat(parts, dim=1).unsqueeze(1))

    def _sum(self, table_KD: Tensor, x: Tensors) -> Tensor:
        weight_BT = self.drop(x["weight"].squeeze(2).to(table_KD.dtype))
        code_BT = x["bag"].squeeze(2)
        return nn.functional.embedding_bag(code_BT, table_KD, per_sample_weights=weight_BT, mode="sum")


START = 0.1
"""Deviation of the first embeddings: rows of length 1 then give small numbers, which the first steps decide."""
