"""A job: one member, the data to fit it on, and what the fit came to."""

import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import nn

from trueweight.data.feed import Feed
from trueweight.seeds import stream_seed
from trueweight.spec.run import TrainSpec
from trueweight.train.loop import Backward, Optimizer, Step, plain_backward
from trueweight.train.plan import Event, MemberPlan
from trueweight.train.watch import Stopwatch, interrupts

__all__ = ["FitResult", "FitterPart", "Job", "Look", "OptimizerPart", "Score", "Writing", "fit_member"]

_LOG = logging.getLogger("trueweight.train")

Score = Callable[[nn.Module], float]
"""How good a network is on the validation rows; lower is better. It is called with the network in evaluation
mode, without gradients, and on the plan's device: move batches there with ``loop.to_device``."""


Writing = Callable[[float | None], Score | None]
"""For a fit of so many seconds, or without limit: how badly a network writes texts of validation rows, which takes
long. None where there is no time for it, or there are too few rows."""


def _unheard(_: Any) -> None:
    return None


def _undisturbed() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One member to be fitted."""

    name: str
    network: nn.Module
    """Changed in place. ``gradient`` needs ``network(batch, rng)`` to be one scalar loss, ``solve`` a ``Solvable``."""
    train: Feed
    validation: Feed
    spec: TrainSpec
    """Resolved: the optimiser and the budget's limits are set."""
    seed: int
    """The run's seed. Each member's random streams depend on its name too."""
    score: Score
    writing: Writing | None = None
    """Asked at the end alone, of the weights of the best score and of the last ones. None: nothing is written."""
    folder: Path | None = None
    """The run's folder, for checkpoints. If it holds any of this member, the fit goes on from there.
    None: kept in memory only."""
    seconds: float | None = None
    """This member's share of the time budget. None: the whole of ``spec.budget.time``."""
    plan: MemberPlan | None = None
    """What to do, from ``plan.json``; None: decided by measuring."""
    on_plan: Callable[[MemberPlan], None] = _unheard
    """Called with the plan before the first step, and again before anything that a clock decides takes effect.
    Must have stored it when it returns: see ``plan.record_member``."""
    on_event: Callable[[Event], None] = _unheard
    """Called with everything that changes the course of the run."""
    interrupted: Callable[[], bool] = _undisturbed
    """Whether Ctrl-C was pressed: steps that take long ask in the middle of one."""
    backward: Backward = plain_backward
    pace: Path | None = None
    """Where it is remembered how long steps of the same run take; None: nowhere, they are measured."""

    @property
    def member_seed(self) -> int:
        """Seed of this member's own streams."""
        return stream_seed(self.seed, f"fit {self.name}")

    @property
    def limit(self) -> float | None:
        """Seconds that the fit may take; None: no limit."""
        return self.seconds if self.seconds is not None else self.spec.budget.time


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the validation rows."""

    step: int
    score: float | None
    """Of the weights as they were; None if it was not finite."""
    averaged: float | None = None
    """Of their running average; None if there is none, or its score was not finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """What a fit came to. The network holds the best weights found, in evaluation mode, on the CPU."""

    steps: int
    """Steps taken (points of the path, for ``solve``)."""
    best_step: int
    best_score: float
    """On validation rows; lower is better."""
    averaged: bool = False
    """Whether the best weights are a running average."""
    history: tuple[Look, ...] = ()
    stopped: Literal["finished", "interrupted"] = "finished"
    events: tuple[Event, ...] = ()
    seconds: float = 0.0
    """Wall time, that of killed processes up to their last checkpoint included."""
    plan: MemberPlan | None = None
    """With all that was decided on the way: replaying it gives the same weights."""
    first_step: float = 0.0
    """Wall seconds until the first step was taken."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What else is worth keeping, as plain JSON: the strengths that ``solve`` tried."""


class OptimizerPart(Protocol):
    """A part of kind ``optimizer``. Its class is a ``PartSpec``, torch-free to import."""

    type: str
    states_per_weight: int
    """Numbers of memory per weight, for predicting the need of memory."""
    weighs: bool
    """Whether it wants to know ``seen``, which takes a forward pass to count."""
    auto: Mapping[str, float]
    """What options stand for that are "auto", at the recipe's batch size."""

    def build(
        self, network: nn.Module, *, steps: int | None = None, seen: Mapping[str, float] | None = None
    ) -> Optimizer:
        """An optimiser of the network's parameters, with the peak rate in each group's ``lr``.

        Args:
            network: On the device that it is trained on.
            steps: Of the whole run, where known.
            seen: Rows that each weight is multiplied with in a step, by name, where counted: what decides whether work
                on the weight itself is dear. A weight that no product was seen of is missing.
        """
        ...


class FitterPart(Protocol):
    """A part of kind ``fitter``. Its class is a ``PartSpec``, torch-free to import."""

    type: str
    solving: bool
    """Whether heads find their weights themselves, over a body without weights to train."""
    boosting: bool
    """Whether the network must be built of ``Boosted`` heads."""

    def require(self) -> None:
        """Refuse if something that it needs is not installed.

        Raises:
            SpecError: Names the extra.
        """
        ...

    def fit(self, job: Job) -> Generator[Step, None, FitResult]:
        """Fit the job's network, yielding each step. Its return value is the result.

        A KeyboardInterrupt thrown in at a yield asks it to stop with the best found so far.
        """
        ...


def fit_member(job: Job, fitter: FitterPart) -> FitResult:
    """Fit one member to the end, or until Ctrl-C.

    The first Ctrl-C ends the fit after the current step, with the best weights so far; the second one raises.

    Raises:
        TrainError: Training diverged, does not fit the memory, or its checkpoints are broken.
        KeyboardInterrupt: Pressed twice, before there was anything to keep, or after the last step.
    """
    with interrupts() as heard:
        job = replace(job, interrupted=lambda: heard.count > 0)
        steps, watch, first = fitter.fit(job), Stopwatch(), None
        try:
            while True:
                if heard.count:
                    steps.throw(KeyboardInterrupt())
                else:
                    next(steps)
                first = watch.seconds() if first is None else first
        except StopIteration as end:
            result: FitResult = replace(end.value, first_step=first or 0.0)
    if heard.count > 1 or (heard.count and result.stopped == "finished"):  # a press is never lost: what follows ends
        raise KeyboardInterrupt
    if result.stopped == "interrupted":
        text = "%s: stopped at step %d, keeping the best so far (step %d)"
        _LOG.warning(text, job.name, result.steps, result.best_step)
    return result
