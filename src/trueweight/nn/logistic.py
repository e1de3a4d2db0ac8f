"""Logistic regression along a path of strengths, by Newton's method.

Shape suffixes in this file:
    R  rows of one chunk    P  places of the encoding    Q  P + 1, the intercept last    C  classes or labels
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from trueweight.nn.design import Chunk
from trueweight.nn.narrow import narrowed
from trueweight.nn.ratios import penalty_shares
from trueweight.nn.ridge import Fit
from trueweight.nn.rows import Rows, few_threads

__all__ = ["STRENGTHS", "logistic_path"]

STRENGTHS = (1.0, 0.1, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)
"""Strongest first, each starting where the one before ended. Per row: ``1 / (C * sum of weights)`` for
scikit-learn's ``C``."""

WIDE_STRENGTHS = (1.0, 0.1, 0.03, 0.01, 5e-3, 2.5e-3, 1e-3, 3e-4, 1e-4, 1e-5)
"""The same for texts and the like, which have more places than rows: where the best one is, steps are smaller."""

HOPELESS = 1.005
"""How much worse than the best loss on validation a strength may be for wide problems; then weaker ones, which take
longest, are not tried: the loss changes smoothly with the strength. On clothing-reviews the strength behind the best
was 1.4 % worse, and the next one 8 % for four tenths of the whole path's time."""

Link = Literal["sigmoid", "softmax"]

NEWTON_FLOPS = 2e9
"""Most rows * places^2 for which a Hessian is cheaper than many products with it, measured on two cores."""

EIGEN_FLOPS = 2e10
"""Most rows * places^2 for which eigenvectors of the rows' products are worth their price: they are found once."""

EIGEN_PLACES = 3000
"""Most places for which they are found for more rows too, up to eight for each place: finding them costs more than the
products then, and columns that go together, as a rocket's do, need them."""

CURVE_BYTES = 128 * 2**20
"""Probabilities of all rows up to this size are remembered for products with the Hessian, else computed again."""

CLOSE = 1e-8
"""Newton's decrement, twice the distance of the objective from its minimum, at which a step is the last. That step
leaves about a hundredth of it, or nothing if it is exact."""

CLOSE_WIDE = 1e-3
"""The same for wide problems, for which steps cost more and validation sees less of them. Of the whole path, 1e-4 took
155, 129 and 341 products with the Hessian on reviews in 5, 2 and 18 classes, 1e-3 took 90, 89 and 154, and the losses
on validation were the same to 0.0002, 0.0001 and 0.0008; neighbours on the path differ by 0.005 to 0.5."""

CLOSE_FEW = 1e-6
"""The same for narrow problems, which have as many places as rows. Of 416 sounds in 52 classes, whose 641 places are
looked at as 415, with products in float32 the whole path took 1.19 processor seconds instead of 4.75, and the losses on
validation were the same to 2 in 10,000."""

FARTHEST = 2.0
"""Most of the way between the last two points of a path that is gone on straight."""

ROUGH = 0.1
"""How far steps by conjugate gradients may be from Newton's, as a share of the gradient."""

ROUGH_WIDE = 0.3
"""The same for wide problems: shorter ways to more steps took a third less time on reviews in 19 classes."""

Point = tuple[float, Tensor, Callable[[], Tensor]]
"""Objective, gradient (Q, C), and what computes Newton's step (Q, C) there."""


def logistic_path(
    train: Iterable[Chunk], validation: Iterable[Chunk], link: Link, strengths: tuple[float, ...] | None = None
) -> Iterator[Fit]:
    """Minimise ``sum w loss(x b + c, y) / sum w + strength / 2 * |b|^2`` for each strength, warm-started.

    The loss is cross entropy: of one class among C ("softmax"), or of C independent labels ("sigmoid"). The
    intercept is not penalised. Stops early once two strengths in a row were worse than the best on validation.
    Newton's method: Hastie, Tibshirani and Friedman 2009, section 4.4.1. Where the Hessian would be too large, its
    step is found by preconditioned conjugate gradients: Nocedal and Wright 2006, section 7.1. Where there are more
    places than rows, the rows' own span is searched; see :mod:`trueweight.nn.narrow`. Of wide problems, places that
    tell the classes apart are penalised less; see :mod:`trueweight.nn.ratios`.

    Args:
        train: Rows to fit, y being 0/1 for each class.
        validation: Rows to judge each strength by. Without any, the loss is NaN.
        link: See above.
        strengths: > 0, descending; None takes those that suit the number of places.
    """
    if (narrow := narrowed(train, validation)) is not None:
        for strength, loss, weight_QC, bias_C in _path(narrow.train, narrow.validation, link, strengths, few=True):
            yield strength, loss, *narrow.widened(weight_QC, bias_C)
    else:
        yield from _path(train, validation, link, strengths)


