"""Ragged rows as tensors, padded when a batch is made.

Shape suffixes:
    N  rows    B  rows of a batch    T  items of the longest    M  items of all rows    C  width of an item
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from trueweight.data.ragged import Ragged

__all__ = ["Packed"]


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """The tensor side of :class:`~trueweight.data.ragged.Ragged`: nothing is copied until rows are asked for."""

    value_MC: Tensor
    start_N1: Tensor
    """int64."""

    @classmethod
    def of(cls, ragged: Ragged) -> "Packed":
        """Sharing memory."""
        return cls(torch.from_numpy(ragged.value_MC), torch.from_numpy(ragged.start_N1))

    @property
    def lengths(self) -> Tensor:
        """int64: items of each row."""
        return self.start_N1.diff()

    def lengths_of(self, rows_B: Tensor) -> Tensor:
        """Items of some rows, (B,) int64."""
        return self.start_N1[rows_B + 1] - self.start_N1[rows_B]

    def even(self) -> Tensor | None:
        """The same rows as one array, (N, T, C), sharing memory; None where their lengths differ or are 0."""
        rows = len(self.start_N1) - 1
        steps = len(self.value_MC) // max(rows, 1)
        if not steps or bool((self.lengths != steps).any()):
            return None
        return self.value_MC.view(rows, steps, *self.value_MC.shape[1:])

    def padded(self, rows_B: Tensor) -> tuple[Tensor, Tensor]:
        """Rows by number, (B, T, C) with zeros behind each row's end, T at least 1; and their lengths, (B,) int64."""
        start_B = self.start_N1[rows_B]
        length_B = self.start_N1[rows_B + 1] - start_B
        longest = max(1, int(length_B.max())) if len(rows_B) else 1
        shape = (len(rows_B), longest, *self.value_MC.shape[1:])
        if not len(self.value_MC):
            return self.value_MC.new_zeros(shape), length_B
        place_T = torch.arange(longest)
        index_BT = (start_B.unsqueeze(1) + place_T).clamp_max_(len(self.value_MC) - 1)
        value_BTC = self.value_MC.index_select(0, index_BT.flatten()).view(shape)
        beyond_BT = place_T >= length_B.unsqueeze(1)
        return value_BTC.masked_fill_(beyond_BT.unsqueeze(2), 0), length_B
