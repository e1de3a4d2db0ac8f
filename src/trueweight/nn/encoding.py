"""The waist between reading and answering: encoders give an Encoding, heads take one.

Shape suffixes:
    B  rows * members, member fastest    L  tokens    D  width
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor
from torch.utils import _pytree

__all__ = ["Ahead", "Encoding", "Foreseeing", "Form", "Tensors", "ahead_of", "lengths_of"]

Tensors: TypeAlias = Mapping[str, Tensor]


Ahead: TypeAlias = Callable[[Tensor], Tensor]
"""What an encoder does to an array before any weight comes in: to each number by itself, whatever stands beside it."""


def ahead_of(name: str) -> str:
    """Under which name a batch holds an array to which that was done already, in the place of the array."""
    return f"{name}.ahead"


@runtime_checkable
class Foreseeing(Protocol):
    """An encoder that can do a part of its work before any batch is made."""

    def ahead(self) -> Mapping[str, Ahead]:
        """What it does to arrays, by their names. Its forward pass takes :func:`ahead_of` these names where a batch has
        them, and gives the same numbers, bit for bit."""
        ...


def lengths_of(x: Tensors, name: str) -> Tensor:
    """Items of each row of a ragged array, (B,) int64: all of them where a batch has no lengths."""
    array_BTC = x[name]
    if (length_B := x.get(f"{name}.length")) is not None:
        return length_B
    return torch.full((array_BTC.shape[0],), array_BTC.shape[1], device=array_BTC.device)


@dataclass(frozen=True, slots=True)
class Encoding:
    """Tokens of B = rows * members."""

    tokens_BLD: Tensor
    """float. L = 0 is allowed: nothing to read."""
    mask_BL: Tensor | None = None
    """bool, True = real; None: all real."""
    grid: tuple[int, ...] = ()
    """What L unrolls: () one token, (T,) a sequence, (H, W) an image."""
    finer: tuple["Encoding", ...] = ()
    """Pyramid levels for boxes and masks, finest last."""
    members: int = 1
    """Networks inside this one (TabM): losses are averaged over them, ``read`` averages probabilities."""
    kept: tuple[Tensor, Tensor] | None = None
    """Of one token a row: ``tokens_BLD``, and what it was before it got the axis L. Taking that away again, and the
    gradient's way back through both, is a noticeable part of a small network's step. Whoever puts other tokens in the
    place of these need not think of it: :attr:`vector_BD` belongs to these alone."""
    code_BL: Tensor | None = None
    """int64 number of the text's token that stands at each place, 0 behind its end; None: no token of a text does."""

    @property
    def vector_BD(self) -> Tensor | None:  # noqa: N802  # shapes are part of names
        """The only token of each row; None where there are more, or where nobody kept it."""
        return self.kept[1] if self.kept is not None and self.kept[0] is self.tokens_BLD else None

    @classmethod
    def single(cls, vector_BD: Tensor, members: int = 1) -> "Encoding":
        """One token a row."""
        tokens_BLD = vector_BD.unsqueeze(1)
        return cls(tokens_BLD, members=members, kept=(tokens_BLD, vector_BD))

    def with_tokens(self, tokens_BLD: Tensor) -> "Encoding":
        """Other tokens in the same places."""
        return replace(self, tokens_BLD=tokens_BLD, kept=None)


@dataclass(frozen=True, slots=True)
class Form:
    """What is known of an Encoding before any data is seen, so that ``check`` can refuse what cannot fit."""

    width: int
    """D."""
    grid_rank: int = 0
    """``len(grid)``."""
    levels: int = 0
    """``len(finer)``."""
    members: int = 1
    size: tuple[int, ...] = ()
    """The grid, where it is the same for all rows; () where rows differ."""
    raw: tuple[int, ...] = ()
    """For each place, where they hold columns as they are, with NaN for gaps: how many codes there are, 0 for a number.
    Only trees read such an encoding. () for all others."""
    sparse: bool = False
    """Whether nearly all numbers are zeros, and who makes them can tell the others alone: its method ``entries``, from
    the same arguments, gives ``nn.entries.Entries``."""
    coded: bool = False
    """Whether encodings have ``code_BL``: each place is one token of a text."""


_NAMES = ("tokens_BLD", "mask_BL", "finer", "code_BL")


def _flatten(z: Encoding) -> tuple[list[object], tuple[object, ...]]:
    return [z.tokens_BLD, z.mask_BL, list(z.finer), z.code_BL], (z.grid, z.members)


def _flatten_with_keys(z: Encoding) -> tuple[list[tuple[_pytree.KeyEntry, object]], tuple[object, ...]]:
    leaves, context = _flatten(z)
    keys: list[_pytree.KeyEntry] = [_pytree.GetAttrKey(name) for name in _NAMES]
    return list(zip(keys, leaves, strict=True)), context


def _unflatten(leaves: "list[object]", context: tuple[object, ...]) -> Encoding:
    tokens, mask, finer, code = leaves
    grid, members = context
    return Encoding(tokens, mask, grid, tuple(finer), members, code_BL=code)  # type: ignore[arg-type]


_pytree.register_pytree_node(
    Encoding,
    _flatten,
    _unflatten,  # type: ignore[arg-type]
    flatten_with_keys_fn=_flatten_with_keys,
    serialized_type_name="trueweight.nn.encoding.Encoding",
)
