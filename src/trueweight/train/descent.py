"""Gradient descent of one member: the loop's body, and everything that reacts to a step.

The course of a run depends on the seed and the plan alone. Looks, averages and snapshots happen at steps that
the plan fixes; checkpoints happen beside them and change nothing; a clock is read only to add an event to the
plan, which is stored before it takes effect.
"""

import gc
import logging
import math
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Literal

import torch
from torch import Tensor

from trueweight.data.batch import Batch
from trueweight.errors import TrainError
from trueweight.nn.resizing import sized_steps, tell
from trueweight.nn.turns import asks_turns
from trueweight.progress import Ticker
from trueweight.train.checkpoint import Checkpoint, Checkpoints
from trueweight.train.filling import refuse_foreign
from trueweight.train.foresight import foreseen
from trueweight.train.groups import told
from trueweight.train.guard import CHECK_EVERY, MAX_HALVINGS, Guard
from trueweight.train.heap import Holes
from trueweight.train.job import FitResult, Job, Look
from trueweight.train.loop import GradientRule, Step, Streams, batches_from, clip_to, quiet, train_steps
from trueweight.train.origin import check_origin, origin, refuse_empty, warn_of_threads
from trueweight.train.pace import Pace
from trueweight.train.plan import Event, MemberPlan
from trueweight.train.probe import decide_plan
from trueweight.train.schedule import Cooldown, Schedule
from trueweight.train.state import FitState, load_weights, within
from trueweight.train.stepping import Stepping, fewer_threads, optimizer_for, stepping
from trueweight.train.watch import Stopwatch
from trueweight.train.weighing import weighed

__all__ = ["Descent", "descend"]

_LOG = logging.getLogger("trueweight.train")

OVERSHOOT, AIM = 1.2, 1.15
"""How far beyond the budget a slow machine may go, and what an early end then aims at."""

_STEPS_FOR_A_PACE = 10

Stopped = Literal["finished", "interrupted"]


def descend(job: Job) -> Generator[Step, None, FitResult]:
    """Fit a network by gradients, going on from the newest checkpoint in ``job.folder`` if there is one.

    Raises:
        TrainError: Training diverged again and again, does not fit the memory, the checkpoints are all broken,
            or they belong to another run.
    """
    watch = Stopwatch()
    refuse_empty(job)
    found = Checkpoints(job.folder, job.name).load() if job.folder else None
    plan = job.plan or (MemberPlan.from_json(found.facts["plan"]) if found else decide_plan(job, watch))
    warn_of_threads(plan)
    refuse_foreign(job, plan)
    if found:
        check_origin(found, job, plan)
    job.on_plan(plan)
    job.network.to(plan.device)
    with fewer_threads(plan.threads), stepping(job.network, plan, job.backward) as taken:
        descent = Descent(job, plan, watch, taken)
        if found:
            watch.before = found.facts["seconds"]
            descent.load(found)
            if (done := found.facts["result"]) is not None:
                return descent.reported(done)
        with quiet(torch.device(plan.device)):
            stopped = yield from descent.run()
        return descent.finish(stopped)


