"""Log-count ratios: which places of a wide problem tell classes apart, so that these are penalised less.

Shape suffixes in this file:
    R  rows of one chunk    P  places of the encoding    D  places stored densely    S  places stored sparsely
    Q  P + 1, the intercept last    C  classes or labels
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from trueweight.nn.design import Chunk
from trueweight.nn.rows import Rows

__all__ = ["penalty_shares"]

SMOOTHING = 1.0
"""Added to what there is of each place in each class. An n-gram that is in a row weighs about 1 there."""

LEAST = 0.01
"""Smallest ratio, as a share of their mean: a place of which both sides have equally much may still be of use beside
others."""


def penalty_shares(train: Iterable[Chunk]) -> Tensor:
    """How strongly each place is penalised in each class, (Q, C), about 1 on average; 0 for the intercept.

        share = mean(|r|) / |r|,    r = log((p / sum p) / (q / sum q))

    with p and q what there is of the place in rows of the class and in the others, smoothed. The mean is weighted by
    places' squares, so that rows keep their mean squared length and strengths their meaning. Places that are ever
    negative are no counts of anything: they have 1.

    Source: Wang and Manning 2012, "Baselines and bigrams: simple, good sentiment and topic classification", section
    2.3, who multiply n-grams by r. Penalising by 1 / |r| is the same as multiplying by the root of |r|.

    Args:
        train: Rows to fit, y being 0/1 for each class. Can be passed over again.
    """
    p_PC = all_P = square_P = least_P = torch.zeros(0)
    for chunk in train:
        weight_R1 = chunk.weight_R.unsqueeze(1)
        found = (
            chunk.x.transposed_times(chunk.y_RO * weight_R1), chunk.x.transposed_times(weight_R1)[:, 0],
            chunk.x.squares_times(weight_R1)[:, 0].double(), _least(chunk.x),
        )  # fmt: skip
        if len(p_PC):
            found = (p_PC + found[0], all_P + found[1], square_P + found[2], torch.minimum(least_P, found[3]))
        p_PC, all_P, square_P, least_P = found
    counts_P = least_P >= 0
    share_PC = torch.ones_like(p_PC)
    share_PC[counts_P] = _shares(p_PC[counts_P], all_P[counts_P], square_P[counts_P])
    return torch.nn.functional.pad(share_PC, (0, 0, 0, 1))


def _shares(p_PC: Tensor, all_P: Tensor, square_P: Tensor) -> Tensor:
    q_PC = (all_P.unsqueeze(1) - p_PC).clamp_min(0) + SMOOTHING
    p_PC = p_PC.clamp_min(0) + SMOOTHING
    ratio_PC = ((p_PC / p_PC.sum(0)).log() - (q_PC / q_PC.sum(0)).log()).abs()
    mean_C = (square_P @ ratio_PC) / square_P.sum().clamp_min(1e-300)
    return mean_C.clamp_min(1e-12) / torch.maximum(ratio_PC, LEAST * mean_C).clamp_min(1e-12)


def _least(x: Rows) -> Tensor:
    """The smallest number of each place, but no more than 0 where some rows have none, (P,)."""
    least_P = torch.zeros(x.width, dtype=torch.float64)
    least_P[x.columns.dense_D] = x.dense_RD.amin(0).double()
    sparse_S = torch.zeros(len(x.columns.sparse_S), dtype=x.value_N.dtype)
    least_P[x.columns.sparse_S] = sparse_S.scatter_reduce(0, x.place_N.long(), x.value_N, "amin").double()
    return least_P
