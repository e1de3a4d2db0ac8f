"""Solving: one pass or a few over the data per head, no learning rate, no horizon."""

import logging
import math
from collections.abc import Generator, Iterable, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor

from trueweight.data.batch import Batch
from trueweight.data.feed import Feed
from trueweight.errors import TrainError
from trueweight.model.protocols import Again, Solving
from trueweight.nn.encoding import Encoding, Tensors
from trueweight.train.job import FitResult, Job, Look
from trueweight.train.loop import Step
from trueweight.train.plan import Event
from trueweight.train.watch import Stopwatch, Ticker

__all__ = ["Solvable", "solve"]

_LOG = logging.getLogger("trueweight.train")
_ROWS = 8192


class Solvable(Protocol):
    """What a job's network must be to be solved: a body without weights, and heads that solve."""

    @property
    def targets(self) -> Sequence[str]: ...

    def head(self, target: str) -> Solving: ...

    def encode(self, batch: Batch) -> Encoding: ...


def solve(job: Job) -> Generator[Step, None, FitResult]:
    """Solve every head in turn. Yields a Step per point of a path, its loss that of the validation rows.

    On Ctrl-C, heads that have no answer yet get the first point of their path, and the rest is left out.

    Raises:
        TrainError: The answer is not finite.
    """
    watch, ticker = Stopwatch(), Ticker(f"solving {job.name}", "points")
    network = cast(Solvable, job.network)
    history: list[Look] = []
    facts: dict[str, list[tuple[float, float]]] = {}
    stopped = False
    job.network.eval()
    for name in network.targets:
        head = network.head(name)
        path = iter(head.solve(_again(network, job.train, name), _again(network, job.validation, name)))
        facts[name] = []
        for strength, loss in path:
            facts[name].append((strength, loss))
            number = len(history) + 1
            history.append(Look(number, loss if math.isfinite(loss) else None))
            ticker.note = f"{name}: validation {loss:.4g}"
            ticker.show(number, number + 1)
            if stopped:
                break
            try:
                yield Step(number, len(job.train), torch.tensor(loss))
            except KeyboardInterrupt:
                stopped = True
                break
    return _result(job, history, facts, stopped, watch)


def _result(
    job: Job, history: list[Look], facts: dict[str, list[tuple[float, float]]], stopped: bool, watch: Stopwatch
) -> FitResult:
    with torch.no_grad():
        score = job.score(job.network)
    if not math.isfinite(score):
        hint = "look for infinite or huge numbers in the features and targets"
        raise TrainError(f"solving {job.name} ended with a validation score of {score}", where="train", hint=hint)
    steps = len(history)
    Ticker(f"solving {job.name}", "points").show(steps, steps)
    events = (Event("stop", steps, note="Ctrl-C"),) if stopped else ()
    for event in events:
        job.on_event(event)
    return FitResult(
        steps=steps, best_step=steps, best_score=score, history=tuple(history), events=events,
        stopped="interrupted" if stopped else "finished", seconds=watch.seconds(),
        facts={"paths": {name: [list(point) for point in path] for name, path in facts.items()}},
    )  # fmt: skip


def _again(network: Solvable, feed: Feed, target: str) -> Again:
    def batches() -> Iterable[tuple[Encoding, Tensors, Tensor | None]]:
        for batch in feed.batches(_ROWS):
            with torch.no_grad():
                encoding = network.encode(batch)
            yield encoding, batch.targets[target], batch.weight_B

    return batches
