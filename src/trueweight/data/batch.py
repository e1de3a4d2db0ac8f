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
    """B rows. Every tensor's first axis is the row, but for texts that lie end to end (``data.packing``)."""

    rows: Tensor
    """(B,) int64 case numbers: the key for seeds, weights and decoding context."""
    inputs: Mapping[str, Tensors]
    """By field (a group of feature columns that one encoder reads)."""
    targets: Mapping[str, Tensors]
    """By target; each has ``present`` (B,) bool, since a missing label masks only its own target, or none where all
    rows that are trained on have theirs."""
    weight_B: Tensor | None = None
    """float32 >= 0, or None for 1 each."""
    share: Tensor | None = None
    """What the batch's mean loss counts for, a scalar, where batches hold different numbers of rows: its rows over
    those of a usual batch. None for 1."""
    turn_B: Tensor | None = None
    """(B,) int64: a number that each row starts the run with, and that grows by one in every pass; see ``nn.turns``.
    None where nobody asks for it."""


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The same batch on another device."""
    return Batch(
        batch.rows.to(device),
        {name: _moved(tensors, device) for name, tensors in batch.inputs.items()},
        {name: _moved(tensors, device) for name, tensors in batch.targets.items()},
        None if batch.weight_B is None else batch.weight_B.to(device),
        None if batch.share is None else batch.share.to(device),
        None if batch.turn_B is None else batch.turn_B.to(device),
    )


def _moved(tensors: Tensors, device: torch.device) -> Tensors:
    return {name: t.to(device) for name, t in tensors.items()}


_NAMES = ("rows", "inputs", "targets")
_MAYBE = ("weight_B", "share", "turn_B")


def _flatten(batch: Batch) -> tuple[list[object], tuple[str, ...]]:
    leaves: list[object] = [batch.rows, dict(batch.inputs), dict(batch.targets)]
    # What is not there is no leaf: vmap maps over tensors only.
    maybe = zip(_MAYBE, (batch.weight_B, batch.share, batch.turn_B), strict=True)
    there = {name: t for name, t in maybe if t is not None}
    return [*leaves, *there.values()], tuple(there)


def _flatten_with_keys(batch: Batch) -> tuple[list[tuple[_pytree.KeyEntry, object]], tuple[str, ...]]:
    leaves, there = _flatten(batch)
    keys: list[_pytree.KeyEntry] = [_pytree.GetAttrKey(name) for name in (*_NAMES, *there)]
    return list(zip(keys, leaves, strict=True)), there


def _unflatten(leaves: "list[object]", there: tuple[str, ...]) -> Batch:
    return Batch(*leaves[: len(_NAMES)], **dict(zip(there, leaves[len(_NAMES) :], strict=True)))  # type: ignore[arg-type]


_pytree.register_pytree_node(
    Batch,
    _flatten,
    _unflatten,  # type: ignore[arg-type]
    flatten_with_keys_fn=_flatten_with_keys,
    serialized_type_name="trueweight.data.batch.Batch",
)
