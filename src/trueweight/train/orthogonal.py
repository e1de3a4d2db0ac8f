"""Steps of equal size in every direction of a matrix, for all matrices of one shape at once.

Shape suffixes in this file:
    S  matrices of one shape    M  the shorter side    N  the longer side    O  rows    I  columns
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from trueweight.train.fused import Kernels

__all__ = ["COEFFICIENTS", "MOMENTUM", "muon_update", "orthogonal"]

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial a s + b s^3 + c s^5: steep at 0, and from 0.7 to 1.2 where it is applied again and again.
Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"."""

MOMENTUM = "momentum_buffer"
"""The slot of ``Fused`` that remembers the running gradient."""

_TINY = 1e-7


def orthogonal(stack_SOI: Tensor, iterations: int) -> Tensor:
    """About U V^T of each matrix U S V^T, by Newton-Schulz iterations.

    Each iteration applies the polynomial to all singular values, which begin below 1: the matrices are divided by
    their Frobenius norms. On a CUDA device in bfloat16, which is enough (see the source) and several times faster;
    elsewhere in float32, since few processors multiply bfloat16 any faster.

    Args:
        stack_SOI: Matrices of one shape.
        iterations: Five leave all but the smallest singular values between 0.7 and 1.2; three leave small ones smaller.
    """
    a, b, c = COEFFICIENTS
    dtype = torch.bfloat16 if stack_SOI.device.type == "cuda" else stack_SOI.dtype
    tall = stack_SOI.shape[1] > stack_SOI.shape[2]
    x_SMN = (stack_SOI.mT if tall else stack_SOI).to(dtype)
    x_SMN = x_SMN / (torch.linalg.vector_norm(x_SMN, dim=(1, 2), keepdim=True) + _TINY)
    for _ in range(iterations):
        gram_SMM = torch.bmm(x_SMN, x_SMN.mT)
        odd_SMM = torch.baddbmm(gram_SMM, gram_SMM, gram_SMM, beta=b, alpha=c)
        x_SMN = torch.baddbmm(x_SMN, odd_SMM, x_SMN, beta=a)
    return (x_SMN.mT if tall else x_SMN).to(stack_SOI.dtype)


def muon_update(momentum: float, *, nesterov: bool, iterations: int, normalized: bool = False) -> Kernels:
    """Muon; slot ``MOMENTUM``. Weights of more than two axes are matrices of their first axis by all others.

    Args:
        momentum: Share of the running gradient that is kept.
        nesterov: Whether to look ahead.
        iterations: Of Newton-Schulz.
        normalized: Whether rows have a mean square sum of 1 before each step; then no step is larger for its shape.
    """

    def fused(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], rate: float, decay: float
    ) -> None:
        (running,) = memory
        torch._foreach_lerp_(running, gradients, 1 - momentum)
        pushes = torch._foreach_lerp(gradients, running, momentum) if nesterov else running
        if decay:
            torch._foreach_mul_(weights, 1 - rate * decay)
        if normalized and rate:  # at a rate of zero nothing moves
            _normalize(weights)
        for places in _alike(weights):
            stack_SOI = torch.stack([pushes[place].flatten(1) for place in places])
            rows, columns = stack_SOI.shape[1:]
            steps = orthogonal(stack_SOI, iterations).unbind()
            moved = [weights[place] for place in places]
            shaped = [step.view(weight.shape) for step, weight in zip(steps, moved, strict=True)]
            factor = 1.0 if normalized else max(1.0, rows / columns) ** 0.5
            torch._foreach_add_(moved, shaped, alpha=-rate * factor)

    return {"fused": fused}


def _normalize(weights: list[Tensor]) -> None:
    """Give each a Frobenius norm of sqrt(rows); one of zeros stays."""
    sizes = list(torch._foreach_norm(weights))
    torch._foreach_clamp_min_(sizes, _TINY)
    torch._foreach_div_(sizes, [len(weight) ** 0.5 for weight in weights])
    torch._foreach_div_(weights, sizes)


def _alike(weights: Sequence[Tensor]) -> list[list[int]]:
    """Places of weights that are matrices of one shape."""
    found: dict[tuple[int, int], list[int]] = {}
    for place, weight in enumerate(weights):
        rows = weight.shape[0]
        found.setdefault((rows, weight.numel() // rows), []).append(place)
    return list(found.values())
