"""Whether a job can be done at all, and whether what was begun before belongs to it."""

import logging

import torch

from trueweight.errors import TrainError
from trueweight.files import canonical_json, digest_bytes
from trueweight.train.checkpoint import Checkpoint
from trueweight.train.job import Job
from trueweight.train.plan import MemberPlan
from trueweight.train.state import shapes

__all__ = ["check_origin", "origin", "refuse_empty", "warn_of_threads"]

_LOG = logging.getLogger("trueweight.train")


def refuse_empty(job: Job) -> None:
    """Refuse a job that has nothing to fit, or nothing to fit it on.

    Raises:
        TrainError: There are no rows, or no weights that gradients change.
    """
    if not len(job.train):
        raise TrainError(f"there are no rows to fit {job.name} on", where="split", hint="make the training part larger")
    if not any(p.requires_grad for p in job.network.parameters()):
        hint = "fit it with 'solve'"
        raise TrainError(f"{job.name} has no weights that gradients could change", where="model", hint=hint)


def warn_of_threads(plan: MemberPlan) -> None:
    """Say so where a plan was made for more threads than there are."""
    if plan.threads > (here := torch.get_num_threads()):
        text = "%s was planned with %d threads and runs with %d: weights may differ in the last digits"
        _LOG.warning(text, plan.name, plan.threads, here)


def origin(job: Job, plan: MemberPlan) -> str:
    """What must be equal for a checkpoint to fit a job."""
    chosen = {"accumulate", "optimizer", "lr_schedule", "max_grad_norm", "early_stopping"}
    spec = job.spec.model_dump(mode="json", include=chosen)
    facts = [job.name, job.seed, len(job.train), len(job.validation), plan.steps, plan.batch_size, plan.validate_every]
    facts += [plan.dtype, plan.layout, plan.compile, plan.optimizer, plan.rate]
    facts += [plan.tokens, plan.packed] if plan.tokens else []  # runs from before there were any go on
    return digest_bytes(canonical_json([facts, spec, shapes(job.network)]).encode())


def check_origin(found: Checkpoint, job: Job, plan: MemberPlan) -> None:
    """Refuse a checkpoint that does not fit a job.

    Raises:
        TrainError: It is of another run.
    """
    if found.facts["origin"] != origin(job, plan):
        hint = "resume with the same spec, data, seed and plan, or choose another folder with --out"
        where = str(job.folder)
        raise TrainError(f"the checkpoint of {job.name} at step {found.step} is of another run", where=where, hint=hint)
