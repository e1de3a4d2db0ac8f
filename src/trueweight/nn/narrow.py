"""A linear problem with more places than rows, as one with as many places as rows, which has the same answer.

Shape suffixes in this file:
    R  rows    P  places of the encoding    Q  places that are left, at most R    O  outputs
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from trueweight.nn.design import Chunk
from trueweight.nn.rows import Columns, Rows

__all__ = ["Narrow", "narrowed"]

MOST_ROWS = 3000
"""Rows from which on finding the directions takes longer than it spares."""

QUICK_ROWS = 1000
"""Rows up to which that takes so little time that a quarter fewer places are enough."""


MOST_NUMBERS = 2**26
"""Most rows * places: they are held at once."""

FLAT = 1e-12
"""Share of the largest squared length below which a direction is rounding."""


@dataclass(frozen=True, slots=True)
class Narrow:
    """The same rows in the directions in which training rows differ.

    The best weights of a penalised linear model lie in the span of the training rows (the representer theorem: Hastie,
    Tibshirani and Friedman 2009, section 5.8.2), so nothing is lost by looking at that span alone, and lengths within
    it, on which the penalty rests, stay what they are.
    """

    train: list[Chunk]
    validation: list[Chunk]
    mean_P: Tensor
    direction_PQ: Tensor
    """Orthonormal columns."""

    def widened(self, weight_QO: Tensor, bias_O: Tensor) -> tuple[Tensor, Tensor]:
        """Weights (P, O) and bias of the whole problem from those of the narrow one."""
        weight_PO = self.direction_PQ @ weight_QO
        return weight_PO, bias_O - self.mean_P @ weight_PO


def narrowed(train: Iterable[Chunk], validation: Iterable[Chunk]) -> Narrow | None:
    """The narrow problem; None where there are not clearly fewer rows than places, or columns stored sparsely.

    Args:
        train: Rows to fit; can be passed over again.
        validation: Rows to judge by.
    """
    first = next(iter(train))  # all rows, if they are few
    width = first.x.width
    if first.x.sparse or not _clearly_fewer(len(first), width):
        return None
    chunks = list(train)
    rows = sum(map(len, chunks))
    if not _clearly_fewer(rows, width) or rows * width > MOST_NUMBERS:
        return None
    x_RP = torch.cat([chunk.x.dense_RD for chunk in chunks])
    mean_P = x_RP.mean(0)
    x_RP = x_RP - mean_P
    square_Q, vector_RQ = torch.linalg.eigh(x_RP @ x_RP.t())
    kept_Q = square_Q > FLAT * float(square_Q.max().clamp_min(1e-300))
    # Once more against each other: the shortest directions come out of the products a little askew.
    direction_PQ = torch.linalg.qr(x_RP.t() @ (vector_RQ[:, kept_Q] / square_Q[kept_Q].sqrt()))[0]
    return Narrow(
        [_turned(chunk, mean_P, direction_PQ) for chunk in chunks],
        [_turned(chunk, mean_P, direction_PQ) for chunk in validation],
        mean_P, direction_PQ,
    )  # fmt: skip


def _clearly_fewer(rows: int, width: int) -> bool:
    """Whether there are so few rows that finding the directions is worth its time."""
    return rows <= MOST_ROWS and (2 * rows <= width or (rows <= QUICK_ROWS and 4 * rows <= 3 * width))


def _turned(chunk: Chunk, mean_P: Tensor, direction_PQ: Tensor) -> Chunk:
    z_RQ = (chunk.x.dense_RD - mean_P) @ direction_PQ
    columns = Columns(torch.arange(z_RQ.shape[1]), torch.zeros(0, dtype=torch.int64))
    return Chunk(Rows.of(z_RQ, columns), chunk.y_RO, chunk.weight_R)
