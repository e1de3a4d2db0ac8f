"""Encoded rows as batches: one gather per tensor, no Python per row."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trueweight.data.batch import Batch, Tensors
from trueweight.seeds import stream

__all__ = ["Feed", "epoch_order"]


@dataclass(frozen=True, slots=True)
class Feed:
    """N encoded cases, as tensors over memory-mapped blocks."""

    rows: Tensor
    """(N,) int64 case numbers."""
    inputs: Mapping[str, Tensors]
    """By field; first axes N."""
    targets: Mapping[str, Tensors]
    """By target; first axes N, ``present`` among them. Empty for prediction."""
    weight_N: Tensor | None = None

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def batch(self, index: Tensor) -> Batch:
        """The cases at these positions, (B,) int64."""
        pick = lambda tensors: {name: t.index_select(0, index) for name, t in tensors.items()}  # noqa: E731
        return Batch(
            self.rows.index_select(0, index),
            {name: pick(tensors) for name, tensors in self.inputs.items()},
            {name: pick(tensors) for name, tensors in self.targets.items()},
            None if self.weight_N is None else self.weight_N.index_select(0, index),
        )

    def batches(self, size: int) -> Iterator[Batch]:
        """All cases in order, ``size`` at a time, as views where the memory allows."""
        for start in range(0, len(self), size):
            cut = slice(start, start + size)
            yield Batch(
                self.rows[cut],
                {name: {key: t[cut] for key, t in tensors.items()} for name, tensors in self.inputs.items()},
                {name: {key: t[cut] for key, t in tensors.items()} for name, tensors in self.targets.items()},
                None if self.weight_N is None else self.weight_N[cut],
            )


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """The order of one epoch, (count,) int64: a permutation that depends on seed and epoch only."""
    return torch.from_numpy(stream(seed, "shuffle", epoch).permutation(count).astype(np.int64))