def _path(
    train: Iterable[Chunk], validation: Iterable[Chunk], link: Link, strengths: tuple[float, ...] | None,
    *, few: bool = False,
) -> Iterator[Fit]:  # fmt: skip
    problem, places, classes, chunk = _looked_at(train, link, few=few)
    whole, wide = problem.whole, chunk.x.wide
    points = [(math.inf, torch.zeros(places + 1, classes, dtype=torch.float64))]
    best, worse = math.inf, 0
    with few_threads(chunk.x):
        share_QC = penalty_shares(train) if wide else _alike(places)
    for strength in strengths or (WIDE_STRENGTHS if wide else STRENGTHS):
        penalty_QC = strength * share_QC
        with few_threads(chunk.x):
            start_QC = _onward(points, strength)
            evaluate = _whole(problem, penalty_QC[:, 0]) if whole else _by_products(problem, penalty_QC, start_QC)
            weight_QC = _newton(evaluate, start_QC, problem.close)
            loss = _mean_loss(validation, weight_QC, link)
        points = [points[-1], (strength, weight_QC)]
        worse = worse + 1 if loss > best else 0
        best = min(best, loss)
        yield strength, loss, weight_QC[:-1], weight_QC[-1]
        if worse == 2 or (wide and loss > HOPELESS * best):
            return


def _onward(points: Sequence[tuple[float, Tensor]], strength: float) -> Tensor:
    """Where to look for the next point: straight on from the last two, by the logarithm of the strength. Solving
    reviews in 5, 2 and 18 classes took 83, 60 and 104 products with the Hessian so, 90, 89 and 154 from the last. Of 30
    made-up narrow problems, from noise to classes far apart, 29 took as many steps or fewer, one 32 instead of 29."""
    last, weight_QC = points[-1]
    if len(points) == 1:
        return weight_QC
    before, weight_before_QC = points[-2]
    # From the beginning, where the strength is infinite, no way is known: the share is 0 then.
    if not before > last > strength > 0:
        return weight_QC
    share = (math.log(strength) - math.log(last)) / (math.log(last) - math.log(before))
    return weight_QC + min(share, FARTHEST) * (weight_QC - weight_before_QC)


def _alike(places: int) -> Tensor:
    """All places penalised alike, the intercept not at all, (Q, 1)."""
    share_Q1 = torch.ones(places + 1, 1, dtype=torch.float64)
    share_Q1[-1] = 0.0
    return share_Q1


def _looked_at(train: Iterable[Chunk], link: Link, *, few: bool) -> "tuple[_Problem, int, int, Chunk]":
    """What is to be solved and how; places, classes, and the last chunk."""
    rows, total = 0, 0.0
    for chunk in train:
        rows, total = rows + len(chunk), total + float(chunk.weight_R.sum())
    places, classes, sparse = chunk.x.width, chunk.y_RO.shape[1], chunk.x.sparse
    whole = link == "sigmoid" and classes == 1 and not sparse and rows * places**2 <= NEWTON_FLOPS
    worth = rows * places**2 <= EIGEN_FLOPS or (places <= EIGEN_PLACES and rows <= 8 * places)
    turn = _eigen(train, total) if worth and not whole and not sparse else None
    close, rough = (CLOSE_WIDE, ROUGH_WIDE) if chunk.x.wide else (CLOSE_FEW, ROUGH_WIDE) if few else (CLOSE, ROUGH)
    problem = _Problem(train, total, link, rows * classes * 8 <= CURVE_BYTES, turn, whole, close, rough)
    return problem, places, classes, chunk


