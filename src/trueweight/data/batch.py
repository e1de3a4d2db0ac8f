"""One batch: a fixed tree of tensors, so that vmap, export and data-parallel training can carry it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

__all__ = ["Batch", "Tensors"]

Tensors: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows. Every tensor's first axis is the row."""

    rows: Tensor
    """(B,) int64 case numbers: the key for seeds, weights and decoding context."""
    inputs: Mapping[str, Tensors]
    """By field (a group of feature columns that one encoder reads)."""
    targets: Mapping[str, Tensors]
    """By target; each has ``present_B`` (bool): a missing label masks only its own target."""
    weight_B: Tensor | None = None
    """float32 >= 0, or None for 1 each."""