class Descent:
    """All that changes while one member descends.

    Args:
        job: What is fitted. Its network is on the plan's device.
        plan: What to do.
        watch: Started when the fit began.
        taken: How steps are taken, by that plan.
    """

    def __init__(self, job: Job, plan: MemberPlan, watch: Stopwatch, taken: Stepping) -> None:
        self.job, self.plan, self.watch, self.taken = job, plan, watch, taken
        self.state = FitState(job.network, optimizer_for(job.spec, job.network, plan, job.train), plan.steps)
        shape = job.spec.lr_schedule
        self.schedule = Schedule.of(plan.steps, warmup=shape.warmup, decay=shape.decay)
        self.guard = Guard()
        self.holes = Holes()
        self.ticker = Ticker(f"training {job.name}", "steps")
        self.saved = Checkpoints(job.folder, job.name) if job.folder else None
        self.step = 0
        self.halvings = 0
        self.history: list[Look] = []
        self.events: list[Event] = []
        self.best: dict[str, Tensor] | None = None
        self.best_look = (0, math.inf, False)
        self.good: dict[str, Tensor] = self.state.capture()
        self.good_step, self._renewing = 0, False
        self._recorded = {event.step: event for event in plan.events}
        self._since = (0, watch.seconds())

    def run(self) -> Generator[Step, None, Stopped]:
        """Take the steps that are left."""
        self._since = (self.step, self.watch.seconds())
        if self.step >= self.schedule.total:
            return "finished"
        if self._stops_here():
            return self._stop(record=False)
        self.job.network.train()
        try:
            for step in self._steps():
                self.after(step)
                if self._stops_here():
                    return self._stop(record=False)
                try:
                    yield step
                except KeyboardInterrupt:
                    return self._stop(record=True)
                if step.number >= self.schedule.total:
                    break
        except KeyboardInterrupt:  # in the middle of a step: what it left cannot be trusted
            if self._renewing:  # between two steps: what there is now is whole, the snapshot is not
                self._renew_good()
            self.state.restore(self.good)
            self.step = max(self.good_step, self.history[-1].step if self.history else 0)
            return self._stop(record=True)
        return "finished"

    def _told(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same. Before each, the network is told how much of the run is over: of its own steps, early ends
        included, and so the same whenever the plan is followed."""
        for number, batch in enumerate(batches, self.step + 1):
            tell(self.job.network, (number - 1) / self.schedule.total)
            yield batch

    def _steps(self) -> Generator[Step, None, None]:
        plan, seed = self.plan, self.job.member_seed
        rules: list[GradientRule] = [clip_to(self.job.spec.max_grad_norm)] if self.job.spec.max_grad_norm else []
        streams = Streams(seed, torch.device(plan.device))
        rows = foreseen(self.job.network, self.job.train, plan)
        batches = batches_from(rows, plan, seed, after=self.step, turning=asks_turns(self.job.network))
        batches = self._told(batches) if sized_steps(self.job.network) else batches
        taken, optimizer = self.taken, self.state.optimizer
        yield from train_steps(
            taken.module, optimizer, batches, streams, self.rates, after=self.step, backward=taken.backward, rules=rules
        )

    def rates(self, step: int) -> list[float]:
        """The learning rate of each of the optimiser's groups."""
        factor = self.schedule.factor(step) / 2**self.halvings
        return [peak * factor for peak in self.state.peaks]

    def after(self, step: Step) -> None:
        """React to a step. Everything here happens at steps that the plan fixes."""
        self.step = number = step.number
        self.guard.add(step.loss)
        self.state.average(number)
        looking = number % self.plan.validate_every == 0 or number == self.schedule.total
        if looking or number % CHECK_EVERY == 0:
            self._watch_for_divergence()
        if looking:
            self.look()
        self._obey(number)
        self._mind_the_clock(number)
        if self.saved and number % self.plan.checkpoint_every == 0 and number < self.schedule.total:
            self.saved.save(self.checkpoint())
        self.holes.give_back()
        self.ticker.show(number, self.schedule.total)

    def look(self) -> None:
        """Score the weights and their average on validation rows; keep the better ones if they are the best so far."""
        self.job.network.eval()
        for parameter in self.job.network.parameters():
            parameter.grad = None  # the next step makes its own, and the look needs memory
        with torch.no_grad():
            raw = self.job.score(self.job.network)
            self._keep_if_best(raw, averaged=False)
            with self.state.averaged():
                averaged = self.job.score(self.job.network)
                self._keep_if_best(averaged, averaged=True)
        self.job.network.train()
        self.history.append(Look(self.step, _finite(raw), _finite(averaged)))
        if self.best is not None:
            self.ticker.note = f"validation {self.best_look[1]:.4g}"
        if self.guard.calm:
            self._renew_good()
        self._cool_on_a_plateau()
        gc.collect(1)  # what the loop's iterations left, while the collector is off

    def _renew_good(self) -> None:
        self._renewing = True
        self.state.renew(self.good)
        self.good_step, self._renewing = self.step, False

    def _keep_if_best(self, score: float, *, averaged: bool) -> None:
        if score < self.best_look[1]:
            self.best_look = (self.step, float(score), averaged)
            self.best = self.state.weights()

    def _cool_on_a_plateau(self) -> None:
        stopping = self.job.spec.early_stopping
        if stopping is None or self.schedule.cooling(self.step) or self.step < self.schedule.warmup:
            return
        stale = sum(1 for look in self.history if look.step > self.best_look[0])
        if stale >= stopping.patience:
            note = f"no better validation score in {stale} looks"
            self._happened(Event("plateau", self.step, max(1, self.schedule.decay), note))

    def _watch_for_divergence(self) -> None:
        loss = self.guard.check()
        if loss is None:
            return
        if self.halvings >= MAX_HALVINGS:
            raise TrainError(
                f"training {self.job.name} diverged: the loss is {loss:.4g} at step {self.step}, after the learning"
                f" rate was halved {MAX_HALVINGS} times",
                where="train.optimizer.learning_rate",
                hint="lower it, raise train.lr_schedule.warmup, or check the targets for outliers",
            )
        self.halvings += 1
        self.state.restore(self.good)
        self.guard.recover()
        note = f"loss {loss:.4g}: back to the weights of step {self.good_step}, at half the rate"
        self._happened(Event("diverged", self.step, note=note))

    def _happened(self, event: Event) -> None:
        if event.length:
            self.schedule = self.schedule.cooled(event.step, event.length)
        self.events.append(event)
        self.job.on_event(event)
        _LOG.info("%s: %s at step %d: %s", self.job.name, event.kind, event.step, event.note)

    def _stops_here(self) -> bool:
        """Whether the plan's run was stopped by hand at this step."""
        event = self._recorded.get(self.step)
        return event is not None and event.kind == "stop"

    def _obey(self, number: int) -> None:
        """Let an event of the plan take effect at its step."""
        event = self._recorded.get(number)
        if event is not None and event.kind == "slow":
            self._happened(event)

    def _mind_the_clock(self, number: int) -> None:
        """End the run early if the machine has become so slow that it would overshoot by more than a fifth."""
        budget = self.plan.seconds
        if not self.plan.clock or budget is None or any(step >= number for step in self._recorded):
            return
        spent, left = self.watch.seconds(), self.schedule.total - number
        started, at = self._since
        taken = number - started
        pace = (spent - at) / taken
        if taken < _STEPS_FOR_A_PACE or left <= 1 or spent + left * pace <= OVERSHOOT * budget:
            return
        fits = int((AIM * budget - spent) / pace)
        if fits > self.job.spec.lr_schedule.decay * (number + fits) and not self.schedule.cooling(number):
            return  # there is time to go on at the full rate for a while
        note = f"{spent:.0f} s of {budget:.0f} s spent with {left} steps left"
        event = Event("slow", number, max(1, min(fits, left - 1)), note)
        self.plan = self.plan.with_event(event)
        self._recorded[number] = event
        self.job.on_plan(self.plan)  # stored before it takes effect, so that a resumed run does the same
        self._happened(event)

    def _stop(self, *, record: bool) -> Stopped:
        event = Event("stop", self.step, note="Ctrl-C")
        if record:
            if self.saved and self.step:
                self.saved.save(self.checkpoint())  # before the look, which a resumed run would not have
            self.plan = self.plan.with_event(event)
        self._happened(event)
        if self.best is None:
            self.look()
        return "interrupted"

    def checkpoint(self, result: Mapping[str, Any] | None = None) -> Checkpoint:
        """This moment, to go on from."""
        tensors = {f"best/{name}": t for name, t in (self.best or {}).items()}
        if result is None:
            tensors |= {f"guard/{name}": t for name, t in self.guard.state().items()}
            tensors |= {f"now/{name}": t for name, t in self.state.tensors().items()}
            tensors |= {f"good/{name}": t for name, t in self.good.items()}
        facts = {
            "origin": origin(self.job, self.plan),
            "plan": self.plan.to_json(),
            "seconds": self.watch.seconds(),
            "halvings": self.halvings,
            "best_look": None if self.best is None else list(self.best_look),
            "good_step": self.good_step,
            "history": [asdict(look) for look in self.history],
            "events": [asdict(event) for event in self.events],
            "cooldowns": [asdict(cooldown) for cooldown in self.schedule.cooldowns],
            "result": result,
        }
        return Checkpoint(self.step, facts, tensors)

    def load(self, found: Checkpoint) -> None:
        """The inverse of :meth:`checkpoint`."""
        facts, tensors = found.facts, found.tensors
        self.step, self.halvings, self.good_step = found.step, facts["halvings"], facts["good_step"]
        self.history = [Look(**look) for look in facts["history"]]
        self.events = [Event(**event) for event in facts["events"]]
        cooldowns = tuple(Cooldown(**cooldown) for cooldown in facts["cooldowns"])
        plain = self.schedule
        self.schedule = Schedule(plain.planned, plain.warmup, plain.decay, cooldowns)
        if facts["best_look"] is not None:
            step, score, averaged = facts["best_look"]
            self.best_look, self.best = (step, score, averaged), within(tensors, "best/")
        if facts["result"] is None:
            self.guard.load(within(tensors, "guard/"))
            self.state.restore(within(tensors, "now/"))
            self.good = within(tensors, "good/")

    def finish(self, stopped: Stopped) -> FitResult:
        """Put the best weights into the network, and say how it went."""
        if self.best is None:
            hint = "look for infinite or huge numbers in the validation rows' features and targets"
            raise TrainError(f"no validation score of {self.job.name} was finite", where="train", hint=hint)
        result: dict[str, Any] = {"steps": self.step, "stopped": stopped}
        self._remember_pace()
        if stopped == "finished" and (written := self._weigh_the_end()):
            result["written"] = written
        if self.saved and stopped == "finished":
            self.saved.save(self.checkpoint(result))
        return self.reported(result)

    def _weigh_the_end(self) -> str:
        """Keep the weights as they ended instead of those of the best score, where texts are written and these write
        better; see :mod:`~trueweight.train.written`. Gives what was found; "" if there was nothing to weigh."""
        last = self.history[-1] if self.history else None
        if self.job.writing is None or last is None or last.step != self.step or self.best_look[0] == self.step:
            return ""
        assert self.best is not None  # finish has seen to it
        writing = self.job.writing(self.plan.seconds)
        found = None if writing is None else weighed(self.state, self.best, last, writing)
        if found is None:
            return ""
        said = found.told(self.best_look[0])
        if found.last < found.best:
            self.best_look, self.best = (self.step, found.score, found.averaged), dict(found.weights)
        return said

    def _remember_pace(self) -> None:
        """Tell the next run of the same how long steps and looks really took."""
        begun, at = self._since
        known, looks = Pace.recalled(self.job.pace), sum(1 for look in self.history if look.step > begun)
        planned = (self.step - begun) * self.plan.seconds_per_step + 2 * looks * self.plan.seconds_per_look
        if known is None or self.step - begun < _STEPS_FOR_A_PACE or not planned:
            return
        known.corrected((self.watch.seconds() - at) / planned).remember(self.job.pace)

    def reported(self, result: Mapping[str, Any]) -> FitResult:
        """The result of a fit that has ended."""
        assert self.best is not None  # checked by finish, also before a checkpoint with a result was written
        load_weights(self.job.network, self.best)
        self.job.network.eval().cpu()
        step, score, averaged = self.best_look
        return FitResult(
            steps=result["steps"], best_step=step, best_score=score, averaged=averaged, history=tuple(self.history),
            stopped=result["stopped"], events=tuple(self.events), seconds=self.watch.seconds(), plan=self.plan,
            facts={"optimizer": told(self.state.optimizer, self.job.network), "written": result.get("written", "")},
        )  # fmt: skip


def _finite(score: float) -> float | None:
    return float(score) if math.isfinite(score) else None
