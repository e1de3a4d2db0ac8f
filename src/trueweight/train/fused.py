"""Optimisers as one call of torch's fused kernels, however many weights there are.

``torch.optim`` would do the same arithmetic (a test holds us to it, bit for bit), but making one of its
optimisers imports torch's compiler, which takes longer than many tables take to fit, and its bookkeeping costs
more than the kernel on small networks. As of torch 2.13.
"""

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["METHOD", "Fused", "Kernels", "Update", "adam_update", "nadam_update", "sgd_update"]

Update = Callable[[list[Tensor], list[Tensor], list[list[Tensor]], float, float], None]
"""(weights, gradients, memory by slot, rate, weight decay): change weights and memory in place. Steps are counted
before."""

Kernels = Mapping[str, Update]
"""The same arithmetic, done as "fused" or "foreach"; which is faster a step plan finds out."""

STEP = "step"
"""The slot that counts a weight's steps; all others have the weight's shape."""

METHOD = "method"
"""What a group says of who moves its weights."""


class Fused:
    """An optimiser with ``torch.optim``'s interface and state names. Weights must stay where they lie in memory.

    Args:
        groups: Each with ``params`` and ``weight_decay``, and ``lr`` where it has one of its own.
        learning_rate: Peak step size; becomes the ``lr`` of all other groups.
        slots: Names of what is remembered per weight.
        kernels: Change weights and memory; "fused" is used until :meth:`use`.
        method: Its name, for the record.
        decoupled: Whether decay, which such kernels do beside the gradient, is one multiplication before of those
            that decay, and the update one call for all groups: for kernels of several calls. One that is a single call
            does better with one for each group.
    """

    def __init__(
        self,
        groups: Sequence[dict[str, Any]],
        learning_rate: float,
        slots: Sequence[str],
        kernels: Kernels,
        method: str,
        *,
        decoupled: bool = False,
    ) -> None:
        given = {"lr": learning_rate, METHOD: method}
        self.param_groups = [{**given, **group, "params": list(group["params"])} for group in groups]
        self._weights: list[nn.Parameter] = [p for group in self.param_groups for p in group["params"]]
        self.kernels, self._update = kernels, kernels["fused"]
        self._slots, self._decoupled = tuple(slots), decoupled
        # Memory by slot, then weight, as the kernels want it. All weights share one count of steps, because it is one
        # number as long as each has a gradient at every step, and adding to many costs more than a small update.
        self._memory = [_blank(slot, self._weights) for slot in slots]
        self._shared = True
        # The weights' memory without their gradients' bookkeeping, which then need not be switched off at each step.
        self._plain = [p.detach() for p in self._weights]
        self._each = self._by_group()

    def _by_group(self) -> list[tuple[dict[str, Any], list[Tensor], list[list[Tensor]]]]:
        """Weights and memory of each group, so that a step in which all take part need not look for them."""
        found: list[tuple[dict[str, Any], list[Tensor], list[list[Tensor]]]] = []
        start = 0
        for group in self.param_groups:
            end = start + len(group["params"])
            found.append((group, self._plain[start:end], [tensors[start:end] for tensors in self._memory]))
            start = end
        return found

    def use(self, kernel: str) -> None:
        """Go on with another of the kernels."""
        self._update = self.kernels[kernel]

    def step(self) -> None:
        """Change all weights that have a gradient."""
        gradients = [gradient for p in self._weights if (gradient := p.grad) is not None]
        if len(gradients) == len(self._weights):
            self._count(range(len(gradients)))
            self._step_all(gradients)
            return
        self._count_apart()
        there = [i for i, p in enumerate(self._weights) if p.grad is not None]
        self._count(there)
        start = 0
        for group in self.param_groups:
            end = start + len(group["params"])
            self._step_some([i for i in there if start <= i < end], group)
            start = end

    def _step_all(self, gradients: list[Tensor]) -> None:
        if self._decoupled and len({group["lr"] for group in self.param_groups}) == 1:
            rate = self.param_groups[0]["lr"]
            for group, weights, _ in self._each:
                if decay := group["weight_decay"]:
                    torch._foreach_mul_(weights, 1 - rate * decay)
            self._update(self._plain, gradients, self._memory, rate, 0.0)
            return
        start = 0
        for group, weights, memory in self._each:
            end = start + len(weights)
            self._update(weights, gradients[start:end], memory, group["lr"], group["weight_decay"])
            start = end

    def _step_some(self, places: Sequence[int], group: dict[str, Any]) -> None:
        if not places:
            return
        weights = [self._plain[i] for i in places]
        gradients = [gradient for i in places if (gradient := self._weights[i].grad) is not None]
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
            self._shared, self._each = False, self._by_group()

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


