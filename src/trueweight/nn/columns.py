"""The featuriser of trees: columns side by side as they are.

Shape suffixes in this file:
    R  rows    C  numeric columns    F  flags    K  columns of codes    P  places
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trueweight.nn.category import RARE
from trueweight.nn.encoding import Encoding, Form, Tensors

__all__ = ["RawColumns"]


class RawColumns(nn.Module):
    """Numbers with NaN for gaps, flags that mark no gaps, codes as numbers: one token of width P.

    Args:
        numbers: C.
        flags: F.
        marks: For each flag, the numbers that are missing where it is 1; () for one that says something else.
        limits: For each column of codes, how many are told apart; codes beyond count as rare.
    """

    owner_C: Tensor
    other_F: Tensor
    limit_K: Tensor
    unit: Tensor

    def __init__(self, numbers: int, flags: int, marks: Sequence[Sequence[int]], limits: Sequence[int]) -> None:
        super().__init__()
        marks = [*marks, *[()] * (flags - len(marks))]
        owner = {number: flag for flag, marked in enumerate(marks) for number in marked}
        others = [flag for flag, marked in enumerate(marks) if not marked]
        self.numbers, self.marked = numbers, bool(owner)
        # The flag after the last is nobody's.
        self.register_buffer("owner_C", torch.tensor([owner.get(c, flags) for c in range(numbers)]).long(), False)
        self.register_buffer("other_F", torch.tensor(others, dtype=torch.long), persistent=False)
        self.register_buffer("limit_K", torch.tensor(list(limits), dtype=torch.int32), persistent=False)
        self.register_buffer("unit", torch.ones(()), persistent=False)  # knows the dtype the network was moved to
        self.form = Form(
            width=numbers + len(others) + len(limits), raw=(*[0] * (numbers + len(others)), *limits),
        )  # fmt: skip

    def forward(self, x: Tensors) -> Encoding:
        """Join the arrays."""
        parts: list[Tensor] = []
        if self.numbers:
            parts.append(self._numbers(x))
        if len(self.other_F):
            parts.append(x["flag"].index_select(1, self.other_F))
        if len(self.limit_K):
            code = torch.where(x["code"] < self.limit_K, x["code"], RARE)
            parts.append(code.to(self.unit.dtype))
        return Encoding(torch.cat(parts, dim=1).unsqueeze(1))

    def _numbers(self, x: Tensors) -> Tensor:
        if not self.marked:
            return x["number"]
        missing = nn.functional.pad(x["flag"], (0, 1)).index_select(1, self.owner_C) > 0
        return x["number"].masked_fill(missing, torch.nan)
