"""The step plan: how a step is best taken here, measured on copies of the network rather than assumed.

One choice after another is tried against the best so far: both take a few steps in turn (A B A B), from the same
weights on the same batches. A way is taken where its first losses are the plain way's within what rounding explains,
and where it is at least a twentieth faster, each time. All of it has to fit into a twentieth of the run, of
networks of pictures into a tenth.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn

from trueweight.errors import SpecError, VerifyError
from trueweight.files import read_json, write_json
from trueweight.nn.turns import asks_turns
from trueweight.train.foresight import foreseen
from trueweight.train.job import Job
from trueweight.train.loop import GradientRule, Streams, batches_from, clip_to, quiet, train_steps
from trueweight.train.pace import Pace, usual
from trueweight.train.plan import MemberPlan, Trial
from trueweight.train.step_ways import Candidate, candidates, of_rows, pictured, why_no_batch
from trueweight.train.stepping import fewer_threads, optimizer_for, stepping

__all__ = ["Runner", "StepChoice", "choose", "is_hopeless", "rows_to_compare", "seconds_to_look"]

SHARE, PICTURED = 0.05, 0.1
"""Of the run, at most, for all of the step plan, the probe of its pace included: a way that is faster by less would not
be taken anyhow. Networks of pictures may be twice as fast in half precision, and are given more, besides the probe."""
GAIN, CHEAPER = 0.95, 0.9
"""A way must take less than this much of the time of the best one so far, and a larger batch of the time of a row: the
smaller one is kept while it gives 90 % of the rows a second."""
TOLERANCE = {"float32": 1e-3, "bfloat16": 2e-2, "float16": 2e-2}
"""Largest relative difference of the first losses. Optimisers multiply rounding: Adam's first steps have one size
whatever the gradient, so that one of almost nothing may change its sign."""
_GENTLY = 0.1
"""Of the rates: where a run does not begin at its highest rates either, steps of them would multiply rounding."""
COMPILING = 45.0
"""Seconds that compiling a network is assumed to take, before it was tried."""
_LEAST = 0.2
"""Seconds below which nothing is tried."""
_COMPARED = 6
_ROUNDS = 2
_FEWEST, _MOST = 2, 24
_OVERHEAD = 0.02
"""Seconds to make a copy of a small network."""
_HOPELESS, _HOPELESS_SECOND, _HOPELESS_FIRST = 1.5, 4.0, 12.0
"""Times as long as the best way takes, from which on a way is not looked at further: in a round, in its second step,
and in its first, in which kernels are prepared."""
_LONG, _FEW_ROWS = 0.1, 64
"""Seconds of a step of pictures on a CPU from which on fewer rows stand for it, down to so many, where there is no time
to try every way with all of them: convolutions take most of it, and are as quick or slow for a part of a batch. With
500 pictures a step, 1.5 s, a tenth of four minutes was spent before any way had been tried. In steps of 125, bfloat16
took 0.66 of the time of float32; the run's own steps then took 1.0 s, and 1.7 without it."""
_WHOLE = ("batch", "threads", "optimizer", "compile")
"""What is only compared with all rows: an optimiser does the same for fewer, and threads gain less by them."""
_CHEAP = 0.1
"""Seconds of a step that may be spent on any way."""
_LOADED = 2.0
"""Seconds of its first step that may be spent on any way where an accelerator loads and looks for its kernels then: on
an H200 a network's first step in bfloat16 took 0.106 s, 14 steps of the plain way, and the way was dropped for it."""


@dataclass(frozen=True, slots=True)
class StepChoice:
    """What a step plan came to."""

    changes: Mapping[str, Any] = field(default_factory=dict)
    """Fields of a ``MemberPlan`` that differ from the plain ones."""
    step_factor: float = 1.0
    """Time of a step to that of a plain step."""
    look_factor: float = 1.0
    """The same for a look at the validation rows."""
    trials: tuple[Trial, ...] = ()
    allowed: float = 0.0
    """Seconds that there were for it."""

    def applied(self, plan: MemberPlan) -> MemberPlan:
        """The plan with what was chosen."""
        return replace(plan, **self.changes, trials=self.trials)

    def outgrown(self, allowed: float) -> bool:
        """Whether there is now much more time for what there was none for."""
        return allowed > 2 * self.allowed and any(t.status == "not_run" for t in self.trials)

    def remember(self, path: Path | None) -> None:
        """Beside the pace at ``path``, for the next run of the same."""
        if path is not None:
            write_json(_beside(path), asdict(self))

    @classmethod
    def recalled(cls, path: Path | None, plan: MemberPlan) -> "StepChoice | None":
        """What is remembered there and fits the plan; None if it is nothing, or cannot be read."""
        if path is None or not _beside(path).is_file():
            return None
        try:
            raw = read_json(_beside(path))
            found = cls(**{**raw, "trials": tuple(Trial(**trial) for trial in raw["trials"])})
            MemberPlan.from_json(found.applied(plan).to_json())
            sound = all(0 < factor < math.inf for factor in (found.step_factor, found.look_factor))
        except (VerifyError, SpecError, TypeError, KeyError):
            return None
        return found if sound else None