def adam_update(betas: tuple[float, float], eps: float, *, decoupled: bool) -> Kernels:
    """Adam, or AdamW where ``decoupled``. Slots: step, exp_avg, exp_avg_sq."""
    kernel = torch._fused_adamw_ if decoupled else torch._fused_adam_

    def fused(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], rate: float, decay: float
    ) -> None:
        steps, means, squares = memory
        kernel(
            weights, gradients, means, squares, [], steps, lr=rate, beta1=betas[0], beta2=betas[1],
            weight_decay=decay, eps=eps, amsgrad=False, maximize=False,
        )  # fmt: skip

    def foreach(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], rate: float, decay: float
    ) -> None:
        steps, means, squares = memory
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


def nadam_update(betas: tuple[float, float], eps: float, momentum_decay: float) -> Kernels:
    """NAdam with decoupled decay. Slots: step, exp_avg, exp_avg_sq.

    Its numerator c1 g + c2 m is, but for a factor, a running mean of another length: with b = c2 b1 / (c1 + c2) it
    is (c1 + c2) times (1 - b) g + b m, m being the mean of the step before. So AdamW's kernel takes the step, with b
    for b1, and with factor and bias correction in the rate; what it leaves as its mean lies on the line from g to the
    new m, and is moved there. That is two calls for all weights, where torch's own takes a dozen for each.
    """
    b1, b2 = betas

    def fused(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], rate: float, decay: float
    ) -> None:
        # Weights that had no gradient now and then have taken fewer steps.
        taken = torch.stack(memory[0]).tolist()
        for step in set(taken):
            here = [place for place, count in enumerate(taken) if count == step]
            columns = (weights, gradients, *memory)
            w, g, steps, means, squares = ([tensors[place] for place in here] for tensors in columns)
            now, following = nadam_factors(int(step), b1, momentum_decay)
            b = following * b1 / (now + following)
            peak = rate * (now + following) * (1 - b**step)
            pull = decay * rate / peak if peak else 0.0
            torch._fused_adamw_(
                w, g, means, squares, [], steps, lr=peak, beta1=b, beta2=b2, weight_decay=pull, eps=eps,
                amsgrad=False, maximize=False,
            )  # fmt: skip
            if b:  # without, the mean is the gradient, and there already
                torch._foreach_lerp_(means, g, 1 - b1 / b)

    return {"fused": fused}


def nadam_factors(step: int, b1: float, momentum_decay: float) -> tuple[float, float]:
    """Factors of the gradient and of the new running mean in the numerator of a step, counted from 1.

    mu(t) = b1 * (1 - 0.5 * 0.96**(t * momentum_decay))         P(t) = mu(1) * ... * mu(t)
    (1 - mu(t)) / (1 - P(t)),    mu(t + 1) / (1 - P(t + 1))
    """
    product = _mu_product(step, b1, momentum_decay)
    here, following = _mu(step, b1, momentum_decay), _mu(step + 1, b1, momentum_decay)
    return (1 - here) / (1 - product), following / (1 - product * following)


def _mu(step: int, b1: float, momentum_decay: float) -> float:
    return b1 * (1 - 0.5 * float(0.96 ** (step * momentum_decay)))


_PRODUCTS: dict[tuple[float, float], list[float]] = {}
"""P(0), P(1), … as far as they were asked for: they depend on nothing but the part's options."""


def _mu_product(step: int, b1: float, momentum_decay: float) -> float:
    known = _PRODUCTS.setdefault((b1, momentum_decay), [1.0])
    while len(known) <= step:
        known.append(known[-1] * _mu(len(known), b1, momentum_decay))
    return known[step]


def sgd_update(momentum: float, *, nesterov: bool) -> Kernels:
    """Gradient descent; slot momentum_buffer where ``momentum`` is not 0, else none."""

    def fused(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], rate: float, decay: float
    ) -> None:
        torch._fused_sgd_(
            weights, gradients, memory[0] if momentum else [], weight_decay=decay, momentum=momentum,
            lr=rate, dampening=0.0, nesterov=nesterov, maximize=False, is_first_step=False,
        )  # fmt: skip

    def foreach(
        weights: list[Tensor], gradients: list[Tensor], memory: list[list[Tensor]], rate: float, decay: float
    ) -> None:
        if decay:
            gradients = list(torch._foreach_add(gradients, weights, alpha=decay))
        if momentum:
            torch._foreach_mul_(memory[0], momentum)
            torch._foreach_add_(memory[0], gradients)
            gradients = list(torch._foreach_add(gradients, memory[0], alpha=momentum)) if nesterov else memory[0]
        torch._foreach_add_(weights, gradients, alpha=-rate)

    return {"fused": fused, "foreach": foreach}
