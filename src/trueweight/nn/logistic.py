"""Logistic regression along a path of strengths, by Newton's method or L-BFGS.

Shape suffixes in this file:
    R  rows of one chunk    P  places of the encoding    Q  P + 1, the intercept last    C  classes or labels
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from trueweight.nn.design import Chunk, Design
from trueweight.nn.ridge import Fit

__all__ = ["STRENGTHS", "logistic_path"]

STRENGTHS = (1.0, 0.1, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)
"""Strongest first, each starting where the one before ended. Per row: ``1 / (C * sum of weights)`` for
scikit-learn's ``C``."""

Link = Literal["sigmoid", "softmax"]

NEWTON_FLOPS = 2e9
"""Most rows * places^2 for which a Hessian is cheaper than more steps of L-BFGS, measured on two cores."""


def logistic_path(
    train: Design, validation: Design, link: Link, strengths: tuple[float, ...] = STRENGTHS
) -> Iterator[Fit]:
    """Minimise ``sum w loss(x b + c, y) / sum w + strength / 2 * |b|^2`` for each strength, warm-started.

    The loss is cross entropy: of one class among C ("softmax"), or of C independent labels ("sigmoid"). The
    intercept is not penalised. Stops early once two strengths in a row were worse than the best on validation.
    Newton's method: Hastie, Tibshirani and Friedman 2009, section 4.4.1; L-BFGS: Liu and Nocedal 1989.

    Args:
        train: Rows to fit, y being 0/1 for each class.
        validation: Rows to judge each strength by. Without any, the loss is NaN.
        link: See above.
        strengths: > 0, descending.
    """
    first = next(iter(train))
    places, classes = first.x_RP.shape[1], first.y_RO.shape[1]
    rows = sum(len(chunk.weight_R) for chunk in train)
    newton = link == "sigmoid" and classes == 1 and rows * places**2 <= NEWTON_FLOPS
    total = train.total()
    weight_QC = torch.zeros(places + 1, classes, dtype=torch.float64)
    best, worse = float("inf"), 0
    for strength in strengths:
        weight_QC = (
            _newton(train, total, weight_QC, strength)
            if newton
            else _lbfgs(train, total, weight_QC, strength, link)
        )
        loss = _mean_loss(validation, weight_QC, link)
        worse = worse + 1 if loss > best else 0
        best = min(best, loss)
        yield strength, loss, weight_QC[:-1], weight_QC[-1]
        if worse == 2:
            return


def _newton(design: Design, total: float, weight_QC: Tensor, strength: float) -> Tensor:
    """Newton's steps, halved until the objective falls. One output."""
    penalty_Q = torch.full((len(weight_QC),), strength, dtype=torch.float64)
    penalty_Q[-1] = 0.0
    value, gradient_Q, hessian_QQ = _newton_sums(design, total, weight_QC, penalty_Q)
    for _ in range(30):
        step_Q: Tensor = torch.linalg.solve(hessian_QQ, gradient_Q)
        if float(step_Q @ gradient_Q) < 1e-10:
            return weight_QC - step_Q.unsqueeze(1)
        length = 1.0
        while length > 1e-4:
            tried_QC = weight_QC - length * step_Q.unsqueeze(1)
            found = _newton_sums(design, total, tried_QC, penalty_Q)
            if found[0] <= value:
                break
            length /= 2
        else:
            return weight_QC
        weight_QC, (value, gradient_Q, hessian_QQ) = tried_QC, found
    return weight_QC


def _newton_sums(design: Design, total: float, weight_QC: Tensor, penalty_Q: Tensor) -> tuple[float, Tensor, Tensor]:
    """Objective, gradient (Q,) and Hessian (Q, Q). The Hessian's products run in float32: the gradient, which alone
    decides where the minimum lies, is exact."""
    places = len(weight_QC) - 1
    value, gradient_Q = 0.0, torch.zeros_like(penalty_Q)
    hessian_QQ = torch.zeros(places + 1, places + 1, dtype=torch.float64)
    for chunk in design:
        z_RC = _logits(chunk, weight_QC)
        value += float((_row_loss(z_RC, chunk.y_RO, "sigmoid") * chunk.weight_R).sum())
        p_R = torch.sigmoid(z_RC[:, 0])
        error_R = (p_R - chunk.y_RO[:, 0]) * chunk.weight_R
        gradient_Q[:-1] += error_R @ chunk.x_RP
        gradient_Q[-1] += error_R.sum()
        curve_R = p_R * (1 - p_R) * chunk.weight_R
        half_RP = (chunk.x_RP * curve_R.sqrt().unsqueeze(1)).float()
        hessian_QQ[:-1, :-1] += (half_RP.t() @ half_RP).double()
        hessian_QQ[-1, :-1] += curve_R @ chunk.x_RP
        hessian_QQ[-1, -1] += curve_R.sum()
    hessian_QQ[:-1, -1] = hessian_QQ[-1, :-1]
    weight_Q = weight_QC[:, 0]
    value = value / total + 0.5 * float((penalty_Q * weight_Q.square()).sum())
    # The small ridge keeps separable classes solvable; it lengthens the way, not the destination.
    hessian_QQ = hessian_QQ / total + torch.diag(penalty_Q + 1e-10)
    return value, gradient_Q / total + penalty_Q * weight_Q, hessian_QQ


def _lbfgs(design: Design, total: float, weight_QC: Tensor, strength: float, link: Link) -> Tensor:
    """L-BFGS with a strong Wolfe line search; gradients by formula."""
    parameter_QC = weight_QC.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [parameter_QC], max_iter=200, tolerance_grad=1e-5, tolerance_change=1e-9, history_size=20,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> Tensor:
        with torch.no_grad():
            at_QC = parameter_QC.detach()
            value = at_QC.new_zeros(())
            gradient_QC = torch.zeros_like(at_QC)
            for chunk in design:
                z_RC = _logits(chunk, at_QC)
                value += (_row_loss(z_RC, chunk.y_RO, link) * chunk.weight_R).sum()
                p_RC = torch.sigmoid(z_RC) if link == "sigmoid" else torch.softmax(z_RC, dim=1)
                error_RC = (p_RC - chunk.y_RO) * chunk.weight_R.unsqueeze(1)
                gradient_QC[:-1] += chunk.x_RP.t() @ error_RC
                gradient_QC[-1] += error_RC.sum(0)
            gradient_QC /= total
            gradient_QC[:-1] += strength * at_QC[:-1]
            parameter_QC.grad = gradient_QC
            return value / total + 0.5 * strength * at_QC[:-1].square().sum()

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    return parameter_QC.detach()


def _mean_loss(design: Design, weight_QC: Tensor, link: Link) -> float:
    total, value = 0.0, 0.0
    for chunk in design:
        value += float((_row_loss(_logits(chunk, weight_QC), chunk.y_RO, link) * chunk.weight_R).sum())
        total += float(chunk.weight_R.sum())
    return value / total if total else float("nan")


def _logits(chunk: Chunk, weight_QC: Tensor) -> Tensor:
    return torch.addmm(weight_QC[-1], chunk.x_RP, weight_QC[:-1])


def _row_loss(z_RC: Tensor, y_RC: Tensor, link: Link) -> Tensor:
    if link == "sigmoid":
        loss_RC: Tensor = nn.functional.binary_cross_entropy_with_logits(z_RC, y_RC, reduction="none")
        return loss_RC.sum(1)
    return torch.logsumexp(z_RC, dim=1) - (z_RC * y_RC).sum(1)
