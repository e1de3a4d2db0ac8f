"""Solving: one pass or a few over the data per head, no learning rate, no horizon."""

import logging
import math
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

import torch
from torch import Tensor

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed
from trueweight.errors import TrainError
from trueweight.model.protocols import Again, Enough, Solving
from trueweight.nn.encoding import Encoding, Form, Tensors
from trueweight.nn.entries import Entries
from trueweight.progress import Ticker
from trueweight.train.job import FitResult, Job, Look
from trueweight.train.loop import Step
from trueweight.train.plan import Event, MemberPlan
from trueweight.train.watch import Stopwatch

__all__ = ["Manner", "Solvable", "solve"]

_LOG = logging.getLogger("trueweight.train")
_ROWS = 4096
_NUMBERS = 2**22
"""Most numbers of an encoding at once: 16 MB of memory are used again and again, where larger pieces are fetched from
the system and cleared each time."""

_ITEMS = 2**22
"""Most numbers that are read at once, padding included: long series become many more while they are looked at."""

_LEAST_POINTS = 2
"""Points that every path gets, whatever the clock says."""

_CHEAP = 0.01
"""Share of the budget below which a point is not worth stopping for."""


class Solvable(Protocol):
    """What a job's network must be to be solved: a body without weights, and heads that solve."""

    @property
    def form(self) -> Form: ...

    @property
    def targets(self) -> Sequence[str]: ...

    def head(self, target: str) -> Solving: ...

    def encode(self, batch: Batch) -> Encoding: ...

    def entries(self, batch: Batch) -> Entries: ...


Walk = Callable[[Solving, Again, Again, Enough], Generator[tuple[float, float], None, None]]
"""Finds a head's weights along a path: training pass, validation pass, whether there has been enough; gives where it is
on the path and the validation loss there."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How heads find their weights along a path, and what that is called."""

    walk: Walk
    doing: str
    points: str
    cheap: float = _CHEAP
    """Share of the budget below which a point is not worth stopping for."""
    told: Callable[[float], str] = "so no penalty weaker than {:g} was tried".format
    """What an early end means, from the last place on the path."""


def _solved(
    head: Solving, train: Again, validation: Again, enough: Enough
) -> Generator[tuple[float, float], None, None]:
    yield from head.solve(train, validation, enough)


SOLVING = Manner(_solved, "solving", "points")


def solve(job: Job, manner: Manner = SOLVING) -> Generator[Step, None, FitResult]:
    """Solve every head in turn. Yields a Step per point of a path, its loss that of the validation rows.

    On Ctrl-C, heads that have no answer yet get the first point of their path, and the rest is left out. When more
    than the time budget is spent, a path ends early too, its best point so far being kept; see :class:`_Clock`. Both
    are noticed in the middle of a point too, which is then given up, so that what is kept depends on whole points only.

    Raises:
        TrainError: The answer is not finite.
    """
    watch, ticker = Stopwatch(), Ticker(f"{manner.doing} {job.name}", manner.points)
    network = cast(Solvable, job.network)
    history: list[Look] = []
    facts: dict[str, list[tuple[float, float]]] = {}
    clock = _Clock(job, watch, manner)
    stopped = False
    job.network.eval()
    for name in network.targets:
        head = network.head(name)
        clock.begin()
        train, validation = _again(network, job.train, name), _again(network, job.validation, name)
        facts[name] = []
        path = manner.walk(head, train, validation, clock.enough)
        for strength, loss in path:
            facts[name].append((strength, loss))
            number = len(history) + 1
            history.append(Look(number, loss if math.isfinite(loss) else None))
            ticker.note = f"{name}: validation {loss:.4g}"
            ticker.show(number, number + 1)
            if stopped or clock.ends(number, strength):
                break
            try:
                yield Step(number, len(job.train), torch.tensor(loss))
            except KeyboardInterrupt:
                stopped = True
                break
        path.close()  # it may be in the middle of what it keeps
        stopped = stopped or clock.stopped
    plan = clock.plan(len(history))
    if not stopped:
        job.on_plan(plan)  # a run that is resumed after Ctrl-C has the whole path before it
    events = (*clock.events, *([Event("stop", len(history), note="Ctrl-C")] if stopped else []))
    return replace(_result(job, history, facts, events, watch, manner), plan=plan)


