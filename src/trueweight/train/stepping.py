"""How the steps of a plan are taken: layout, number type, threads, compiler, the optimiser's kernel.

The plain way (float32, weights as they are stored, eager, fused) adds nothing to a step.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Generator, Tensor, nn

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed
from trueweight.errors import TrainError
from trueweight.files import cache_dir, private_dir
from trueweight.spec.run import TrainSpec
from trueweight.train.fused import METHOD, Fused
from trueweight.train.job import OptimizerPart
from trueweight.train.loop import Backward, Optimizer
from trueweight.train.plan import MemberPlan
from trueweight.train.seen import rows_seen

__all__ = ["Stepping", "fewer_threads", "optimizer_for", "stepping"]

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

LOSS_SCALE = 2.0**12
"""Of losses in float16, so that small gradients do not become zero. A power of two: what it does to float32 is undone
exactly. Fixed, so that a resumed run needs no memory of it."""


@dataclass(frozen=True, slots=True)
class Stepping:
    """What ``train_steps`` is given."""

    module: nn.Module
    """Called for a loss; its parameters are the network's."""
    backward: Backward


@contextmanager
def stepping(network: nn.Module, plan: MemberPlan, backward: Backward) -> Iterator[Stepping]:
    """Inside, the network's weights lie as the plan says. Afterwards they are contiguous again, as bundles hold them.

    Optimisers must be made inside: their memory follows the weights.

    Args:
        network: On the plan's device.
        plan: What to follow.
        backward: The job's.
    """
    hooks = []
    if plan.layout == "channels_last":
        _laid_out(network, torch.channels_last)
    elif plan.layout == "channels_first":
        hooks = [m.register_forward_pre_hook(_channels_first) for m in network.modules() if isinstance(m, nn.Conv2d)]
    try:
        scaled = plan.dtype == "float16"
        module = _cast(compiled(network) if plan.compile else network, plan)
        yield Stepping(module, _unscaled(backward) if scaled else backward)
    finally:
        for hook in hooks:
            hook.remove()
        if plan.layout == "channels_last":
            _laid_out(network, torch.contiguous_format)


def _laid_out(network: nn.Module, layout: torch.memory_format) -> None:
    """Filters of two dimensions in another order in memory. Their parameters stay the same objects."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=layout)


def _channels_first(_: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor]:
    """What one convolution gives, the next reads: only the first has something to do."""
    return (args[0].contiguous(),)


@contextmanager
def fewer_threads(count: int) -> Iterator[None]:
    """Inside, torch computes with so many threads, if there were more: how many there may be the program said."""
    before = torch.get_num_threads()
    if count >= before:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Cast(nn.Module):
    """A network that computes in another type.

    Args:
        network: A network, or what was compiled of one.
        kind: Of the device.
        dtype: Half precision.
    """

    def __init__(self, network: nn.Module, kind: str, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.kind, self.dtype = network, kind, dtype
        self.scale = LOSS_SCALE if dtype == torch.float16 else 1.0

    def forward(self, *args: Any) -> Tensor:
        """The loss, scaled where the type needs it."""
        with torch.autocast(self.kind, self.dtype):
            loss: Tensor = self.network(*args)
        return loss * self.scale


def _cast(network: nn.Module, plan: MemberPlan) -> nn.Module:
    dtype = _TYPES[plan.dtype]
    return network if dtype == torch.float32 else _Cast(network, torch.device(plan.device).type, dtype)


def _unscaled(backward: Backward) -> Backward:
    """Gradients and losses of their own size. Where a gradient was too large for the type, the step moves nothing but
    by the optimiser's momentum."""

    def unscaled(network: nn.Module, batch: Batch, rng: Generator) -> Tensor:
        loss = backward(network, batch, rng)
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        finite = torch.stack([g.isfinite().all() for g in gradients]).all()
        for gradient in gradients:
            gradient.copy_(torch.where(finite, gradient / LOSS_SCALE, 0.0))
        return loss / LOSS_SCALE

    return unscaled


def compiled(network: nn.Module) -> nn.Module:
    """The network by torch's compiler, which is imported now and works at the first step.

    Its cache is ours, where nobody else may write: what lies in it is run. Random numbers are drawn as in the plain
    way, so that losses can be compared.
    """
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(private_dir(cache_dir() / "compiled")))
    compile_it = cast(Callable[..., nn.Module], torch.compile)
    return compile_it(network, dynamic=False, options={"fallback_random": True})


def optimizer_for(spec: TrainSpec, network: nn.Module, plan: MemberPlan, train: Feed | None = None) -> Optimizer:
    """The optimiser that the spec asks for, with the plan's kernel and its factor on the learning rates. The same plan
    gives the same one: no clock is read.

    Args:
        spec: Its optimiser.
        network: On the plan's device.
        plan: What to follow.
        train: Rows that train, for optimisers that weigh what they cost each layer.

    Raises:
        TrainError: The plan is of another optimiser.
    """
    part = cast(OptimizerPart, spec.optimizer)
    seen = None
    if part.weighs and train is not None:
        seen = rows_seen(network, train, plan.batch_size, torch.device(plan.device))
    optimizer = part.build(network, steps=plan.steps, seen=seen)
    if plan.rate != 1.0:
        for group in optimizer.param_groups:
            # The plan's factor is the root of the ratio of rows; plain gradient descent takes the ratio itself.
            group["lr"] *= plan.rate**2 if group.get(METHOD) == "sgd" else plan.rate
    if plan.optimizer != "fused":
        if not isinstance(optimizer, Fused) or plan.optimizer not in optimizer.kernels:
            problem = f"the plan of {plan.name} asks for {plan.optimizer}, which this optimiser has no choice of"
            raise TrainError(problem, where="plan.members", hint="give a plan of this very spec")
        optimizer.use(plan.optimizer)
    return optimizer
