"""Decides a member's plan by measuring: a few steps and one validation look, on a copy that is thrown away."""

import copy
import logging
from time import perf_counter

import torch
from torch import nn

from trueweight.data.feed import Feed, padding_share
from trueweight.errors import TrainError
from trueweight.recipes.scaling import batch_size_for
from trueweight.spec.run import TrainSpec
from trueweight.spec.units import describe_bytes
from trueweight.train.job import Job
from trueweight.train.loop import Streams, batches_from, quiet, train_steps
from trueweight.train.memory import needed
from trueweight.train.pace import Pace
from trueweight.train.plan import MemberPlan
from trueweight.train.stepper import optimizer_of
from trueweight.train.watch import Stopwatch

__all__ = ["asked_batch", "choose_device", "decide_plan", "little_padded", "looks_for", "usual"]

_LOG = logging.getLogger("trueweight.train")

CHECKPOINT_SECONDS = 10.0
"""About how much work a kill may cost."""
MAX_EPOCHS = 100
"""When no limit is given at all."""

_SHARE = 0.05
"""Of the budget, at most, for measuring."""
_UNLIMITED_PROBE = 0.5
_GLANCE = 0.3
"""Seconds for which a remembered pace is looked at again: it may come from a busy hour."""
_WARM, _MEASURED = 3, 12
_MARGIN = 0.97
_LOOK_SHARE = 0.25
_LEAST_BATCH = 4
_PADDING = 0.05
"""Share of steps that may be padding."""