@dataclass(frozen=True, slots=True)
class _Problem:
    """What stays the same along a path."""

    design: Iterable[Chunk]
    total: float
    link: Link
    remember: bool
    turn: tuple[Tensor, Tensor] | None
    """Eigenvalues (Q,) and eigenvectors (Q, Q) of ``x.T @ diag(weight) @ x / total``, where they are cheap."""
    whole: bool
    """Whether the Hessian itself is made."""
    close: float
    """See :data:`CLOSE`."""
    rough: float
    """See :data:`ROUGH`."""


def _newton(evaluate: Callable[[Tensor], Point], weight_QC: Tensor, close: float) -> Tensor:
    """Newton's steps, halved until the objective falls."""
    value, gradient_QC, step_at = evaluate(weight_QC)
    for _ in range(30):
        step_QC = step_at()
        decrement = float((step_QC * gradient_QC).sum())
        if not decrement > 0:  # rounding has eaten up what way down there was
            return weight_QC
        if decrement < close:
            return weight_QC - step_QC
        length = 1.0
        while length > 1e-4:
            tried_QC = weight_QC - length * step_QC
            found = evaluate(tried_QC)
            if found[0] <= value:
                break
            length /= 2
        else:
            return weight_QC
        weight_QC, (value, gradient_QC, step_at) = tried_QC, found
    return weight_QC


def _whole(problem: _Problem, penalty_Q: Tensor) -> Callable[[Tensor], Point]:
    """Points whose step comes from the Hessian itself: one output, all columns dense. The Hessian's products run in
    float32: the gradient, which alone decides where the minimum lies, is exact."""

    def evaluate(weight_QC: Tensor) -> Point:
        places = len(weight_QC) - 1
        value, gradient_Q = 0.0, torch.zeros_like(penalty_Q)
        hessian_QQ = torch.zeros(places + 1, places + 1, dtype=torch.float64)
        for chunk in problem.design:
            x_RP, z_RC = chunk.x.dense_RD, _logits(chunk, weight_QC)
            value += float((_row_loss(z_RC, chunk.y_RO, "sigmoid") * chunk.weight_R).sum())
            p_R = torch.sigmoid(z_RC[:, 0])
            error_R = (p_R - chunk.y_RO[:, 0]) * chunk.weight_R
            gradient_Q[:-1] += error_R @ x_RP
            gradient_Q[-1] += error_R.sum()
            curve_R = p_R * (1 - p_R) * chunk.weight_R
            half_RP = (x_RP * curve_R.sqrt().unsqueeze(1)).float()
            hessian_QQ[:-1, :-1] += (half_RP.t() @ half_RP).double()
            hessian_QQ[-1, :-1] += curve_R @ x_RP
            hessian_QQ[-1, -1] += curve_R.sum()
        hessian_QQ[:-1, -1] = hessian_QQ[-1, :-1]
        weight_Q = weight_QC[:, 0]
        value = value / problem.total + 0.5 * float((penalty_Q * weight_Q.square()).sum())
        # The small ridge keeps separable classes solvable; it lengthens the way, not the destination.
        hessian_QQ = hessian_QQ / problem.total + torch.diag(penalty_Q + 1e-10)
        gradient_QC = (gradient_Q / problem.total + penalty_Q * weight_Q).unsqueeze(1)
        return value, gradient_QC, lambda: _solved(problem, hessian_QQ, weight_QC, penalty_Q, gradient_QC)

    return evaluate


