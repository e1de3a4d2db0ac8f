"""One batch: a fixed tree of tensors, so that vmap, export and data-parallel training can carry it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.utils import _pytree

__all__ = ["Batch", "Tensors", "to_device"]

Tensors: TypeAlias = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows. Every tensor's first axis is the row."""

    rows: Tensor
    """(B,) int64 case numbers: the key for seeds, weights and decoding context."""
    inputs: Mapping[str, Tensors]
    """By field (a group of feature columns that one encoder reads)."""
    targets: Mapping[str, Tensors]
    """By target; each has ``present`` (B,) bool, since a missing label masks only its own target, or none where all
    rows that are trained on have theirs."""
    weight_B: Tensor | None = None
    """float32 >= 0, or None for 1 each."""


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The same batch on another device."""
    return Batch(
        batch.rows.to(device),
        {name: _moved(tensors, device) for name, tensors in batch.inputs.items()},
        {name: _moved(tensors, device) for name, tensors in batch.targets.items()},
        None if batch.weight_B is None else batch.weight_B.to(device),
    )


def _moved(tensors: Tensors, device: torch.device) -> Tensors:
    return {name: t.to(device) for name, t in tensors.items()}


_NAMES = ("rows", "inputs", "targets", "weight_B")


def _flatten(batch: Batch) -> tuple[list[object], bool]:
    leaves: list[object] = [batch.rows, dict(batch.inputs), dict(batch.targets)]
    # Weights that are not there are no leaf: vmap maps over tensors only.
    weighted = batch.weight_B is not None
    return [*leaves, *([batch.weight_B] if weighted else [])], weighted


def _flatten_with_keys(batch: Batch) -> tuple[list[tuple[_pytree.KeyEntry, object]], bool]:
    leaves, weighted = _flatten(batch)
    keys: list[_pytree.KeyEntry] = [_pytree.GetAttrKey(name) for name in _NAMES]
    return list(zip(keys, leaves, strict=False)), weighted


def _unflatten(leaves: "list[object]", weighted: bool) -> Batch:  # noqa: ARG001  # the leaves know it themselves
    return Batch(*leaves)  # type: ignore[arg-type]


_pytree.register_pytree_node(
    Batch,
    _flatten,
    _unflatten,  # type: ignore[arg-type]
    flatten_with_keys_fn=_flatten_with_keys,
    serialized_type_name="trueweight.data.batch.Batch",
)