class _Clock:
    """Ends paths once more than the budget is spent.

    Never before the second point, because the first, of the strongest penalty, is hardly a model; nor while points
    come almost for nothing, as those of ridge regression do. A job that has a plan is not timed: it ends its paths
    where the plan's events say, and so at the same weights.
    """

    def __init__(self, job: Job, watch: Stopwatch, manner: Manner) -> None:
        self._job, self._watch, self._manner, self._last = job, watch, manner, 0.0
        self._recorded = {event.step: event for event in job.plan.events} if job.plan else {}
        self._points, self._before = 0, (0, math.inf)
        self.stopped = False
        """Whether Ctrl-C ended a path in the middle of a point."""
        self.events: list[Event] = []

    def begin(self) -> None:
        """A path begins."""
        self._points = 0

    def enough(self) -> bool:
        """Whether to give up the point that is being looked for: asked at each pass over the rows."""
        if self._points and self._job.interrupted():
            self.stopped = True
            return True
        if self._job.plan or not self._late(self._watch.seconds()):
            return False
        self._note(self._slow(*self._before))
        return True

    def ends(self, number: int, strength: float) -> bool:
        """Whether a path ends with this point.

        Args:
            number: Of the point, over all heads.
            strength: Of the penalty.
        """
        self._points, self._before = self._points + 1, (number, strength)
        late = self._late(self._watch.seconds())
        self._last = self._watch.seconds()
        event = self._recorded.get(number) if self._job.plan else self._slow(number, strength) if late else None
        if event is None or event.kind != "slow":
            return False
        self._note(event)
        return True

    def _late(self, spent: float) -> bool:
        limit = self._job.limit
        return (
            limit is not None and spent > limit and self._points >= _LEAST_POINTS
            and spent - self._last > self._manner.cheap * limit
        )  # fmt: skip

    def _slow(self, number: int, strength: float) -> Event:
        spent, limit = self._watch.seconds(), self._job.limit
        note = f"{spent:.3g} s of {limit:.3g} s spent, {self._manner.told(strength)}"
        return Event("slow", number, note=note)

    def _note(self, event: Event) -> None:
        self.events.append(event)
        _LOG.warning("%s %s: %s", self._manner.doing, self._job.name, event.note)

    def plan(self, points: int) -> MemberPlan:
        """What happened, to be done again."""
        return self._job.plan or MemberPlan(
            name=self._job.name, steps=points, batch_size=_ROWS, epochs=1.0, validate_every=1, checkpoint_every=1,
            seconds=self._job.limit, limited_by="time" if self.events else "", threads=torch.get_num_threads(),
            events=tuple(self.events),
        )  # fmt: skip


def _result(
    job: Job, history: list[Look], facts: dict[str, list[tuple[float, float]]], events: tuple[Event, ...],
    watch: Stopwatch, manner: Manner,
) -> FitResult:  # fmt: skip
    with torch.no_grad():
        score = job.score(job.network)
    if not math.isfinite(score):
        hint = "look for infinite or huge numbers in the features and targets"
        raise TrainError(
            f"{manner.doing} {job.name} ended with a validation score of {score}", where="train", hint=hint
        )
    steps = len(history)
    Ticker(f"{manner.doing} {job.name}", manner.points).show(steps, steps)
    for event in events:
        job.on_event(event)
    return FitResult(
        steps=steps, best_step=steps, best_score=score, history=tuple(history), events=events,
        stopped="interrupted" if any(event.kind == "stop" for event in events) else "finished",
        seconds=watch.seconds(),
        facts={"paths": {name: [list(point) for point in path] for name, path in facts.items()}},
    )  # fmt: skip


def _again(network: Solvable, feed: Feed, target: str) -> Again:
    sparse = network.form.sparse
    rows = _ROWS if sparse else max(1, min(_ROWS, _NUMBERS // max(1, network.form.width)))

    def batches() -> Iterable[tuple[Encoding | Entries, Tensors, Tensor | None]]:
        for _, batch in feed.chunks(rows, _ITEMS):
            with torch.no_grad():
                z = network.entries(batch) if sparse else network.encode(batch)
            yield z, batch.targets[target], batch.weight_B

    return batches
