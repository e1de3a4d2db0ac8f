"""The rows of a linear problem, once encoded, for as many passes as the solver needs.

Shape suffixes in this file:
    R  rows of one chunk    P  places of the encoding    O  outputs
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trueweight.nn.encoding import Encoding, Tensors
from trueweight.nn.entries import Entries
from trueweight.nn.pooling import pooled
from trueweight.nn.rows import Columns, Rows

__all__ = ["Chunk", "Design", "Ended", "Enough"]

KEEP_BYTES = 256 * 2**20
"""Encoded rows up to this size stay in memory between passes; larger ones are encoded again each time."""

FIRST_BYTES = 128 * 2**20
"""Of a first pass, which cannot know how much is to come, no more is kept: else rows that are far too many would fill
memory, and leave holes in it, before they are let go. Of sparse rows half of it is held: what is counted has the
transposed copy, which that pass does not make."""

ROWS = 4096
"""Rows of a joined chunk: small enough for the cache, large enough for the products."""

SPARSE_ROWS = 65536
"""The same for rows that are mostly stored sparsely, of which more fit the cache."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some present rows."""

    x: Rows
    """(R, P), float64."""
    y_RO: Tensor
    """float64: values, or 0/1 for each class."""
    weight_R: Tensor
    """float64 >= 0."""

    def __len__(self) -> int:
        return len(self.weight_R)


Again = Callable[[], Iterable[tuple[Encoding | Entries, Tensors, Tensor | None]]]
"""See ``model.protocols.Again``."""
Answer = Callable[[Tensors], tuple[Tensor, Tensor | None]]
"""One target's tensors to (y_RO, factor_R or None)."""


Enough = Callable[[], bool]
"""See ``model.protocols.Enough``."""


class Ended(Exception):  # noqa: N818  # nothing went wrong
    """There has been enough: whoever passes over the rows is to give up what it is looking for."""


@dataclass(slots=True)
class Design:
    """Present rows as chunks, mostly empty columns stored sparsely, kept in memory where they fit.

    Every pass gives the same chunks in the same order.

    Raises:
        Ended: A pass is begun, and there has been enough.
    """

    again: Again
    answer: Answer
    enough: Enough | None = None
    _columns: Columns | None = None
    _kept: list[Chunk] | None = None
    _bytes: int | None = None
    """Of all chunks; None before the first whole pass."""

    def __iter__(self) -> Iterator[Chunk]:
        if self.enough is not None and self.enough():
            raise Ended
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[Chunk] | None = [] if self._bytes is None or self._bytes <= KEEP_BYTES else None
        most = FIRST_BYTES if self._bytes is None else KEEP_BYTES
        size = 0
        for chunk, last in _joined(self._read()):
            size += chunk.x.bytes
            if size > most:
                kept = None
            if kept is not None:
                kept.append(chunk)
            if last:  # already now: who only looks at the first chunk, which may be all there is, has passed over it
                self._kept, self._bytes = kept, size
            yield chunk
        self._kept, self._bytes = kept, size

    def _read(self) -> Iterator[Chunk]:
        for z, y, weight_R in self.again():
            chunk = self._chunk(z, y, weight_R)
            if len(chunk):
                yield chunk

    def _chunk(self, z: Encoding | Entries, y: Tensors, weight_R: Tensor | None) -> Chunk:
        y_RO, factor_R = self.answer(y)
        row_weight_R = torch.ones(len(y_RO), dtype=torch.float64) if weight_R is None else weight_R.double()
        if factor_R is not None:
            row_weight_R = row_weight_R * factor_R.double()
        x = z if isinstance(z, Entries) else pooled(z).detach()
        if not bool((present_R := y["present"]).all()):
            x = x.take(present_R) if isinstance(x, Entries) else x[present_R]
            y_RO, row_weight_R = y_RO[present_R], row_weight_R[present_R]
        if self._columns is None and len(x):
            self._columns = Columns.of(x)
        return Chunk(Rows.of(x, self._columns or Columns.of(x)), y_RO.double(), row_weight_R)


def _joined(chunks: Iterable[Chunk]) -> Iterator[tuple[Chunk, bool]]:
    """The same rows in chunks of about :data:`ROWS`, so that small batches cost no more than large ones; and whether a
    chunk is known to be the last."""
    group: list[Chunk] = []
    for chunk in chunks:
        group.append(chunk)
        if sum(map(len, group)) >= (SPARSE_ROWS if _mostly_sparse(chunk.x) else ROWS):
            yield _cat(group), False
            group = []
    if group:
        yield _cat(group), True


def _mostly_sparse(x: Rows) -> bool:
    return len(x.columns.dense_D) * SPARSE_ROWS <= x.width * ROWS


def _cat(group: Sequence[Chunk]) -> Chunk:
    if len(group) == 1:
        return group[0]
    y_RO, weight_R = torch.cat([c.y_RO for c in group]), torch.cat([c.weight_R for c in group])
    return Chunk(Rows.cat([c.x for c in group]), y_RO, weight_R)
