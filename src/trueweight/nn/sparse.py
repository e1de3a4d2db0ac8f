"""A mostly empty matrix, multiplied by as many threads as there are.

Shape suffixes in this file:
    R  rows    K  columns    N  stored numbers    M  those of some rows    O  columns of the other factor
"""

import warnings
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
import torch
from torch import Tensor

from trueweight.nn.threads import side_by_side, threads_at_hand

__all__ = ["Sparse"]

PIECE = 2**17
"""Fewest stored numbers that are worth a thread. The matrix library's own threads gain little (5.8 and 5.2 ms on one
and two for 4.4 million numbers and three columns), these up to a half. About as many are turned round at a time: few
enough for the cache."""


@dataclass(frozen=True, slots=True)
class Sparse:
    """A matrix (R, K) in pieces of its rows. What a product is does not depend on how many there are."""

    pieces: tuple[Tensor, ...]
    """Compressed by rows."""

    @classmethod
    def of(cls, count_R: Tensor, place_N: Tensor, value_N: Tensor, columns: int) -> Self:
        """Cut into pieces of about as many numbers.

        Args:
            count_R: int64: stored numbers of each row.
            place_N: int32: their columns.
            value_N: Float: the numbers.
            columns: K.
        """
        start = torch.nn.functional.pad(count_R.cumsum(0), (1, 0))
        number = max(1, min(threads_at_hand(), len(value_N) // PIECE))
        inner = torch.searchsorted(start, torch.arange(1, number) * len(value_N) // number).tolist()
        cuts = pairwise(sorted({0, *inner, len(count_R)})) if len(count_R) else [(0, 0)]
        return cls(tuple(_stretch(start[first : last + 1], place_N, value_N, columns) for first, last in cuts))

    @classmethod
    def flipped(cls, count_R: Tensor, place_N: Tensor, value_N: Tensor, columns: int) -> Self:
        """The same matrix turned round, (K, R): see :meth:`of`.

        Some rows at a time, whose numbers come after those of the rows before them in every column. Ordering 5.6
        million numbers at once took five times as long, most of it for memory that was new.
        """
        count, place, value = count_R.numpy(), place_N.numpy(), value_N.numpy()
        end = np.cumsum(count)
        inner = np.searchsorted(end, np.arange(0, len(place), max(PIECE, 4 * columns)), side="right").tolist()
        blocks = list(pairwise(sorted({0, *inner, len(count)})))
        reach = [slice(int(end[first] - count[first]), int(end[last - 1])) for first, last in blocks]
        counts = side_by_side(lambda at: np.bincount(place[at], minlength=columns), reach)
        count_K = sum(counts, np.zeros(columns, dtype=np.int64))
        start_K = np.cumsum(count_K) - count_K
        shifts = []
        for count_here_K in counts:
            # Where columns start for this block, less where they start within it.
            shifts.append(start_K - np.cumsum(count_here_K) + count_here_K)
            start_K = start_K + count_here_K
        owner_N, turned_N = np.empty_like(place), np.empty_like(value)

        def turn(k: int) -> None:
            (first, last), at = blocks[k], reach[k]
            order_M = _order(place[at])
            to_M = shifts[k][place[at][order_M]]
            to_M += np.arange(len(to_M))
            turned_N[to_M] = value[at][order_M]
            owner_N[to_M] = np.repeat(np.arange(first, last, dtype=np.int32), count[first:last])[order_M]

        side_by_side(turn, range(len(blocks)))
        return cls.of(torch.from_numpy(count_K), torch.from_numpy(owner_N), torch.from_numpy(turned_N), len(count))

    def __matmul__(self, other_KO: Tensor) -> Tensor:
        """The product, (R, O)."""
        # A single column is a vector to the library, which takes half the time.
        other = other_KO[:, 0].contiguous() if other_KO.shape[1] == 1 else other_KO
        found = side_by_side(lambda piece: piece @ other, self.pieces)
        found_RO = found[0] if len(found) == 1 else torch.cat(found)
        return found_RO.view(len(found_RO), other_KO.shape[1])

    def squared(self) -> "Sparse":
        """The same matrix with every number squared."""
        return Sparse(tuple(
            _csr(p.crow_indices(), p.col_indices(), p.values().square(), p.shape[1]) for p in self.pieces
        ))  # fmt: skip


def _stretch(start: Tensor, place_N: Tensor, value_N: Tensor, columns: int) -> Tensor:
    first, last = int(start[0]), int(start[-1])
    return _csr((start - first).int(), place_N[first:last], value_N[first:last], columns)


def _csr(start: Tensor, place_N: Tensor, value_N: Tensor, columns: int) -> Tensor:
    with warnings.catch_warnings():
        # torch calls its sparse matrices a beta; the products used here are tested against dense ones.
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        size = (len(start) - 1, columns)
        return torch.sparse_csr_tensor(start, place_N, value_N, size=size, check_invariants=True)


def _order(place: np.ndarray) -> np.ndarray:
    """What sorts numbers from 0 to 2^31, stable: by their lower, then by their upper halves, since NumPy sorts numbers
    of 16 bits by counting, which takes a tenth of the time."""
    order = np.argsort((place & 0xFFFF).astype(np.uint16), kind="stable")
    if len(place) and int(place.max()) > 0xFFFF:
        order = order[np.argsort((place[order] >> 16).astype(np.uint16), kind="stable")]
    return order
