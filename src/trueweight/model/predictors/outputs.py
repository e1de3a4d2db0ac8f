"""Outputs of a network's batches: from one device to another, and one batch after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from trueweight.nn.encoding import Tensors

__all__ = ["joined", "on_device"]


def joined(parts: Sequence[Mapping[str, Tensors]]) -> dict[str, Tensors]:
    """Outputs of several batches, by target, one after the other."""
    return {
        name: {key: _end_to_end([part[name][key] for part in parts]) for key in out} for name, out in parts[0].items()
    }


def _end_to_end(parts: list[Tensor]) -> Tensor:
    """Texts whose gaps were filled are as wide as the longest of their batch: zeros stand behind shorter ones."""
    import torch

    widths = {part.shape[1] for part in parts if part.dim() == 2}
    if len(widths) > 1:
        parts = [torch.nn.functional.pad(part, (0, max(widths) - part.shape[1])) for part in parts]
    return torch.cat(parts)


def on_device(device: torch.device, tensors: Tensors) -> Tensors:
    """The same tensors there."""
    return {name: t.to(device) for name, t in tensors.items()}