def _beside(path: Path) -> Path:
    return path.with_suffix(".steps.json")


class Runner:
    """A copy of a job's network that takes steps by a plan, to be timed and thrown away.

    Args:
        job: Its network is not changed.
        plan: How steps are taken.
    """

    def __init__(self, job: Job, plan: MemberPlan) -> None:
        self.plan, self.losses = plan, list[float]()
        device = torch.device(plan.device)
        self.network = copy.deepcopy(job.network).to(device).train()
        self._stack = ExitStack()
        taken = self._stack.enter_context(stepping(self.network, plan, job.backward))
        optimizer = optimizer_for(job.spec, self.network, plan, job.train)
        rates = [_GENTLY * group["lr"] for group in optimizer.param_groups]
        rules: list[GradientRule] = [clip_to(job.spec.max_grad_norm)] if job.spec.max_grad_norm else []
        rows = foreseen(self.network, job.train, plan)
        batches = batches_from(rows, plan, job.member_seed, turning=asks_turns(self.network))
        self._steps = train_steps(
            taken.module, optimizer, batches, Streams(job.member_seed, device),
            lambda _: rates, backward=taken.backward, rules=rules,
        )  # fmt: skip

    def block(self, count: int) -> list[float]:
        """Seconds of each of so many steps."""
        times = []
        with fewer_threads(self.plan.threads):
            for _ in range(count):
                start = perf_counter()
                # Reading the loss waits for the device, so that the step is timed and not its launch.
                self.losses.append(next(self._steps).loss.item())
                times.append(perf_counter() - start)
        return times


def seconds_to_look(job: Job, network: nn.Module) -> float:
    """Of one look at the validation rows by a copy of the job's network."""
    network.eval()
    job.network.eval()  # a score may well look at the one it was made for
    start = perf_counter()
    with torch.no_grad():
        job.score(network)
    return perf_counter() - start


def choose(job: Job, plain: MemberPlan, pace: Pace, spent: float) -> StepChoice:
    """How the steps of a run are to be taken, from memory or by measuring. No clock is read where ``step_plan`` is off.

    The random state and the network are as before afterwards.

    Args:
        job: What is to be fitted.
        plain: The plan as it would be otherwise; its ``steps`` are the most that it may take, whatever the time.
        pace: Of the plain way.
        spent: Seconds of the budget that are gone.
    """
    if reason := _why_not(job):
        return _untried(reason)
    assert job.limit is not None  # or there would be a reason
    run = min(job.limit - spent, plain.steps * pace.seconds_per_step)
    plain = replace(plain, steps=max(1, int(run / pace.seconds_per_step)))  # larger batches must leave enough of these
    share, gone = (PICTURED, 0.0) if pictured(job) else (SHARE, spent)
    allowed = min(share * job.limit - gone, share * run)
    known = StepChoice.recalled(job.pace, plain)
    if known is not None and not known.outgrown(allowed) and not _too_large(job, plain, known):
        return known
    short = f"the run is too short: {share:.0%} of about {run:.1f} s, of which {gone:.1f} s are gone"
    if allowed < _LEAST:
        return _untried(short)
    if job.spec.budget.memory is not None and 3 * plain.memory_bytes > job.spec.budget.memory:
        return _untried("the copies to measure on would not fit into train.budget.memory")
    begun = perf_counter()
    ways, few, remark = _to_compare(job, plain, pace, allowed)
    per_step = pace.seconds_per_step * few.batch_size / plain.batch_size
    if allowed < 2 * _COMPARED * per_step:
        return _untried(short)
    with quiet(torch.device(plain.device)):
        found = _Search(job, few, ways, replace(pace, seconds_per_step=per_step), allowed, run, remark, begun).found()
    found.remember(job.pace)
    return found


def _too_large(job: Job, plain: MemberPlan, known: StepChoice) -> bool:
    """Whether a longer run has chosen batches that leave too few steps to this one."""
    size = known.changes.get("batch_size", 0)
    return size > plain.batch_size and bool(why_no_batch(job, plain, size))


def _why_not(job: Job) -> str:
    if job.spec.step_plan == "off":
        return "train.step_plan is off"
    return "" if job.limit is not None else "the budget has no time limit, so no clock is read"


