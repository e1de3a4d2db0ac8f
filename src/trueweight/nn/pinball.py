"""Quantiles of a target, given a row: the loss that they minimise, and the linear model that does so.

Shape suffixes in this file:
    R  rows of one chunk    K  members    P  places of the encoding    T  quantiles
    Q  P + 1, the intercept last
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from trueweight.nn.design import Chunk
from trueweight.nn.rows import few_threads

__all__ = ["STRENGTHS", "pinball_loss", "quantile_path"]

STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4)
"""Of the penalty, strongest first, each starting where the one before ended."""

SMOOTH = 0.05
"""Width of the rounded corner, in standard deviations of what the value model leaves over."""

STEPS, MEMORY = 100, 12
"""Most steps of one strength; steps that the next one looks back on."""

CLOSE = 1e-7
"""Share of the objective by which a step lowers it at least, or it is the last."""


def pinball_loss(z_RKT: Tensor, y_R: Tensor, share_T: Tensor) -> Tensor:
    """Loss that is least, on average, at the quantiles: (R, K), averaged over T.

        share * (y - z) where the truth lies above, (1 - share) * (z - y) where it lies below

    Source: Koenker and Bassett 1978, "Regression Quantiles", Econometrica 46(1).

    Args:
        z_RKT: Predicted quantiles.
        y_R: True.
        share_T: Share of rows below each quantile, in (0, 1).
    """
    above_RKT = y_R[:, None, None] - z_RKT
    return torch.maximum(share_T * above_RKT, (share_T - 1) * above_RKT).mean(2)


def quantile_path(
    train: Iterable[Chunk], validation: Iterable[Chunk], share_T: Tensor, start_QT: Tensor, spread: float
) -> Iterator[tuple[float, float, Tensor]]:
    """Minimise ``sum w pinball(y - x b - c) / sum w + strength / 2 * |b|^2`` for each strength, by products alone.

    The corner of the loss is rounded, which makes it smooth and moves quantiles by little: Fernandes, Guerre and Horta
    2021, "Smoothing quantile regressions", arXiv:1905.08535, here with the logistic kernel. Steps are those of L-BFGS:
    Nocedal and Wright 2006, "Numerical Optimization", algorithm 7.4, on places brought to one scale.

    Args:
        train: Rows to fit; one output, standardised.
        validation: Rows to judge each strength by. Without any, the loss is NaN.
        share_T: Quantiles in (0, 1).
        start_QT: Weights to begin with.
        spread: Of the truth around the value model, > 0.

    Yields:
        (strength, pinball loss on validation, weights (Q, T) float64).
    """
    scale_Q1, wide = _scales(train)
    weight_QT, soft = torch.where(scale_Q1 > 0, start_QT / scale_Q1, 0.0), SMOOTH * spread
    for strength in STRENGTHS:
        penalty_Q1 = strength * scale_Q1.square()
        penalty_Q1[-1] = 0.0

        def evaluate(weight_QT: Tensor, penalty_Q1: Tensor = penalty_Q1) -> tuple[float, Tensor]:
            return _objective(train, weight_QT, scale_Q1, penalty_Q1, share_T, soft)

        with few_threads(wide.x):
            weight_QT = _descend(evaluate, weight_QT)
            loss = _mean_loss(validation, scale_Q1 * weight_QT, share_T)
        yield strength, loss, scale_Q1 * weight_QT


def _scales(design: Iterable[Chunk]) -> tuple[Tensor, Chunk]:
    """One over the root mean square of each place, 1 for the intercept, (Q, 1); and the last chunk."""
    total, sum_P1 = 0.0, torch.zeros(0)
    for chunk in design:
        with few_threads(chunk.x):
            found_P1 = chunk.x.squares_times(chunk.weight_R.unsqueeze(1)).double()
        sum_P1 = sum_P1 + found_P1 if len(sum_P1) else found_P1
        total += float(chunk.weight_R.sum())
    size_P1 = (sum_P1 / total).sqrt()
    scale_P1 = torch.where(size_P1 > 0, 1 / size_P1.clamp_min(1e-150), 0.0)
    return torch.cat([scale_P1, torch.ones(1, 1, dtype=torch.float64)]), chunk


def _objective(
    design: Iterable[Chunk], weight_QT: Tensor, scale_Q1: Tensor, penalty_Q1: Tensor, share_T: Tensor, soft: float
) -> tuple[float, Tensor]:
    """Value and gradient (Q, T) by scaled weights."""
    plain_QT, total, value = scale_Q1 * weight_QT, 0.0, 0.0
    gradient_QT = torch.zeros_like(weight_QT)
    for chunk in design:
        above_RT = chunk.y_RO - _answers(chunk, plain_QT)
        rounded_RT = share_T * above_RT + soft * nn.functional.softplus(-above_RT / soft)
        slope_RT = (torch.sigmoid(-above_RT / soft) - share_T) * chunk.weight_R.unsqueeze(1)
        value += float((rounded_RT.sum(1) * chunk.weight_R).sum())
        total += float(chunk.weight_R.sum())
        gradient_QT[:-1] += chunk.x.transposed_times(slope_RT)
        gradient_QT[-1] += slope_RT.sum(0)
    value = value / total + 0.5 * float((penalty_Q1 * weight_QT.square()).sum())
    return value, scale_Q1 * gradient_QT / total + penalty_Q1 * weight_QT


def _descend(evaluate: Callable[[Tensor], tuple[float, Tensor]], weight: Tensor) -> Tensor:
    """L-BFGS, each step halved until the objective falls."""
    value, gradient = evaluate(weight)
    past: list[tuple[Tensor, Tensor]] = []
    for _ in range(STEPS):
        way, length = _direction(gradient, past), 1.0
        slope = float((way * gradient).sum())
        if not slope < 0:
            return weight
        while length > 1e-6:
            tried = weight + length * way
            found, turned = evaluate(tried)
            if found <= value + 1e-4 * length * slope:
                break
            length /= 2
        else:
            return weight
        moved, bent = tried - weight, turned - gradient
        if float((moved * bent).sum()) > 1e-12 * float(bent.square().sum()):
            past = [*past, (moved, bent)][-MEMORY:]
        gained, weight, value, gradient = value - found, tried, found, turned
        if gained <= CLOSE * abs(value):
            return weight
    return weight


def _direction(gradient: Tensor, past: list[tuple[Tensor, Tensor]]) -> Tensor:
    way, factors = -gradient, []
    for moved, bent in reversed(past):
        factors.append(float((moved * way).sum() / (moved * bent).sum()))
        way = way - factors[-1] * bent
    if past:
        moved, bent = past[-1]
        way = way * float((moved * bent).sum() / bent.square().sum())
    for (moved, bent), factor in zip(past, reversed(factors), strict=True):
        way = way + moved * (factor - float((bent * way).sum() / (moved * bent).sum()))
    return way


def _mean_loss(design: Iterable[Chunk], weight_QT: Tensor, share_T: Tensor) -> float:
    total, value = 0.0, 0.0
    for chunk in design:
        loss_R = pinball_loss(_answers(chunk, weight_QT).unsqueeze(1), chunk.y_RO[:, 0], share_T)[:, 0]
        value += float((loss_R * chunk.weight_R).sum())
        total += float(chunk.weight_R.sum())
    return value / total if total else float("nan")


def _answers(chunk: Chunk, weight_QT: Tensor) -> Tensor:
    return chunk.x.times(weight_QT[:-1]) + weight_QT[-1]
