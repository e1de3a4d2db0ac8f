"""The rows of a linear problem, once encoded, for as many passes as the solver needs.

Shape suffixes in this file:
    R  rows of one chunk    N  all rows    P  places of the encoding    O  outputs
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from trueweight.nn.encoding import Encoding, Tensors
from trueweight.nn.pooling import pooled

__all__ = ["Chunk", "Design"]

KEEP_BYTES = 512 * 2**20
"""Encoded rows up to this size stay in memory between passes; larger ones are encoded again each time."""

ROWS = 4096
"""Rows of a joined chunk: small enough for the cache, large enough for the products."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Present rows of one batch."""

    x_RP: Tensor
    """float64."""
    y_RO: Tensor
    """float64: values, or 0/1 for each class."""
    weight_R: Tensor
    """float64 >= 0."""


Again = Callable[[], Iterable[tuple[Encoding, Tensors, Tensor | None]]]
"""See ``model.protocols.Again``."""
Answer = Callable[[Tensors], tuple[Tensor, Tensor | None]]
"""One target's tensors to (y_RO, factor_R or None)."""


@dataclass(slots=True)
class Design:
    """Present rows as float64 chunks, kept in memory where they fit."""

    again: Again
    answer: Answer
    _kept: list[Chunk] | None = field(default_factory=list)
    _complete: bool = False

    def __iter__(self) -> Iterator[Chunk]:
        if self._complete and self._kept is not None:
            yield from self._kept
            return
        kept: list[Chunk] = []
        size = 0
        for z, y, weight_R in self.again():
            chunk = self._chunk(z, y, weight_R)
            if not len(chunk.weight_R):
                continue
            size += chunk.x_RP.numel() * 8
            if size <= KEEP_BYTES:
                kept.append(chunk)
            yield chunk
        self._kept, self._complete = (_joined(kept), True) if size <= KEEP_BYTES else (None, True)

    def total(self) -> float:
        """Sum of all weights; 0 when no row is present."""
        return float(sum(float(chunk.weight_R.sum()) for chunk in self))

    def _chunk(self, z: Encoding, y: Tensors, weight_R: Tensor | None) -> Chunk:
        y_RO, factor_R = self.answer(y)
        row_weight_R = torch.ones(len(y_RO), dtype=torch.float64) if weight_R is None else weight_R.double()
        if factor_R is not None:
            row_weight_R = row_weight_R * factor_R.double()
        x_RP = pooled(z)
        if not bool((present_R := y["present"]).all()):
            x_RP, y_RO, row_weight_R = x_RP[present_R], y_RO[present_R], row_weight_R[present_R]
        return Chunk(x_RP.detach().double(), y_RO.double(), row_weight_R)


def _joined(chunks: list[Chunk]) -> list[Chunk]:
    """The same rows in chunks of about :data:`ROWS`, so that small batches cost no more than large ones."""
    joined: list[Chunk] = []
    group: list[Chunk] = []
    for chunk in chunks:
        group.append(chunk)
        if sum(len(c.weight_R) for c in group) >= ROWS:
            joined.append(_cat(group))
            group = []
    return [*joined, _cat(group)] if group else joined


def _cat(group: list[Chunk]) -> Chunk:
    if len(group) == 1:
        return group[0]
    return Chunk(*(torch.cat(parts) for parts in zip(*((c.x_RP, c.y_RO, c.weight_R) for c in group), strict=True)))