def _untried(reason: str) -> StepChoice:
    return StepChoice(trials=(Trial(name="all", status="not_run", reason=reason),))


class _Search:
    """Tries one candidate after another against the best so far.

    Args:
        job: What is to be fitted.
        plain: Its plan otherwise, maybe with fewer rows.
        ways: The candidates.
        pace: Of that plan.
        allowed: Seconds for all of it.
        run: Seconds that the run will take, about.
        remark: On how they are compared.
        begun: When all of it began, by ``perf_counter``.
    """

    def __init__(
        self, job: Job, plain: MemberPlan, ways: Sequence[Candidate], pace: Pace, allowed: float, run: float,
        remark: str, begun: float,
    ) -> None:  # fmt: skip
        self.job, self.plain, self.pace, self.allowed, self.run = job, plain, pace, allowed, run
        self._begun = begun
        self.best, self.ratio = Runner(job, plain), 1.0
        times = self.best.block(_COMPARED)
        self.step = min(usual(times), pace.seconds_per_step)
        self.reference = list(self.best.losses)
        self.todo = list(ways)
        tried = max(1, sum(way.tried for way in self.todo))
        per_way = (allowed - sum(times)) / tried - _OVERHEAD
        self.count = min(max(int(per_way / (2 * _ROUNDS * self.step)), _FEWEST), _MOST)
        self.taken: dict[str, str] = {}
        self.trials = [Trial(name="plain", seconds=usual(times), ratio=1.0, difference=0.0, agrees=True, reason=remark)]

    def found(self) -> StepChoice:
        """Try them all."""
        while self.todo:
            candidate = self.todo.pop(0)
            self.trials.append(self._tried(candidate))
            size = candidate.changes.get("batch_size", 0)
            if size > self.plain.batch_size and self.taken.get("batch") == candidate.name:  # and still larger ones?
                others = (other for other in self.todo if other.axis != "batch")
                self.todo = [of_rows(self.job, self.plain, 2 * size), *others]
        chosen = set(self.taken.values()) or {"plain"}
        plan, plain = self.best.plan, self.plain
        ours, theirs = asdict(plan), asdict(plain)
        return StepChoice(
            {key: value for key, value in ours.items() if value != theirs[key]},
            self.ratio * plan.batch_size / plain.batch_size, self._look_factor(),
            tuple(replace(trial, chosen=trial.name in chosen) for trial in self.trials), self.allowed,
        )  # fmt: skip

    def _look_factor(self) -> float:
        if self.best.plan.threads == self.plain.threads:
            return 1.0
        with fewer_threads(self.best.plan.threads):
            return max(0.5, seconds_to_look(self.job, self.best.network) / self.pace.seconds_per_look)

    def _left(self) -> float:
        return self.allowed - (perf_counter() - self._begun)

    def _tried(self, candidate: Candidate) -> Trial:
        name = candidate.name
        if candidate.refused:
            return Trial(name=name, status="not_applicable", reason=candidate.refused)
        if candidate.postponed:
            return Trial(name=name, status="not_run", reason=candidate.postponed)
        rows, usual_rows = self.best.plan.batch_size, self.plain.batch_size
        growth, step = candidate.changes.get("batch_size", rows) / rows, self.step * self.ratio * rows / usual_rows
        cost = _OVERHEAD + ((2 + _ROUNDS * self.count) * growth + _ROUNDS * self.count) * step
        cost += COMPILING if candidate.axis == "compile" else 0.0
        if cost > (left := self._left()):
            reason = f"out of time: it would take about {cost:.1f} s, and {max(left, 0):.1f} s are left for measuring"
            return Trial(name=name, status="not_run", reason=reason)
        try:
            return self._raced(candidate)
        except Exception as error:  # kernels that are missing here raise whatever they like
            first = str(error).strip().partition("\n")[0][:200]
            return Trial(name=name, status="failed", reason=f"{type(error).__name__}: {first}")

    def _raced(self, candidate: Candidate) -> Trial:
        plan = replace(self.best.plan, **candidate.changes)
        runner = Runner(self.job, plan)
        expected = self.step * self.ratio * plan.batch_size / self.plain.batch_size
        warm = runner.block(1)
        for first in (True, False):
            if is_hopeless(warm[-1], expected, plan.device, first=first) and not plan.compile:
                times, ratio = warm[-1] / expected, self.ratio * warm[-1] / expected
                reason = f"slower: a step took {times:.0f} times as long"
                return Trial(name=candidate.name, seconds=warm[-1], ratio=ratio, reason=reason)
            warm += runner.block(1) if len(warm) == 1 else []
        if plan.device != "cpu" and _ROUNDS * self.count * (warm[-1] + expected) > self._left():
            reason = f"out of time: its first steps took {sum(warm):.1f} s, most of it to load kernels"
            return Trial(name=candidate.name, status="not_run", reason=reason)
        ours, theirs, wins = list[float](), list[float](), 0
        for _ in range(_ROUNDS):
            a, b = self.best.block(self.count), runner.block(self.count)
            ours, theirs = ours + a, theirs + b
            wins += usual(b) / plan.batch_size < usual(a) / self.best.plan.batch_size
            if usual(b) / plan.batch_size > _HOPELESS * usual(a) / self.best.plan.batch_size:
                break
        step = usual(theirs)
        # What else the machine does disturbs quartiles more than the quickest steps, and compares neither well alone.
        gain = max(step / usual(ours), min(theirs) / min(ours)) * self.best.plan.batch_size / plan.batch_size
        difference, agrees = self._compared(runner, candidate)
        told = Trial(name=candidate.name, seconds=step, ratio=self.ratio * gain, difference=difference, agrees=agrees)
        least = CHEAPER if plan.batch_size > self.best.plan.batch_size else GAIN
        reason = _why_refused(gain, least, wins, agrees, difference, plan.dtype)
        if not reason and plan.compile and (1 - gain) * self.ratio * self.run < warm[0]:
            reason = f"it would save less than the {warm[0]:.0f} s that compiling takes"
        if not reason:
            self.best, self.ratio, self.taken[candidate.axis] = runner, self.ratio * gain, candidate.name
            if candidate.axis == "batch":  # what comes next reads the same rows as this
                self.reference = runner.losses[:_COMPARED]
        return replace(told, reason=reason)

    def _compared(self, runner: Runner, candidate: Candidate) -> tuple[float | None, bool | None]:
        """(largest relative difference of the first losses, whether rounding explains it)."""
        if not all(map(math.isfinite, runner.losses)):
            return None, False
        if candidate.axis == "batch":  # of other rows: nothing to compare
            return None, None
        pairs = list(zip(runner.losses, self.reference, strict=False))
        usual_size = sum(abs(plain) for _, plain in pairs) / len(pairs)
        difference = max(abs(ours - plain) / max(abs(plain), usual_size, 1e-12) for ours, plain in pairs)
        return difference, difference <= TOLERANCE[runner.plan.dtype]


