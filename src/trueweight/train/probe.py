"""Decides a member's plan by measuring: a few steps and one validation look, on a copy that is thrown away."""

import logging
from dataclasses import replace
from math import ceil

import torch

from trueweight.data.feed import Feed, padding_share
from trueweight.data.packed import Packed
from trueweight.errors import TrainError
from trueweight.nn.resizing import sized_steps, tell
from trueweight.recipes.images import IMAGE
from trueweight.recipes.scaling import batch_size_for
from trueweight.recipes.writing import step_rows
from trueweight.spec.run import TrainSpec
from trueweight.spec.units import describe_bytes
from trueweight.train.filling import filling, reads_tokens, steps_of_epoch, writes_from_tokens
from trueweight.train.job import Job
from trueweight.train.loop import quiet
from trueweight.train.memory import needed
from trueweight.train.pace import Pace, usual
from trueweight.train.plan import MemberPlan
from trueweight.train.step_plan import Runner, choose, seconds_to_look
from trueweight.train.watch import Stopwatch

__all__ = [
    "asked_batch", "choose_device", "decide_plan", "few_tokens", "hurried", "little_padded", "looks_for", "usual",
]  # fmt: skip

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
_SPARING = (2, 0.1)
"""Fewest looks, and the share as above, of networks that read pictures, or sounds for anything but texts, or write
texts from texts: a short run of them is better at its end than anywhere before, and each look takes the
time of many steps from it. On made-up commands 9 of 10 runs of 60 and 200 steps were best at the last of their ten
looks. Runs of one to three passes that learnt titles of clothing reviews were best at the last of their twenty, or the
one before; two of seven passes about the middle, which the eleven looks that they are left with still find."""
_HURRIED_BATCH = 128
"""Most rows of a step where there is little time for each picture: more steps are worth more. On cifar10, after 8
seconds of one core, accuracy was 0.605 with 128 and 0.579 with 256."""
_TRAINING = 0.8
"""Share of a table's rows that train, about: recipes know the table."""
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


