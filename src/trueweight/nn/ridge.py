"""Ridge regression along a path of strengths, from one pass over the rows.

Shape suffixes in this file:
    R  rows of one chunk    P  places of the encoding    O  outputs    S  strengths
"""

from collections.abc import Iterable, Iterator
from itertools import chain

import torch
from torch import Tensor

from trueweight.nn.design import Chunk
from trueweight.nn.narrow import narrowed
from trueweight.nn.ridge_wide import wide_ridge_path
from trueweight.nn.rows import few_threads

__all__ = ["STRENGTHS", "Fit", "ridge_path"]

STRENGTHS = (0.0, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
"""Per row: scikit-learn's ``alpha`` divided by the sum of weights. 0 is least squares."""

Fit = tuple[float, float, Tensor, Tensor]
"""(strength, validation loss, weight (P, O) float64, bias (O,) float64)."""


def ridge_path(
    train: Iterable[Chunk], validation: Iterable[Chunk], strengths: tuple[float, ...] = STRENGTHS
) -> Iterator[Fit]:
    """Minimise ``sum w (y - x b - c)^2 / sum w + strength * |b|^2`` for each strength.

    One pass accumulates the normal equations in float64; their eigenvectors serve the whole path. The intercept
    is not penalised. With strength 0, directions in which the rows do not differ get weight 0 (the pseudo-inverse).
    Where there are more places than rows, the rows' own span is searched; see :mod:`trueweight.nn.narrow`.
    Wide rows go to :func:`~trueweight.nn.ridge_wide.wide_ridge_path`, which has strengths of its own.
    Source: Hastie, Tibshirani and Friedman 2009, "The Elements of Statistical Learning", section 3.4.1.

    Args:
        train: Rows to fit.
        validation: Rows to judge each strength by. Without any, the loss is NaN.
        strengths: >= 0.
    """
    first = next(iter(train))
    if first.x.wide:
        yield from wide_ridge_path(train, validation)
    elif (narrow := narrowed(train, validation)) is not None:
        for strength, loss, weight_QO, bias_O in _path(narrow.train, narrow.validation, strengths):
            yield strength, loss, *narrow.widened(weight_QO, bias_O)
    else:
        yield from _path(train, validation, strengths)


def _path(train: Iterable[Chunk], validation: Iterable[Chunk], strengths: tuple[float, ...]) -> Iterator[Fit]:
    mean_P, mean_O, gram_PP, cross_PO = _moments(train)
    value_P, vector_PP = torch.linalg.eigh(gram_PP)
    turned_PO = vector_PP.t() @ cross_PO
    floor = float(value_P.max().clamp_min(0.0)) * len(value_P) * torch.finfo(torch.float64).eps if len(value_P) else 0.0
    weights = []
    for strength in strengths:
        inverse_P = torch.where(value_P > floor, 1.0 / (value_P.clamp_min(floor) + strength), 0.0)
        weights.append(vector_PP @ (inverse_P.unsqueeze(1) * turned_PO))
    weight_SPO = torch.stack(weights)
    bias_SO = mean_O - mean_P @ weight_SPO
    losses = _losses(validation, weight_SPO, bias_SO)
    for s, strength in enumerate(strengths):
        yield strength, float(losses[s]), weight_SPO[s], bias_SO[s]


def _moments(design: Iterable[Chunk]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weighted means of x and y, and covariances of x with x and with y."""
    # Sums are taken about the first chunk's means, so that nothing cancels when a column is far from zero; columns
    # stored sparsely are mostly zero.
    chunks = iter(design)
    first = next(chunks)
    dense_D = first.x.columns.dense_D
    shift_D, shift_O = first.x.dense_RD.mean(0), first.y_RO.mean(0)
    shift_P = shift_D.new_zeros(first.x.width)
    shift_P[dense_D] = shift_D
    total, sum_P, sum_O = 0.0, torch.zeros_like(shift_P), torch.zeros_like(shift_O)
    gram_PP = sum_P.new_zeros(len(sum_P), len(sum_P))
    cross_PO = sum_P.new_zeros(len(sum_P), len(sum_O))
    for chunk in chain([first], chunks):
        x = chunk.x.shifted(shift_D)
        weighted_RO = (chunk.y_RO - shift_O) * chunk.weight_R.unsqueeze(1)
        total += float(chunk.weight_R.sum())
        sum_O += weighted_RO.sum(0)
        with few_threads(x):
            sum_P += x.transposed_times(chunk.weight_R.unsqueeze(1))[:, 0]
            gram_PP += x.gram(chunk.weight_R)
            cross_PO += x.transposed_times(weighted_RO)
    mean_P, mean_O = sum_P / total, sum_O / total
    gram_PP = gram_PP / total - torch.outer(mean_P, mean_P)
    return mean_P + shift_P, mean_O + shift_O, gram_PP, cross_PO / total - torch.outer(mean_P, mean_O)


def _losses(design: Iterable[Chunk], weight_SPO: Tensor, bias_SO: Tensor) -> Tensor:
    """Weighted mean squared error of each fit, (S,), averaged over outputs; NaN without rows."""
    strengths, places, outputs = weight_SPO.shape
    total, sums_S = 0.0, weight_SPO.new_zeros(strengths)
    weight_PSO = weight_SPO.transpose(0, 1).reshape(places, strengths * outputs)
    for chunk in design:
        answer_RSO = chunk.x.times(weight_PSO).view(-1, strengths, outputs) + bias_SO
        error_RSO = answer_RSO - chunk.y_RO.unsqueeze(1)
        sums_S += chunk.weight_R @ error_RSO.square().mean(2)
        total += float(chunk.weight_R.sum())
    return sums_S / total if total else sums_S * torch.nan
