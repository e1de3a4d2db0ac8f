"""The bake-off: which way of running a model's networks is the fastest here, measured on its own golden rows.

Every way answers the golden rows first, and is out unless all answers are within the bundle's tolerance. The others
answer one row, and all golden rows, by turns (A B C A B C …), so that what else the machine does disturbs them alike.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from trueweight.bundle.golden import Golden, check_golden
from trueweight.data.table import Table
from trueweight.errors import SpecError, VerifyError
from trueweight.model.predictors.network import NetworkPredictor
from trueweight.model.predictors.tree import leaves_of
from trueweight.model.protocols import FORCED, Predictor

__all__ = ["SECONDS", "WAYS", "BakeOff", "Timing", "bake_off", "run_as"]

WAYS = ("eager", "onnx", "channels_last", "channels_first", "compiled")
"""What is tried, in this order. "eager" is the network as it was tested, and the measure of the others."""
SECONDS = 8.0
"""For all of it. What is being prepared when they are over is not interrupted."""
COMPILING = 45.0
"""Seconds that compiling a network for two sizes is assumed to take."""
GAIN = 0.95
"""A way must take less than this much of the eager way's time."""
_LEAST_ROUNDS, _MOST_ROUNDS = 3, 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One way, one row of the table."""

    way: str
    status: str = "measured"
    """measured, failed, not_applicable, not_run."""
    network: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds within the networks, by number of rows; the median of all rounds."""
    whole: Mapping[str, float] = field(default_factory=dict)
    """The same for whole answers: rows are read and prepared too."""
    prepared: float | None = None
    """Seconds until it first answered."""
    difference: float | None = None
    """The largest from the golden answers: of probabilities, or in standard deviations of a number target."""
    reason: str = ""
    """Why it is not measured, or not taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeOff:
    """What came of it."""

    chosen: str
    why: str
    threads: int = 0
    seconds: float = 0.0
    timings: tuple[Timing, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"timings": [asdict(timing) for timing in self.timings]}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "BakeOff":
        """The inverse of :meth:`to_json`."""
        return cls(**{**raw, "timings": tuple(Timing(**timing) for timing in raw["timings"])})

    def lines(self) -> list[str]:
        """The table, for people."""
        return [f"runtime {self.chosen}: {self.why}", *(_line(timing) for timing in self.timings)]


def _line(timing: Timing) -> str:
    if not timing.network:
        return f"  {timing.way:<15} {timing.status.replace('_', ' ')}: {timing.reason}"
    times = ", ".join(
        f"{rows} row{'s' * (rows != '1')} {ms:.3g} ms (whole answer {timing.whole[rows]:.3g})"
        for rows, ms in timing.network.items()
    )
    return f"  {timing.way:<15} {times}{f'; {timing.reason}' if timing.reason else ''}"


def run_as(
    predictor: Predictor, golden: Golden | None, way: str, *, seconds: float = SECONDS
) -> tuple[Predictor, BakeOff]:
    """The predictor, run as asked for.

    Args:
        predictor: Of a bundle.
        golden: Its golden rows.
        way: "auto" for the fastest one, or one of :data:`WAYS`, whose answers to the golden rows are checked.
        seconds: For "auto".

    Raises:
        SpecError: There is no such way, or it cannot run this model.
        VerifyError: It answers the golden rows differently.
    """
    predictor = predictor.with_runtime("eager")  # whatever it was run as before
    if way == "auto":
        return bake_off(predictor, golden, seconds=seconds)
    if way not in WAYS:
        raise SpecError(f"unknown runtime {way!r}", where="runtime", hint=f"choose from auto, {', '.join(WAYS)}")
    if way == "eager":
        return predictor, BakeOff(chosen="eager", why="asked for")
    if reason := _why_not(way, list(leaves_of(predictor))):
        raise SpecError(f"{way} cannot run this model: {reason}", where="runtime", hint="choose auto or eager")
    fresh = predictor.with_runtime(way)
    if golden is not None:
        result = check_golden(fresh, golden)
        if not result.ok:
            problem = f"run by {way} the golden rows get other answers: {result.problems[0]}"
            raise VerifyError(problem, where="runtime", hint="choose auto or eager")
    return fresh, BakeOff(chosen=way, why="asked for")


def bake_off(
    predictor: Predictor, golden: Golden | None, *, seconds: float = SECONDS, ways: Sequence[str] = WAYS
) -> tuple[Predictor, BakeOff]:
    """The predictor, run in the fastest way whose answers agree with the golden ones.

    Args:
        predictor: Of a bundle, run as it was tested.
        golden: Its golden rows; None: there is nothing to measure on, so it stays as it is.
        seconds: For all of it.
        ways: That are tried.
    """
    from torch import get_num_threads

    leaves = list(leaves_of(predictor))
    if reason := _why_none(leaves, golden, seconds):
        return predictor, BakeOff(chosen="eager", why=reason, threads=get_num_threads())
    assert golden is not None  # or there would be a reason
    race = _Race(predictor, golden, leaves, seconds)
    found = [race.prepared(way) for way in ("eager", *(way for way in ways if way != "eager"))]
    race.run()
    chosen, why = race.choice()
    timings = tuple(race.timing(timing, chosen) for timing in found)
    spent = round(race.spent(), 2)
    told = BakeOff(chosen=chosen, why=why, threads=get_num_threads(), seconds=spent, timings=timings)
    return (predictor if chosen == "eager" else race.runners[chosen].bare()), told


def _why_none(leaves: Sequence[NetworkPredictor], golden: Golden | None, seconds: float) -> str:
    if not leaves:
        return "there is no network in it"
    if golden is None:
        return "the bundle has no golden rows to measure on"
    if seconds <= 0:
        return "no time was given to look for a faster one"
    if any(leaf.network.asks_targets(target) for leaf in leaves for target in leaf.network.targets):
        return "models that write are run as they were tested"
    return ""


def _why_not(way: str, leaves: Sequence[NetworkPredictor]) -> str:
    """Why a way is none for a model. Layouts are, where one of its networks reads pictures."""
    from trueweight.model.runtimes import why_not

    reasons = [why_not(way, leaf.network) for leaf in leaves]
    if not leaves:
        return "there is no network in it"
    if way.startswith("channels"):
        return "" if not all(reasons) else reasons[0]
    if way == "compiled" and not any(reasons) and any(_ragged(leaf) for leaf in leaves):
        return "rows differ in length, and each length would be compiled anew"
    return next(filter(None, reasons), "")


def _ragged(leaf: NetworkPredictor) -> bool:
    return any(sense.ragged for one in leaf.fields.values() for sense in one.layout().senses.values())


class _Clocked:
    """A runtime, and how long it was at work."""

    def __init__(self, run: Any) -> None:
        self.run, self.seconds = run, 0.0

    def __call__(self, *args: Any) -> Any:
        start = perf_counter()
        found = self.run(*args)
        self.seconds += perf_counter() - start
        return found


class _Runner:
    """A predictor run in one way, whose networks are timed."""

    def __init__(self, predictor: Predictor, way: str) -> None:
        from trueweight.model.runtimes import RUNTIMES

        self._original, self.clocks = predictor, list[_Clocked]()

        def clocked(network: Any) -> Any:
            self.clocks.append(_Clocked(RUNTIMES[way](network)))
            return self.clocks[-1]

        self.predictor = predictor.with_runtime(clocked)
        self.network: dict[str, list[float]] = {}
        self.whole: dict[str, list[float]] = {}

    def time(self, table: Table) -> float:
        """One answer; gives its seconds."""
        for clock in self.clocks:
            clock.seconds = 0.0
        start = perf_counter()
        self.predictor.predict(table, how=FORCED)
        whole, rows = perf_counter() - start, str(len(table))
        self.whole.setdefault(rows, []).append(1000 * whole)
        self.network.setdefault(rows, []).append(1000 * sum(clock.seconds for clock in self.clocks))
        return whole

    def bare(self) -> Predictor:
        """The predictor as it is to be kept, with what was made for it and without clocks."""
        made = iter(self.clocks)
        return self._original.with_runtime(lambda _: next(made).run)


class _Race:
    """Ways against each other.

    Args:
        predictor: As it was tested.
        golden: Its golden rows.
        leaves: Of it.
        seconds: For all of it.
    """

    def __init__(
        self, predictor: Predictor, golden: Golden, leaves: Sequence[NetworkPredictor], seconds: float
    ) -> None:
        self._predictor, self._golden, self._leaves = predictor, golden, leaves
        self._seconds, self._begun = seconds, perf_counter()
        self._tables = [golden.table.take(np.arange(1)), golden.table]
        self.runners: dict[str, _Runner] = {}
        self._round = 0.0
        """Seconds that a round of the eager way takes."""

    def spent(self) -> float:
        """Seconds so far."""
        return perf_counter() - self._begun

    def prepared(self, way: str) -> Timing:
        """Make a way ready and have it answer the golden rows; only then does it take part."""
        if reason := _why_not(way, self._leaves) if way != "eager" else "":
            return Timing(way=way, status="not_applicable", reason=reason)
        left = self._seconds - self.spent()
        needs = (COMPILING if way == "compiled" else 0.0) + (2 + _LEAST_ROUNDS) * self._round
        if needs > left:
            reason = f"out of time: it would take about {needs:.0f} s, and {max(left, 0):.1f} s are left"
            return Timing(way=way, status="not_run", reason=reason)
        start = perf_counter()
        try:
            runner = _Runner(self._predictor, way)
            result = check_golden(runner.predictor, self._golden)
            # The second time, kernels of these sizes are made and caches are warm.
            first = min(sum(runner.time(table) for table in self._tables) for _ in range(2))
        except Exception as error:  # compilers and kernels that are missing here raise whatever they like
            told = str(error).strip().partition("\n")[0][:200]
            return Timing(way=way, status="failed", reason=f"{type(error).__name__}: {told}")
        seconds = round(perf_counter() - start, 3)
        largest = max(result.largest.values(), default=0.0)
        difference = largest if math.isfinite(largest) else None
        if not result.ok:
            return Timing(
                way=way, status="failed", prepared=seconds, difference=difference,
                reason=f"other answers to the golden rows: {result.problems[0]}",
            )  # fmt: skip
        self._round = self._round or first
        runner.network.clear()
        runner.whole.clear()
        self.runners[way] = runner
        return Timing(way=way, prepared=seconds, difference=difference)

    def run(self) -> None:
        """Rounds, by turns, until the time is over or enough is known."""
        if len(self.runners) < 2:
            return
        for number in range(_MOST_ROUNDS):
            if number >= _LEAST_ROUNDS and self.spent() > self._seconds:
                return
            for runner in self.runners.values():
                for table in self._tables:
                    runner.time(table)

    def ratio(self, way: str) -> float:
        """Time within the networks to that of the eager way: the geometric mean over the sizes, in the first or the
        second half of the rounds, whichever is worse. What is faster is so each time."""
        ours, plain = self.runners[way].network, self.runners["eager"].network
        found = []
        for half in (0, 1):
            pairs = [(_half(ours[rows], half), _half(plain[rows], half)) for rows in plain]
            logs = [math.log(max(median(a), 1e-6) / max(median(b), 1e-6)) for a, b in pairs]
            found.append(math.exp(sum(logs) / len(logs)) if logs else 1.0)
        return max(found)

    def choice(self) -> tuple[str, str]:
        """The way that is taken, and why."""
        others = [way for way in self.runners if way != "eager"]
        if "eager" not in self.runners:
            return "eager", "it does not answer the golden rows as it should, so nothing can be compared with it"
        if not others:
            return "eager", "no other way can run this model here"
        best = min(others, key=self.ratio)
        share = self.ratio(best)
        if share >= GAIN:
            return "eager", f"no other way is at least {1 - GAIN:.0%} faster within the network"
        return best, f"{1 / share:.1f} times as fast as eager within the network, with the same answers"

    def timing(self, timing: Timing, chosen: str) -> Timing:
        """With what was measured."""
        runner = self.runners.get(timing.way)
        if runner is None:
            return timing
        if not runner.network:
            return replace(timing, status="not_run", reason="there is nothing to compare it with")
        network, whole = (
            {rows: round(median(ms), 4) for rows, ms in t.items()} for t in (runner.network, runner.whole)
        )
        return replace(timing, network=network, whole=whole, reason="taken" if timing.way == chosen else "")


def _half(times: Sequence[float], which: int) -> Sequence[float]:
    middle = (len(times) + 1) // 2
    return times[:middle] if which == 0 else times[len(times) - middle :]
