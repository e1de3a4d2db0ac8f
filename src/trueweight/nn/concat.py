"""Fusion by pooling each encoding and joining the results.

Shape suffixes in this file:
    B  rows * members    D  width
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trueweight.nn.encoding import Encoding, Form
from trueweight.nn.entries import Entries
from trueweight.nn.pooling import pooled

__all__ = ["Concat"]


class Concat(nn.Module):
    """One token per row: the pooled encodings side by side. One encoding passes through as it is, grid and all;
    none gives a zero token of width 1, so that a head still has its bias.

    Args:
        forms: Of the encodings, in order. Their ``members`` are 1 or the same number.
    """

    nothing: Tensor

    def __init__(self, forms: Mapping[str, Form]) -> None:
        super().__init__()
        members = max((form.members for form in forms.values()), default=1)
        if any(form.members not in (1, members) for form in forms.values()):
            found = ", ".join(f"{name} {form.members}" for name, form in forms.items())
            raise ValueError(f"encodings of different numbers of members cannot be joined: {found}")
        self.register_buffer("nothing", torch.zeros(1, 1, 1), persistent=False)
        raw: tuple[int, ...] = ()
        if any(form.raw for form in forms.values()):  # what others give are numbers
            raw = tuple(codes for form in forms.values() for codes in form.raw or (0,) * form.width)
        width, sparse = sum(form.width for form in forms.values()) or 1, any(form.sparse for form in forms.values())
        joined = Form(width=width, members=members, raw=raw, sparse=sparse)
        self.form = next(iter(forms.values())) if len(forms) == 1 else joined

    def forward(self, parts: Mapping[str, Encoding], rows: int) -> Encoding:
        """Join."""
        if not parts:
            return Encoding(self.nothing.expand(rows, 1, 1))
        if len(parts) == 1:
            return next(iter(parts.values()))
        members = self.form.members
        vectors = [pooled(z).repeat_interleave(members // z.members, dim=0) for z in parts.values()]
        return Encoding.single(torch.cat(vectors, dim=1), members)

    def entries(self, parts: Mapping[str, Encoding | Entries]) -> Entries:
        """What is not zero of it, where ``form.sparse`` says so; ``parts`` may be of either kind."""
        found = (z if isinstance(z, Entries) else Entries.of(pooled(z)) for z in parts.values())
        return Entries.beside(list(found))