def _to_compare(
    job: Job, plain: MemberPlan, pace: Pace, allowed: float
) -> tuple[list[Candidate], MemberPlan, str]:  # fmt: skip
    """Ways to take a step, the plan by which they are compared, maybe with fewer rows, and a remark on that."""
    ways, rows = list(candidates(job, plain)), plain.batch_size
    if pictured(job) and plain.device == "cpu":
        tried = sum(way.tried and way.axis not in _WHOLE for way in ways)
        rows = rows_to_compare(rows, tried, pace.seconds_per_step, allowed)
    if rows == plain.batch_size:
        return ways, plain, ""
    remark = f"compared in steps of {rows} rows: there is no time to try every way with {plain.batch_size}"
    ways = [replace(way, postponed=remark) if way.axis in _WHOLE else way for way in ways]
    return ways, replace(plain, batch_size=rows), remark


def rows_to_compare(rows: int, ways: int, per_step: float, allowed: float) -> int:
    """Rows of steps by which ways are compared: all, or so many that there is time to try every way.

    Args:
        rows: Of a step of the run.
        ways: That are tried beside the plain one.
        per_step: Seconds of a step of the run.
        allowed: Seconds for all.
    """
    seconds, few = (_COMPARED + ways * (2 + 2 * _ROUNDS * _FEWEST)) * per_step, rows
    while per_step * few / rows >= _LONG and few >= 2 * _FEW_ROWS and seconds * few / rows > allowed:
        few //= 2
    return few


def is_hopeless(seconds: float, expected: float, device: str, *, first: bool) -> bool:
    """Whether a way need not be looked at further after one of its first two steps.

    Args:
        seconds: That the step took.
        expected: Seconds of the best way's steps, of as many rows.
        device: Where the steps are taken.
        first: Whether it was the first step, in which kernels are prepared.
    """
    cheap = _LOADED if first and device != "cpu" else _CHEAP
    return seconds > max((_HOPELESS_FIRST if first else _HOPELESS_SECOND) * expected, cheap)


def _why_refused(
    gain: float, least: float, wins: int, agrees: bool | None, difference: float | None, dtype: str
) -> str:
    if agrees is False:
        told = "are not finite" if difference is None else f"differ by {difference:.2g}"
        return f"its losses {told}; {TOLERANCE[dtype]:g} would be rounding"
    if gain > 1:
        return "slower"
    if gain > least:
        return f"less than {1 - least:.0%} faster"
    return "" if wins == _ROUNDS else "not faster each time"
