"""Encoders one after another."""

from collections.abc import Mapping, Sequence
from typing import cast

from torch import nn

from trueweight.nn.encoding import Ahead, Encoding, Foreseeing, Form, Tensors

__all__ = ["Chain"]


class Chain(nn.Module):
    """The first reads column tensors; each other one reads the encoding that the one before gives.

    Args:
        first: Tensors to Encoding.
        rest: Encoding to Encoding, each with a ``form``; at least one.
    """

    def __init__(self, first: nn.Module, rest: Sequence[nn.Module]) -> None:
        super().__init__()
        self.first, self.rest = first, nn.ModuleList(rest)
        self.form = cast(Form, rest[-1].form)

    def ahead(self) -> Mapping[str, Ahead]:
        """See ``nn.encoding.Foreseeing``."""
        return self.first.ahead() if isinstance(self.first, Foreseeing) else {}

    def forward(self, x: Tensors) -> Encoding:
        """Encode step by step."""
        z: Encoding = self.first(x)
        for module in self.rest:
            z = module(z)
        return z