def _solved(problem: _Problem, rough_QQ: Tensor, weight_QC: Tensor, penalty_Q: Tensor, gradient_QC: Tensor) -> Tensor:
    """Newton's step. Where columns are nearly collinear or their values are huge, float32 may leave a Hessian that is
    not positive definite, whose step may lead up: then it is computed again in float64, and its eigenvalues are kept
    above what rounding makes of zero."""
    root_QQ, failed = torch.linalg.cholesky_ex(rough_QQ)
    if not int(failed):
        return torch.cholesky_solve(gradient_QC, root_QQ)
    exact_QQ = torch.diag(penalty_Q + 1e-10)
    for chunk in problem.design:
        x_RQ = torch.nn.functional.pad(chunk.x.dense_RD, (0, 1), value=1.0)
        p_R = torch.sigmoid(_logits(chunk, weight_QC)[:, 0])
        half_RQ = x_RQ * (p_R * (1 - p_R) * chunk.weight_R / problem.total).sqrt().unsqueeze(1)
        exact_QQ += half_RQ.t() @ half_RQ
    # Equal diagonals first: a column of huge values must not drown the others.
    scale_Q1 = exact_QQ.diagonal().rsqrt().unsqueeze(1)
    value_Q, vector_QQ = torch.linalg.eigh(scale_Q1 * exact_QQ * scale_Q1.t())
    value_Q1 = value_Q.clamp_min(float(value_Q[-1]) * len(value_Q) * 1e-15).unsqueeze(1)
    step_QC: Tensor = scale_Q1 * (vector_QQ @ ((vector_QQ.t() @ (scale_Q1 * gradient_QC)) / value_Q1))
    return step_QC


def _by_products(problem: _Problem, penalty_QC: Tensor, start_QC: Tensor) -> Callable[[Tensor], Point]:
    """Points whose step needs products with the Hessian only. They are eased by what it is roughly at
    ``start_QC``."""
    ridge_QC = penalty_QC + 1e-10
    ease = _eased(problem, start_QC, ridge_QC)

    def evaluate(weight_QC: Tensor) -> Point:
        value, gradient_QC = 0.0, torch.zeros_like(weight_QC)
        remembered: list[Tensor] = []
        for chunk in problem.design:
            z_RC = _logits(chunk, weight_QC)
            value += float((_row_loss(z_RC, chunk.y_RO, problem.link) * chunk.weight_R).sum())
            p_RC = _probability(z_RC, problem.link)
            if problem.remember:
                remembered.append(p_RC)
            _add(gradient_QC, chunk.x, (p_RC - chunk.y_RO) * chunk.weight_R.unsqueeze(1))
        value = value / problem.total + 0.5 * float((penalty_QC * weight_QC.square()).sum())
        gradient_QC = gradient_QC / problem.total + penalty_QC * weight_QC

        def product(way_QC: Tensor) -> Tensor:
            found_QC = torch.zeros_like(way_QC)
            for k, chunk in enumerate(problem.design):
                p_RC = remembered[k] if remembered else _probability(_logits(chunk, weight_QC), problem.link)
                _add(found_QC, chunk.x.rough, _bent(chunk, p_RC, way_QC, problem.link))
            return found_QC / problem.total + ridge_QC * way_QC

        return value, gradient_QC, lambda: _conjugate(product, gradient_QC, ease, problem.rough)

    return evaluate


def _conjugate(
    product: Callable[[Tensor], Tensor], gradient_QC: Tensor, ease: Callable[[Tensor], Tensor], rough: float
) -> Tensor:
    """The step s with ``product(s) = gradient``, nearly: see :data:`ROUGH` for ``rough``."""
    step_QC, rest_QC = torch.zeros_like(gradient_QC), gradient_QC.clone()
    eased_QC = ease(rest_QC)
    way_QC, size = eased_QC.clone(), float((rest_QC * eased_QC).sum())
    enough = max(size * rough**2, 1e-24)
    for _ in range(200):
        if size <= enough:
            break
        bent_QC = product(way_QC)
        if not (bend := float((way_QC * bent_QC).sum())) > 0:  # flat but for rounding
            break
        length = size / bend
        step_QC += length * way_QC
        rest_QC -= length * bent_QC
        eased_QC = ease(rest_QC)
        before, size = size, float((rest_QC * eased_QC).sum())
        way_QC = eased_QC + size / before * way_QC
    return step_QC


def _eased(problem: _Problem, weight_QC: Tensor, ridge_QC: Tensor) -> Callable[[Tensor], Tensor]:
    """What nearly inverts the Hessian: all correlations with a mean curvature, or the diagonal alone."""
    if problem.turn is None:
        diagonal_QC = _diagonal(problem, weight_QC) + ridge_QC
        return lambda rest_QC: rest_QC / diagonal_QC
    value_Q, vector_QQ = problem.turn
    # The intercept is penalised here as all else is: it is one direction among many.
    value_QC = (_mean_curve(problem, weight_QC) * value_Q.unsqueeze(1) + ridge_QC.max()).float()
    # In float32, as it need not be exact: of a voice model's solving half the time went into two such products.
    return lambda rest_QC: (vector_QQ @ ((vector_QQ.t() @ rest_QC.float()) / value_QC)).double()


