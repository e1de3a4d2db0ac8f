"""The waist between reading and answering: encoders give an Encoding, heads take one.

Shape suffixes:
    B  rows * members, member fastest    L  tokens    D  width
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.utils import _pytree

__all__ = ["Encoding", "Form", "Tensors", "lengths_of"]

Tensors: TypeAlias = Mapping[str, Tensor]


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


_NAMES = ("tokens_BLD", "mask_BL", "finer")


def _flatten(z: Encoding) -> tuple[list[object], tuple[object, ...]]:
    return [z.tokens_BLD, z.mask_BL, list(z.finer)], (z.grid, z.members)


def _flatten_with_keys(z: Encoding) -> tuple[list[tuple[_pytree.KeyEntry, object]], tuple[object, ...]]:
    leaves, context = _flatten(z)
    keys: list[_pytree.KeyEntry] = [_pytree.GetAttrKey(name) for name in _NAMES]
    return list(zip(keys, leaves, strict=True)), context


def _unflatten(leaves: "list[object]", context: tuple[object, ...]) -> Encoding:
    tokens, mask, finer = leaves
    grid, members = context
    return Encoding(tokens, mask, grid, tuple(finer), members)  # type: ignore[arg-type]


_pytree.register_pytree_node(
    Encoding,
    _flatten,
    _unflatten,  # type: ignore[arg-type]
    flatten_with_keys_fn=_flatten_with_keys,
    serialized_type_name="trueweight.nn.encoding.Encoding",
)
