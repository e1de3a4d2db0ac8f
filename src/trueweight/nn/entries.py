"""Mostly empty encodings by what is not zero in them: a text has hundreds of its column's tens of thousands of places.

Shape suffixes in this file:
    R  rows    P  places    N  stored numbers
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

__all__ = ["Entries"]


@dataclass(frozen=True, slots=True)
class Entries:
    """A matrix (R, P), row by row."""

    count_R: Tensor
    """int64: stored numbers of each row."""
    place_N: Tensor
    """int64: their columns, ascending within a row, each at most once."""
    value_N: Tensor
    """float, not 0."""
    width: int
    """P."""

    @classmethod
    def of(cls, x_RP: Tensor) -> Self:
        """Of a matrix as it is."""
        row_N, place_N = x_RP.nonzero(as_tuple=True)
        return cls(torch.bincount(row_N, minlength=len(x_RP)), place_N, x_RP[row_N, place_N], x_RP.shape[1])

    @classmethod
    def beside(cls, parts: Sequence[Self]) -> Self:
        """The same rows of all parts side by side."""
        if len(parts) == 1:
            return parts[0]
        starts = [sum(part.width for part in parts[:k]) for k in range(len(parts))]
        owner_N = torch.cat([torch.repeat_interleave(part.count_R) for part in parts])
        order_N = torch.argsort(owner_N, stable=True)  # parts stay in their order within each row
        place_N = torch.cat([part.place_N + start for part, start in zip(parts, starts, strict=True)])
        value_N = torch.cat([part.value_N for part in parts])
        count_R = torch.stack([part.count_R for part in parts]).sum(0)
        return cls(count_R, place_N[order_N], value_N[order_N], sum(part.width for part in parts))

    def __len__(self) -> int:
        return len(self.count_R)

    def take(self, chosen_R: Tensor) -> "Entries":
        """The rows marked by a bool (R,)."""
        kept_N = chosen_R.repeat_interleave(self.count_R)
        return Entries(self.count_R[chosen_R], self.place_N[kept_N], self.value_N[kept_N], self.width)

    def dense(self) -> Tensor:
        """(R, P)."""
        x_RP = self.value_N.new_zeros(len(self), self.width)
        x_RP[torch.repeat_interleave(self.count_R), self.place_N] = self.value_N
        return x_RP