def _eigen(design: Iterable[Chunk], total: float) -> tuple[Tensor, Tensor]:
    gram_QQ = torch.zeros(0)
    for chunk in design:
        x_RQ = torch.nn.functional.pad(chunk.x.dense_RD, (0, 1), value=1.0)
        half_RQ = (x_RQ * chunk.weight_R.sqrt().unsqueeze(1)).float()
        found_QQ = (half_RQ.t() @ half_RQ).double()
        gram_QQ = gram_QQ + found_QQ if len(gram_QQ) else found_QQ
    value_Q, vector_QQ = torch.linalg.eigh(gram_QQ / total)
    return value_Q.clamp_min(0.0), vector_QQ.float()


def _mean_curve(problem: _Problem, weight_QC: Tensor) -> Tensor:
    """Mean of p (1 - p) over rows, (C,)."""
    found_C = torch.zeros_like(weight_QC[0])
    for chunk in problem.design:
        p_RC = _probability(_logits(chunk, weight_QC), problem.link)
        found_C += chunk.weight_R @ (p_RC * (1 - p_RC))
    return found_C / problem.total


def _diagonal(problem: _Problem, weight_QC: Tensor) -> Tensor:
    """Of the loss's Hessian, (Q, C)."""
    found_QC = torch.zeros_like(weight_QC)
    for chunk in problem.design:
        p_RC = _probability(_logits(chunk, weight_QC), problem.link)
        curve_RC = p_RC * (1 - p_RC) * chunk.weight_R.unsqueeze(1)
        found_QC[:-1] += chunk.x.squares_times(curve_RC)
        found_QC[-1] += curve_RC.sum(0)
    return found_QC / problem.total


def _curved(p_RC: Tensor, way_RC: Tensor, link: Link) -> Tensor:
    """How the gradient by the logits changes as they move along ``way_RC``."""
    if link == "sigmoid":
        return p_RC * (1 - p_RC) * way_RC
    return p_RC * (way_RC - (p_RC * way_RC).sum(1, keepdim=True))


def _bent(chunk: Chunk, p_RC: Tensor, way_QC: Tensor, link: Link) -> Tensor:
    """How the rows' errors change along a way, (R, C). Of dense rows in float32: steps are rough anyway, and the
    gradient, which alone decides where the minimum lies, is exact."""
    kind = torch.float64 if chunk.x.sparse else torch.float32
    way_QC, weight_R1 = way_QC.to(kind), chunk.weight_R.to(kind).unsqueeze(1)
    return _curved(p_RC.to(kind), chunk.x.rough.times(way_QC[:-1]) + way_QC[-1], link) * weight_R1


def _add(sum_QC: Tensor, x: Rows, error_RC: Tensor) -> None:
    sum_QC[:-1] += x.transposed_times(error_RC)
    sum_QC[-1] += error_RC.sum(0)


def _mean_loss(design: Iterable[Chunk], weight_QC: Tensor, link: Link) -> float:
    total, value = 0.0, 0.0
    for chunk in design:
        value += float((_row_loss(_logits(chunk, weight_QC), chunk.y_RO, link) * chunk.weight_R).sum())
        total += float(chunk.weight_R.sum())
    return value / total if total else float("nan")


def _logits(chunk: Chunk, weight_QC: Tensor) -> Tensor:
    return chunk.x.times(weight_QC[:-1]) + weight_QC[-1]


def _probability(z_RC: Tensor, link: Link) -> Tensor:
    return torch.sigmoid(z_RC) if link == "sigmoid" else torch.softmax(z_RC, dim=1)


def _row_loss(z_RC: Tensor, y_RC: Tensor, link: Link) -> Tensor:
    if link == "sigmoid":
        loss_RC: Tensor = nn.functional.binary_cross_entropy_with_logits(z_RC, y_RC, reduction="none")
        return loss_RC.sum(1)
    return torch.logsumexp(z_RC, dim=1) - (z_RC * y_RC).sum(1)
