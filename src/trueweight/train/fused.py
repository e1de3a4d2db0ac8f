"""Optimisers as one call of torch's fused kernels, however many weights there are.

``torch.optim`` would do the same arithmetic (a test holds us to it, bit for bit), but making one of its
optimisers imports torch's compiler, which takes longer than many tables take to fit, and its bookkeeping costs
more than the kernel on small networks. As of torch 2.13.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Fused", "adam_update", "sgd_update"]

Update = Callable[[list[Tensor], list[Tensor], list[list[Tensor]], float, float], None]
"""(weights, gradients, memory by slot, rate, weight decay): change weights and memory in place. Steps are counted
before."""

STEP = "step"
"""The slot that counts a weight's steps; all others have the weight's shape."""


class Fused:
    """An optimiser with ``torch.optim``'s interface and state names.

    Args:
        groups: Each with ``params`` and ``weight_decay``.
        learning_rate: Peak step size; becomes each group's ``lr``.
        slots: Names of what is remembered per weight.
        update: Changes weights and memory.
        decoupled: Whether weights decay beside the gradient. Decay is then one multiplication of those that do, and
            the update is one call for all groups.
    """

    def __init__(
        self,
        groups: Sequence[dict[str, Any]],
        learning_rate: float,
        slots: Sequence[str],
        update: Update,
        *,
        decoupled: bool = False,
    ) -> None:
        self.param_groups = [{**group, "params": list(group["params"]), "lr": learning_rate} for group in groups]
        self._weights: list[nn.Parameter] = [p for group in self.param_groups for p in group["params"]]
        self._slots, self._update, self._decoupled = tuple(slots), update, decoupled
        # Memory by slot, then weight, as the kernels want it. All weights share one count of steps, because it is one
        # number as long as each has a gradient at every step, and adding to many costs more than a small update.
        self._memory = [_blank(slot, self._weights) for slot in slots]
        self._shared = True

    @torch.no_grad()
    def step(self) -> None:
        """Change all weights that have a gradient."""
        gradients = [p.grad for p in self._weights]
        there: Sequence[int] = range(len(gradients))
        if any(gradient is None for gradient in gradients):  # "None in" would compare tensors
            self._count_apart()
            there = [i for i in there if gradients[i] is not None]
        self._count(there)
        rates = {group["lr"] for group in self.param_groups}
        if self._decoupled and len(rates) == 1 and len(there) == len(gradients):
            (rate,) = rates
            for group in self.param_groups:
                if decay := group["weight_decay"]:
                    torch._foreach_mul_(group["params"], 1 - rate * decay)
            self._update(self._weights, gradients, self._memory, rate, 0.0)  # type: ignore[arg-type]  # all are there
            return
        start = 0
        for group in self.param_groups:
            end = start + len(group["params"])
            self._step_some([i for i in there if start <= i < end], group)
            start = end

    def _step_some(self, places: Sequence[int], group: dict[str, Any]) -> None:
        if not places:
            return
        weights: list[Tensor] = [self._weights[i] for i in places]
        gradients = [gradient for p in weights if (gradient := p.grad) is not None]
        memory = [[tensors[i] for i in places] for tensors in self._memory]
        self._update(weights, gradients, memory, group["lr"], group["weight_decay"])

    def _count(self, places: Sequence[int]) -> None:
        if STEP not in self._slots or not places:
            return
        counts = self._memory[self._slots.index(STEP)]
        if self._shared:
            counts[0].add_(1)
        else:
            torch._foreach_add_([counts[i] for i in places], 1)

    def _count_apart(self) -> None:
        """From here on each weight has its own count: some are without a gradient at times."""
        if self._shared and STEP in self._slots:
            place = self._slots.index(STEP)
            self._memory[place] = [count.clone() for count in self._memory[place]]
            self._shared = False

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
        groups, start = [], 0
        for group in self.param_groups:
            numbers = range(start, start + len(group["params"]))
            groups.append({**group, "params": list(numbers)})
            start = numbers.stop
        state = {
            number: {slot: tensors[number] for slot, tensors in zip(self._slots, self._memory, strict=True)}
            for number in range(start)
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """The inverse of :meth:`state_dict`. A weight without memory starts afresh."""
        for group, given in zip(self.param_groups, state["param_groups"], strict=True):
            group.update({key: value for key, value in given.items() if key != "params"})
        kept = [state["state"].get(number, {}) for number in range(len(self._weights))]
        if len({float(known[STEP]) if STEP in known else 0.0 for known in kept}) > 1:
            self._count_apart()
        for slot, tensors in zip(self._slots, self._memory, strict=True):
            for tensor, known in zip(tensors, kept, strict=True):
                tensor.copy_(known[slot]) if slot in known else tensor.zero_()


def _blank(slot: str, weights: Sequence[nn.Parameter]) -> list[Tensor]:
    if slot == STEP and weights:
        return [torch.zeros((), dtype=torch.float32, device=weights[0].device)] * len(weights)
    return [torch.zeros_like(p, memory_format=torch.preserve_format).detach() for p in weights]


def adam_update(betas: tuple[float, float], eps: float, *, decoupled: bool) -> Update:
    """Adam, or AdamW where ``decoupled``. Slots: step, exp_avg, exp_avg_sq."""
    kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_

    def update(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], rate: float, decay: float
    ) -> None:
        steps, means, squares = memory
        kernel(
            weights, gradients, means, squares, [], steps, lr=rate, beta1=betas[0], beta2=betas[1],
            weight_decay=decay, eps=eps, amsgrad=False, maximize=False,
        )  # fmt: skip

    return update


def sgd_update(momentum: float, *, nesterov: bool) -> Update:
    """Gradient descent; slot momentum_buffer where ``momentum`` is not 0, else none."""

    def update(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], rate: float, decay: float
    ) -> None:
        torch._fused_sgd_(
            weights, gradients, memory[0] if momentum else [], weight_decay=decay, momentum=momentum,
            lr=rate, dampening=0.0, nesterov=nesterov, maximize=False, is_first_step=False,
        )  # fmt: skip

    return update