def looks_for(steps: int, batch_size: int, rows: int, validation_rows: int, *, sparing: bool = False) -> int:
    """Validation looks in a run: about one per epoch, 20 to 100, and fewer where they would cost too much.

    No clock is read: runs limited by steps or epochs are the same on every machine without a plan.

    Args:
        steps: Of the run.
        batch_size: Rows of each.
        rows: That train.
        validation_rows: That are looked at.
        sparing: Spend a third of that on looks; see :data:`_SPARING`.
    """
    trained = steps * batch_size
    looks = min(max(trained // max(rows, 1), 20), 100)
    # A look costs a third of a training pass per row, and two networks are looked at.
    least, share = _SPARING if sparing else (5, 0.3)
    affordable = max(least, int(share * trained / max(validation_rows, 1)))
    return max(1, min(looks, affordable, steps))


def asked_batch(spec: TrainSpec, rows: int) -> int:
    """Rows per step, memory aside, of a table of so many training rows."""
    return min(batch_size_for(rows) if spec.batch_size == "auto" else spec.batch_size, rows)


def _fitting_batch(job: Job) -> tuple[int, int]:
    """(batch size, predicted bytes); "auto" shrinks to fit the memory, a size asked for does not."""
    asked, size = job.spec.batch_size, asked_batch(job.spec, len(job.train))
    if asked == "auto":
        size = min(size, _HURRIED_BATCH) if hurried(job.train, job.limit) else size
        size = little_padded(job.train, few_tokens(job.train, size))
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


def hurried(train: Feed, limit: float | None) -> bool:
    """Whether there is so little time for each picture that the recipe makes networks smaller.

    Args:
        train: Training rows.
        limit: Seconds of the fit.
    """
    return _pictured(train) and limit is not None and len(train) >= _TRAINING * IMAGE.hurried * limit


def _pictured(feed: Feed) -> bool:
    return any("pixel" in stored for stored in feed.inputs.values())


def _sparing(feed: Feed) -> bool:
    """Whether looks are few; see :data:`_SPARING`."""
    if _heard(feed):
        return not any("token" in stored for stored in feed.targets.values())
    return _pictured(feed) or (writes_from_tokens(feed) and reads_tokens(feed))


def _heard(feed: Feed) -> bool:
    """Whether any column holds sounds: their steps, unlike those of series, are kept in half precision."""
    frames = [stored["frame"] for stored in feed.inputs.values() if "frame" in stored]
    return any((frame.value_MC if isinstance(frame, Packed) else frame).dtype == torch.float16 for frame in frames)


def few_tokens(feed: Feed, size: int) -> int:
    """The size, or a smaller one where texts are written: more steps are worth more than many tokens in each."""
    writes = any({"token", "whole"} <= stored.keys() for stored in feed.targets.values())
    hears = any("frame" in stored for stored in feed.inputs.values())
    lengths = feed.lengths() if writes and not hears else None
    return size if lengths is None else step_rows(float(lengths.double().mean()), size, reads=reads_tokens(feed))


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
    with quiet(torch.device(plan.device)):
        runner = Runner(job, plan)
        smaller = sized_steps(runner.network)
        times = _timed(runner, allowed)
        per_step, spent = usual(times[_WARM:] or times), sum(times)
        if smaller:
            tell(runner.network, 0.0)
            times = _timed(runner, allowed)
            per_step, spent = (1 - smaller) * per_step + smaller * usual(times[_WARM:] or times), spent + sum(times)
        looks = 1 if allowed < spent else 2
        look = min(seconds_to_look(job, runner.network) for _ in range(looks))
    return per_step, look


def _timed(runner: Runner, allowed: float) -> list[float]:
    """Seconds of each of a few steps."""
    times: list[float] = []
    while len(times) < _WARM + _MEASURED and (len(times) <= _WARM or sum(times) < allowed):
        times += runner.block(1)
    return times


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
    filled = filling(job, size)
    draft = MemberPlan(
        name=job.name, steps=1, batch_size=size, epochs=0.0, validate_every=1, checkpoint_every=1,
        seconds=job.limit, memory_bytes=need, threads=torch.get_num_threads(), device=str(device),
        tokens=filled.tokens, packed=filled.packed,
    )  # fmt: skip
    limits = _counted_limits(job, draft)
    draft = replace(draft, steps=min(limits.values(), default=10_000))
    if known is None:
        allowed = _UNLIMITED_PROBE if job.limit is None else _SHARE * job.limit
        known = Pace(size, need, *_measure(job, draft, allowed))
        known.remember(job.pace)
    elif job.limit is not None and (_WARM + 1) * known.seconds_per_step + known.seconds_per_look < _GLANCE:
        known = known.faster(*_measure(job, draft, _GLANCE))
    chosen = choose(job, draft, known, watch.seconds())
    draft = chosen.applied(draft)
    if draft.batch_size != size:
        size = draft.batch_size
        limits, need = _counted_limits(job, draft), needed(job, size).whole
    per_step, per_look = chosen.step_factor * known.seconds_per_step, chosen.look_factor * known.seconds_per_look
    if job.limit is not None:
        left = _MARGIN * (job.limit - watch.seconds())
        limits["time"] = _steps_within(left, per_step, 2 * per_look, job, size)
    limited_by, steps = min(limits.items(), key=lambda limit: limit[1])
    every = _look_every(steps, size, job, per_step, 2 * per_look)
    pace = per_step + 2 * per_look / every
    return replace(
        draft, steps=steps, epochs=steps / steps_of_epoch(job.train, draft), validate_every=every,
        checkpoint_every=max(1, round(CHECKPOINT_SECONDS / pace)), seconds_per_step=per_step,
        seconds_per_look=per_look, memory_bytes=need, limited_by=limited_by,
    )  # fmt: skip


def _counted_limits(job: Job, plan: MemberPlan) -> dict[str, int]:
    """Limits that need no clock, in steps."""
    budget = job.spec.budget
    epochs = budget.epochs
    if epochs is None and budget.steps is None and job.limit is None:
        epochs = MAX_EPOCHS
    limits = {} if budget.steps is None else {"steps": budget.steps}
    return limits if epochs is None else limits | {"epochs": max(1, ceil(epochs * steps_of_epoch(job.train, plan)))}


def _steps_within(seconds: float, per_step: float, per_look: float, job: Job, size: int) -> int:
    steps = max(1, int(seconds / per_step))
    for _ in range(3):  # looks depend on steps, and steps on what looks leave: settles at once
        every = _look_every(steps, size, job, per_step, per_look)
        steps = max(1, int((seconds - per_look) / (per_step + per_look / every)))
    return steps


def _look_every(steps: int, size: int, job: Job, per_step: float, per_look: float) -> int:
    every = max(1, steps // looks_for(steps, size, len(job.train), len(job.validation), sparing=_sparing(job.train)))
    # Only a run that a clock limits anyway looks at it here; doubling makes the answer the same most times.
    while job.limit is not None and per_look > _LOOK_SHARE * every * per_step and every < steps:
        every = min(2 * every, steps)
    return every
