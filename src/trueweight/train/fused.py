"""Optimisers as one call of torch's fused kernels per group of weights.

``torch.optim`` would do the same arithmetic (a test holds us to it, bit for bit), but making one of its
optimisers imports torch's compiler, which takes longer than many tables take to fit, and its bookkeeping costs
more than the kernel on small networks. As of torch 2.13.
"""

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Fused", "Kernels", "adam_update", "sgd_update"]

Update = Callable[[list[Tensor], list[Tensor], list[list[Tensor]], dict[str, Any]], None]
"""(weights, gradients, memory by slot, group): change weights and memory in place."""

Kernels = Mapping[str, Update]
"""The same arithmetic, done as "fused" or "foreach"; which is faster a step plan finds out."""

STEP = "step"
"""The slot that counts a weight's steps; all others have the weight's shape."""


class Fused:
    """An optimiser with ``torch.optim``'s interface and state names.

    Args:
        groups: Each with ``params`` and ``weight_decay``.
        learning_rate: Peak step size; becomes each group's ``lr``.
        slots: Names of what is remembered per weight.
        kernels: Change weights and memory; "fused" is used until :meth:`use`.
    """

    def __init__(
        self, groups: Sequence[dict[str, Any]], learning_rate: float, slots: Sequence[str], kernels: Kernels
    ) -> None:
        self.param_groups = [{**group, "params": list(group["params"]), "lr": learning_rate} for group in groups]
        self._slots, self._kernels, self._update = tuple(slots), kernels, kernels["fused"]
        # Memory by group, then slot, then weight: as the kernels want it.
        self._memory = [[_blank(slot, group["params"]) for slot in slots] for group in self.param_groups]

    def use(self, kernel: str) -> None:
        """Go on with another of the kernels."""
        self._update = self._kernels[kernel]

    @torch.no_grad()
    def step(self) -> None:
        """Change all weights that have a gradient."""
        for group, memory in zip(self.param_groups, self._memory, strict=True):
            weights = group["params"]
            gradients = [p.grad for p in weights]
            if any(gradient is None for gradient in gradients):  # "None in" would compare tensors
                there = [i for i, gradient in enumerate(gradients) if gradient is not None]
                weights, gradients = [weights[i] for i in there], [gradients[i] for i in there]
                memory = [[tensors[i] for i in there] for tensors in memory]  # noqa: PLW2901  # this group's, reduced
            if weights:
                self._update(weights, gradients, memory, group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad.zero_()

    def state_dict(self) -> dict[str, Any]:
        """``{"state": {number: {slot: tensor}}, "param_groups": [...]}``, as torch's."""
        state: dict[int, dict[str, Tensor]] = {}
        groups: list[dict[str, Any]] = []
        for group, memory in zip(self.param_groups, self._memory, strict=True):
            numbers = range(len(state), len(state) + len(group["params"]))
            for place, number in enumerate(numbers):
                state[number] = {slot: tensors[place] for slot, tensors in zip(self._slots, memory, strict=True)}
            groups.append({**group, "params": list(numbers)})
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """The inverse of :meth:`state_dict`. A weight without memory starts afresh."""
        number = 0
        for group, memory, given in zip(self.param_groups, self._memory, state["param_groups"], strict=True):
            group.update({key: value for key, value in given.items() if key != "params"})
            for place in range(len(group["params"])):
                kept = state["state"].get(number, {})
                for slot, tensors in zip(self._slots, memory, strict=True):
                    tensors[place].copy_(kept[slot]) if slot in kept else tensors[place].zero_()
                number += 1


def _blank(slot: str, weights: Sequence[nn.Parameter]) -> list[Tensor]:
    if slot == STEP:
        return [torch.zeros((), dtype=torch.float32, device=p.device) for p in weights]
    return [torch.zeros_like(p, memory_format=torch.preserve_format).detach() for p in weights]


def adam_update(betas: tuple[float, float], eps: float, *, decoupled: bool) -> Kernels:
    """Adam, or AdamW where ``decoupled``. Slots: step, exp_avg, exp_avg_sq."""
    kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_

    def fused(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], group: dict[str, Any]
    ) -> None:
        steps, means, squares = memory
        torch._foreach_add_(steps, 1)
        kernel(
            weights, gradients, means, squares, [], steps, lr=group["lr"], beta1=betas[0], beta2=betas[1],
            weight_decay=group["weight_decay"], eps=eps, amsgrad=False, maximize=False,
        )  # fmt: skip

    def foreach(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], group: dict[str, Any]
    ) -> None:
        steps, means, squares = memory
        torch._foreach_add_(steps, 1)
        rate, decay = group["lr"], group["weight_decay"]
        if decay and decoupled:
            torch._foreach_mul_(weights, 1 - rate * decay)
        elif decay:
            gradients = list(torch._foreach_add(gradients, weights, alpha=decay))
        torch._foreach_lerp_(means, gradients, 1 - betas[0])
        torch._foreach_mul_(squares, betas[1])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - betas[1])
        taken = [float(step) for step in steps]
        size = list(torch._foreach_sqrt(squares))
        torch._foreach_div_(size, [sqrt(1 - betas[1] ** t) for t in taken])
        torch._foreach_add_(size, eps)
        torch._foreach_addcdiv_(weights, means, size, [-rate / (1 - betas[0] ** t) for t in taken])

    return {"fused": fused, "foreach": foreach}


def sgd_update(momentum: float, *, nesterov: bool) -> Kernels:
    """Gradient descent; slot momentum_buffer where ``momentum`` is not 0, else none."""

    def fused(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], group: dict[str, Any]
    ) -> None:
        torch._fused_sgd_(
            weights, gradients, memory[0] if momentum else [], weight_decay=group["weight_decay"], momentum=momentum,
            lr=group["lr"], dampening=0.0, nesterov=nesterov, maximize=False, is_first_step=False,
        )  # fmt: skip

    def foreach(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], group: dict[str, Any]
    ) -> None:
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        if momentum:
            torch._foreach_mul_(memory[0], momentum)
            torch._foreach_add_(memory[0], gradients)
            gradients = list(torch._foreach_add(gradients, memory[0], alpha=momentum)) if nesterov else memory[0]
        torch._foreach_add_(weights, gradients, alpha=-group["lr"])

    return {"fused": fused, "foreach": foreach}
