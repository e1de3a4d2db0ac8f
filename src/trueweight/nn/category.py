"""Category numbers to vectors: one-hot for few levels, learnt embeddings for many.

Shape suffixes in this file:
    B  rows    K  columns of codes    P  one-hot places    D  width of one embedding
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["CodeEmbedding", "OneHot"]

RARE = 1
"""The code of rare and unseen levels; see ``data.column.Arrays``."""


class OneHot(nn.Module):
    """A place for every code of every chosen column, the missing and the rare ones included.

    Args:
        columns: Which columns of the code array.
        levels: For each of them, how many codes get a place; codes beyond count as rare.

    Shape:
        (B, all columns) integers -> (B, P) float, P = sum of levels.
    """

    column_K: Tensor
    owner_P: Tensor
    level_P: Tensor
    limit_K: Tensor
    unit: Tensor

    def __init__(self, columns: Sequence[int], levels: Sequence[int]) -> None:
        super().__init__()
        self.width = sum(levels)
        places = [torch.arange(count) for count in levels]
        owners = [torch.full((count,), k) for k, count in enumerate(levels)]
        empty = torch.zeros(0, dtype=torch.long)
        self.register_buffer("column_K", torch.tensor(list(columns), dtype=torch.long), persistent=False)
        self.register_buffer("owner_P", torch.cat([empty, *owners]), persistent=False)
        self.register_buffer("level_P", torch.cat([empty, *places]).int(), persistent=False)
        self.register_buffer("unit", torch.ones(()), persistent=False)  # knows the dtype the network was moved to
        self.register_buffer("limit_K", torch.tensor(list(levels), dtype=torch.int32), persistent=False)

    def forward(self, code_BK: Tensor) -> Tensor:
        """Compare every code with every place of its column."""
        code = code_BK.index_select(1, self.column_K)
        code = torch.where(code < self.limit_K, code, RARE)
        return (code.index_select(1, self.owner_P) == self.level_P).to(self.unit.dtype)


class CodeEmbedding(nn.Module):
    """A learnt vector for every code of the chosen columns, in one table.

    Args:
        columns: Which columns of the code array.
        cardinalities: How many codes each of them has.
        width: D.

    Shape:
        (B, all columns) integers -> (B, chosen columns * D).
    """

    column_K: Tensor
    offset_K: Tensor

    def __init__(self, columns: Sequence[int], cardinalities: Sequence[int], width: int) -> None:
        super().__init__()
        starts = [sum(cardinalities[:k]) for k in range(len(cardinalities))]
        self.register_buffer("column_K", torch.tensor(list(columns), dtype=torch.long), persistent=False)
        self.register_buffer("offset_K", torch.tensor(starts, dtype=torch.int32), persistent=False)
        self.weight = nn.Parameter(torch.randn(sum(cardinalities), width) * width**-0.5)

    def forward(self, code_BK: Tensor) -> Tensor:
        """Look the codes up."""
        places = code_BK.index_select(1, self.column_K) + self.offset_K
        return nn.functional.embedding(places, self.weight).flatten(1)
