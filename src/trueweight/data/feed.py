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
    """N of all encoded cases, as tensors over memory-mapped blocks. Nothing is copied until a batch is asked for."""

    rows: Tensor
    """(N,) int64 case numbers of this feed: positions on the first axis of every other tensor here."""
    inputs: Mapping[str, Tensors]
    """By field; first axes run over all cases, of this feed or not."""
    targets: Mapping[str, Tensors]
    """By target; first axes as above, ``present`` among them. Empty for prediction."""
    weight_N: Tensor | None = None
    """Of all cases."""

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def batch(self, index: Tensor) -> Batch:
        """The cases at these positions of the feed, (B,) int64 from 0 to N - 1."""
        return self._gather(self.rows.index_select(0, index))

    def batches(self, size: int) -> Iterator[Batch]:
        """All cases of the feed in order, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield self._gather(self.rows[start : start + size])

    def _gather(self, rows: Tensor) -> Batch:
        return Batch(
            rows,
            {name: _pick(tensors, rows) for name, tensors in self.inputs.items()},
            {name: _pick(tensors, rows) for name, tensors in self.targets.items()},
            None if self.weight_N is None else self.weight_N.index_select(0, rows),
        )


def _pick(tensors: Tensors, rows: Tensor) -> Tensors:
    return {name: t.index_select(0, rows) for name, t in tensors.items()}


def epoch_order(count: int, seed: int, epoch: int) -> Tensor:
    """The order of one epoch, (count,) int64: a permutation that depends on seed and epoch only."""
    return torch.from_numpy(stream(seed, "shuffle", epoch).permutation(count).astype(np.int64))
