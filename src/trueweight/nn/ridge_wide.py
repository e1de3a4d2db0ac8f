"""Ridge regression on rows of tens of thousands of places, such as texts, whose normal equations fit no memory.

Shape suffixes in this file:
    R  rows of one chunk    P  places of the encoding    O  outputs
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from trueweight.nn.design import Chunk
from trueweight.nn.rows import few_threads

__all__ = ["STRENGTHS", "wide_ridge_path"]

STRENGTHS = (3.0, 1.0, 0.3, 0.1, 0.03, 1e-2, 3e-3, 1e-3, 1e-4)
"""Per row, strongest first: each starts where the one before ended, and the weakest take longest."""

ROUGH = 1e-4
"""Size of what is left of the equations, as a share of their right side, at which they count as solved."""

STEPS = 200
"""Most steps of one strength."""

HOPELESS = 1.03
"""How much worse than the best loss a strength may be, for weaker ones to be tried."""


def wide_ridge_path(
    train: Iterable[Chunk], validation: Iterable[Chunk], strengths: tuple[float, ...] = STRENGTHS
) -> Iterator[tuple[float, float, Tensor, Tensor]]:
    """Minimise ``sum w (y - x b - c)^2 / sum w + strength * |b|^2`` for each strength, by conjugate gradients.

    Products with the rows are all that is needed: Nocedal and Wright 2006, "Numerical Optimization", section 5.1,
    with the diagonal as preconditioner. The intercept is not penalised. Ends early once losses get worse.

    Args:
        train: Rows to fit.
        validation: Rows to judge each strength by. Without any, the loss is NaN.
        strengths: > 0, descending.
    """
    moments = _moments(train)
    weight_PO = torch.zeros_like(moments.cross_PO)
    best = float("inf")
    for strength in strengths:
        weight_PO = _solve(train, moments, strength, weight_PO)
        bias_O = moments.mean_O - moments.mean_P @ weight_PO
        loss = _loss(validation, weight_PO, bias_O)
        best = min(best, loss)
        yield strength, loss, weight_PO, bias_O
        if loss > HOPELESS * best:
            return


@dataclass(frozen=True, slots=True)
class _Moments:
    total: float
    mean_P: Tensor
    mean_O: Tensor
    variance_P: Tensor
    cross_PO: Tensor
    """Covariances of x and y."""


def _moments(design: Iterable[Chunk]) -> _Moments:
    total = 0.0
    sums: list[Tensor] = []
    for chunk in design:
        weight_R1 = chunk.weight_R.unsqueeze(1)
        weighted_RO = chunk.y_RO * weight_R1
        total += float(chunk.weight_R.sum())
        with few_threads(chunk.x):
            found = (
                chunk.x.transposed_times(weight_R1)[:, 0], weighted_RO.sum(0), chunk.x.squares_times(weight_R1)[:, 0],
                chunk.x.transposed_times(weighted_RO),
            )  # fmt: skip
        sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else list(found)
    mean_P, mean_O, square_P, cross_PO = (s / total for s in sums)
    return _Moments(total, mean_P, mean_O, square_P - mean_P.square(), cross_PO - torch.outer(mean_P, mean_O))


def _solve(design: Iterable[Chunk], moments: _Moments, strength: float, start_PO: Tensor) -> Tensor:
    """``(covariance + strength) b = cross``, all outputs side by side."""
    ease_P1 = 1.0 / (moments.variance_P.clamp_min(0.0) + strength).unsqueeze(1)

    def product(way_PO: Tensor) -> Tensor:
        found_PO = torch.zeros_like(way_PO)
        for chunk in design:
            with few_threads(chunk.x):
                found_PO += chunk.x.transposed_times(chunk.x.times(way_PO) * chunk.weight_R.unsqueeze(1))
        return found_PO / moments.total - torch.outer(moments.mean_P, moments.mean_P @ way_PO) + strength * way_PO

    weight_PO = start_PO.clone()
    rest_PO = moments.cross_PO - product(weight_PO)
    eased_PO = ease_P1 * rest_PO
    way_PO, size_O = eased_PO.clone(), (rest_PO * eased_PO).sum(0)
    enough_O = ROUGH**2 * (moments.cross_PO.square() * ease_P1).sum(0)
    for _ in range(STEPS):
        if bool((size_O <= enough_O).all()):
            break
        bent_PO = product(way_PO)
        bend_O = (way_PO * bent_PO).sum(0)
        length_O = torch.where(bend_O > 0, size_O / bend_O.clamp_min(1e-300), 0.0)
        weight_PO += length_O * way_PO
        rest_PO -= length_O * bent_PO
        eased_PO = ease_P1 * rest_PO
        before_O, size_O = size_O, (rest_PO * eased_PO).sum(0)
        way_PO = eased_PO + torch.where(before_O > 0, size_O / before_O.clamp_min(1e-300), 0.0) * way_PO
    return weight_PO


def _loss(design: Iterable[Chunk], weight_PO: Tensor, bias_O: Tensor) -> float:
    """Weighted mean squared error, averaged over outputs; NaN without rows."""
    total, value = 0.0, 0.0
    for chunk in design:
        error_RO = chunk.x.times(weight_PO) + bias_O - chunk.y_RO
        value += float(chunk.weight_R @ error_RO.square().mean(1))
        total += float(chunk.weight_R.sum())
    return value / total if total else float("nan")
