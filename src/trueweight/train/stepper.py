"""The optimiser of a member's fit, and what the record says of it."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import nn

from trueweight.train.fused import METHOD
from trueweight.train.job import Job, OptimizerPart
from trueweight.train.loop import Optimizer
from trueweight.train.plan import MemberPlan
from trueweight.train.seen import rows_seen

__all__ = ["optimizer_of", "told"]


def optimizer_of(job: Job, network: nn.Module, plan: MemberPlan) -> Optimizer:
    """The optimiser that the spec asks for. The same plan gives the same one: no clock is read.

    Args:
        job: What is fitted.
        network: The job's, or a copy of it, on the plan's device.
        plan: How many rows make a step.
    """
    part = cast(OptimizerPart, job.spec.optimizer)
    seen = rows_seen(network, job.train, plan.batch_size, torch.device(plan.device)) if part.weighs else None
    return part.build(network, steps=plan.steps, seen=seen)


def told(optimizer: Optimizer, network: nn.Module) -> Mapping[str, list[str]]:
    """Names of the weights by who moves them: what each group of the optimiser says, or the optimiser's class."""
    names = {id(p): name for name, p in network.named_parameters()}
    found: dict[str, list[str]] = {}
    for group in optimizer.param_groups:
        method = group.get(METHOD, type(optimizer).__name__)
        found.setdefault(method, []).extend(names[id(p)] for p in group["params"])
    return found