def choose_device(asked: str) -> torch.device:
    """The device to train on: what was asked, or for "auto" a CUDA device where there is one, else the CPU.

    Raises:
        TrainError: The device asked for is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    if not there[asked]:
        raise TrainError(f"there is no device {asked!r} here", where="train.device", hint="set it to auto")
    return torch.device(asked)


def looks_for(steps: int, batch_size: int, rows: int, validation_rows: int) -> int:
    """Validation looks in a run: about one per epoch, 20 to 100, and fewer where they would cost too much.

    No clock is read: runs limited by steps or epochs are the same on every machine without a plan.
    """
    trained = steps * batch_size
    looks = min(max(trained // max(rows, 1), 20), 100)
    # A look costs a third of a training pass per row, and two networks are looked at.
    affordable = max(5, int(0.3 * trained / max(validation_rows, 1)))
    return max(1, min(looks, affordable, steps))


def asked_batch(spec: TrainSpec, rows: int) -> int:
    """Rows per step, memory aside, of a table of so many training rows."""
    return min(batch_size_for(rows) if spec.batch_size == "auto" else spec.batch_size, rows)


def _fitting_batch(job: Job) -> tuple[int, int]:
    """(batch size, predicted bytes); "auto" shrinks to fit the memory, a size asked for does not."""
    asked, size = job.spec.batch_size, asked_batch(job.spec, len(job.train))
    if asked == "auto":
        size = little_padded(job.train, size)
    limit = job.spec.budget.memory
    need = needed(job, size).whole
    while limit is not None and need > limit:
        if asked != "auto" or size <= 8:
            raise TrainError(
                f"fitting {job.name} needs about {describe_bytes(need)}, and {describe_bytes(limit)} are allowed",
                where="train.budget.memory",
                hint="allow more, or make the model or train.batch_size smaller",
            )
        size = max(8, size // 2)
        need = needed(job, size).whole
    return size, need


def little_padded(feed: Feed, size: int) -> int:
    """The size, or a smaller one where sounds, series or tokens of few rows would be padded by more than one step in
    twenty."""
    stepped = any({"frame", "token"} & stored.keys() for stored in feed.inputs.values())
    lengths = feed.lengths() if stepped else None
    while lengths is not None and size > _LEAST_BATCH and padding_share(lengths, size) > _PADDING:
        size //= 2
    return size


def _measure(job: Job, plan: MemberPlan, allowed: float) -> tuple[float, float]:
    """(seconds per step, seconds per look) of a copy of the network."""
    device = torch.device(plan.device)
    network = copy.deepcopy(job.network).to(device).train()
    optimizer = optimizer_of(job, network, plan)
    peaks = [group["lr"] for group in optimizer.param_groups]
    batches = batches_from(job.train, plan, job.member_seed)
    streams = Streams(job.member_seed, device)
    times: list[float] = []
    with quiet(device):
        start = last = perf_counter()
        steps = train_steps(network, optimizer, batches, streams, lambda _: peaks, backward=job.backward)
        for step in steps:
            step.loss.item()  # waits for the device, so that the step is timed and not its launch
            now = perf_counter()
            times.append(now - last)
            last = now
            if len(times) >= _WARM + _MEASURED or (len(times) > _WARM and now - start > allowed):
                break
        look = min(_seconds_to_look(job, network) for _ in range(1 if allowed < sum(times) else 2))
    return usual(times[_WARM:] or times), look


def usual(times: list[float]) -> float:
    """Seconds of a step, from a few: the lower quartile, since whatever else the machine does only adds to them.

    A plan of too many steps is cut back when its run turns out slow; one of too few would waste the budget.
    """
    return sorted(times)[len(times) // 4]


def _seconds_to_look(job: Job, network: nn.Module) -> float:
    network.eval()
    job.network.eval()  # a score may well look at the one it was made for
    start = perf_counter()
    with torch.no_grad():
        job.score(network)
    return perf_counter() - start


def decide_plan(job: Job, watch: Stopwatch) -> MemberPlan:
    """Measure, unless a run of the same has done so, and decide everything that the run will do.

    The random state and the network are as before afterwards.

    Args:
        job: What is to be fitted.
        watch: Started when the fit began; measuring counts.

    Raises:
        TrainError: It cannot fit the memory, or the device is not there.
    """
    device = choose_device(job.spec.device)
    known = Pace.recalled(job.pace)
    size, need = _fitting_batch(job) if known is None else (known.batch_size, known.memory_bytes)
    limits = _counted_limits(job, size)
    most = min(limits.values(), default=10_000)
    draft = MemberPlan(
        name=job.name, steps=most, batch_size=size, epochs=0.0, validate_every=1, checkpoint_every=1,
        seconds=job.limit, memory_bytes=need, threads=torch.get_num_threads(), device=str(device),
    )  # fmt: skip
    if known is None:
        allowed = _UNLIMITED_PROBE if job.limit is None else _SHARE * job.limit
        known = Pace(size, need, *_measure(job, draft, allowed))
        known.remember(job.pace)
    elif job.limit is not None and (_WARM + 1) * known.seconds_per_step + known.seconds_per_look < _GLANCE:
        known = known.faster(*_measure(job, draft, _GLANCE))
    per_step, per_look = known.seconds_per_step, known.seconds_per_look
    if job.limit is not None:
        left = _MARGIN * (job.limit - watch.seconds())
        limits["time"] = _steps_within(left, per_step, 2 * per_look, job, size)
    limited_by, steps = min(limits.items(), key=lambda limit: limit[1])
    every = _look_every(steps, size, job, per_step, 2 * per_look)
    pace = per_step + 2 * per_look / every
    return MemberPlan(
        name=job.name, steps=steps, batch_size=size, epochs=steps * size / len(job.train), validate_every=every,
        checkpoint_every=max(1, round(CHECKPOINT_SECONDS / pace)), seconds=job.limit, seconds_per_step=per_step,
        seconds_per_look=per_look, memory_bytes=need, limited_by=limited_by, threads=draft.threads,
        device=draft.device,
    )  # fmt: skip


def _counted_limits(job: Job, size: int) -> dict[str, int]:
    """Limits that need no clock, in steps."""
    budget = job.spec.budget
    epochs = budget.epochs
    if epochs is None and budget.steps is None and job.limit is None:
        epochs = MAX_EPOCHS
    limits = {} if budget.steps is None else {"steps": budget.steps}
    return limits if epochs is None else limits | {"epochs": max(1, -(-epochs * len(job.train) // size))}


def _steps_within(seconds: float, per_step: float, per_look: float, job: Job, size: int) -> int:
    steps = max(1, int(seconds / per_step))
    for _ in range(3):  # looks depend on steps, and steps on what looks leave: settles at once
        every = _look_every(steps, size, job, per_step, per_look)
        steps = max(1, int((seconds - per_look) / (per_step + per_look / every)))
    return steps


def _look_every(steps: int, size: int, job: Job, per_step: float, per_look: float) -> int:
    every = max(1, steps // looks_for(steps, size, len(job.train), len(job.validation)))
    # Only a run that a clock limits anyway looks at it here; doubling makes the answer the same most times.
    while job.limit is not None and per_look > _LOOK_SHARE * every * per_step and every < steps:
        every = min(2 * every, steps)
    return every
