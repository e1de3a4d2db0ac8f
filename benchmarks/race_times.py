"""From what the race kept to times: targets, medians and ranges, who was fastest, which promises hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median, median_high, median_low
from typing import Any

from benchmarks.race_tasks import Promise, Task

Entry = dict[str, Any]

OURS = ("trueweight", "default")


def newest(entries: Sequence[Entry]) -> list[Entry]:
    """Of each system on each task, the runs of the version that was measured last, and of equal runs the later one. Of
    each task only what one machine gave: that of our last run beside which a rival ran, or of the last run at all."""
    ran = {(e["task"], e["machine"]) for e in entries if (e["who"], e["variant"]) != OURS}
    place = {e["task"]: e["machine"] for e in entries}
    place |= {
        e["task"]: e["machine"] for e in entries
        if (e["who"], e["variant"]) == OURS and (e["task"], e["machine"]) in ran
    }  # fmt: skip
    entries = [e for e in entries if e["machine"] == place[e["task"]]]
    last = {(e["task"], e["who"], e["variant"]): (e["identity"], e["machine"], e["threads"]) for e in entries}
    kept = {}
    for e in entries:
        if last[e["task"], e["who"], e["variant"]] == (e["identity"], e["machine"], e["threads"]):
            kept[e["task"], e["who"], e["variant"], e["seed"], e.get("budget"), e.get("cold")] = e
    return list(kept.values())


def of(entries: Sequence[Entry], task: Task, who: str, variant: str) -> list[Entry]:
    """One system's newest runs on a task."""
    return [e for e in newest(entries) if (e["task"], e["who"], e["variant"]) == (task.name, who, variant)]


def target_of(task: Task, entries: Sequence[Entry]) -> float | None:
    """The accuracy to be reached; None before a rival of reference has ended."""
    if task.targets:
        return task.targets[-1]
    ends = []
    for who in task.references:
        runs = [e["accuracy"] for e in of(entries, task, who, "default") if e["ended"] and e["epochs"]]
        ends += [median(runs)] if runs else []
    return max(ends, default=None)


@dataclass(frozen=True)
class Time:
    """Seconds of one system to one accuracy, over the seeds."""

    who: str
    variant: str
    seconds: float
    low: float
    high: float
    runs: int
    missed: int
    """Runs that did not get there. They count as endless in the median."""
    reached: bool
    """Whether the median run got there; if not, seconds are those after which the median of the others had not."""
    stopped: bool
    """Whether a run that did not get there was stopped, so that it might have later."""
    accuracy: float | None
    startup: float | None
    peak_mb: float
    reason: str | None
    """Why a run failed."""
    budget: float | None = None


def _middle(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def time_of(entries: Sequence[Entry], task: Task, who: str, variant: str, target: float, *, cold: bool = True
            ) -> Time | None:  # fmt: skip
    """Seconds to the target; None if the system was not run."""
    runs = of(entries, task, who, variant)
    if (who, variant) == OURS:
        runs = [_first_try(tries, target) for tries in _by_seed([e for e in runs if e["cold"] == cold])]
    if not runs:
        return None
    found = [_one(run, target) for run in runs]
    late = [run for run, (_, there) in zip(runs, found, strict=True) if not there]
    # of two runs, the worse one of ours and the better one of a rival: no doubt is to our favour
    middle = (median_high if (who, variant) == OURS else median_low)([s if there else inf for s, there in found])
    there = [seconds for seconds, reached in found if reached]
    return Time(
        who, variant, median([run["seconds"] for run in late]) if middle == inf else middle,
        min(there, default=inf), max(there, default=inf), len(runs), len(late), middle < inf,
        any(run["reason"] and run["reason"].startswith("stopped") for run in late),
        _middle([run["accuracy"] for run in runs]), _middle([run["startup"] for run in runs]),
        max(run["peak_mb"] for run in runs), next((run["reason"] for run in late if run["reason"]), None),
        _middle([run.get("budget") for run in runs]),
    )  # fmt: skip


def _by_seed(runs: Sequence[Entry]) -> Iterator[list[Entry]]:
    for seed in sorted({run["seed"] for run in runs}):
        yield sorted((run for run in runs if run["seed"] == seed), key=lambda run: run["budget"])


def _first_try(tries: Sequence[Entry], target: float) -> Entry:
    return next((run for run in tries if (run["accuracy"] or 0.0) >= target), tries[-1])


def _one(run: Entry, target: float) -> tuple[float, bool]:
    if "budget" in run:
        return run["seconds"], (run["accuracy"] or 0.0) >= target
    hit = next((epoch["seconds"] for epoch in run["epochs"] if epoch["accuracy"] >= target), None)
    return (run["seconds"], False) if hit is None else (hit, True)


def times(entries: Sequence[Entry], task: Task, target: float) -> list[Time]:
    """All systems' times but ours, in the order of the task."""
    found = (time_of(entries, task, who, variant, target) for who, variant in task.rivals)
    return [one for one in found if one]


def counting(promise: Promise, found: Sequence[Time]) -> list[Time]:
    """The rivals that a promise speaks of."""
    return [
        t for t in found
        if t.variant == promise.variant and (not promise.only or t.who in promise.only) and t.who not in promise.without
    ]  # fmt: skip


def fastest(task: Task, entries: Sequence[Entry], target: float) -> list[tuple[str, str]]:
    """Who runs with the other seeds too: the fastest that each promise speaks of, of each variant, and by hand."""
    found = [t for t in times(entries, task, target) if t.reached]
    groups = [counting(promise, found) for promise in task.promises]
    groups += [[t for t in found if t.variant == variant] for variant in ("default", "expert", "hand")]
    best = {min(group, key=lambda t: t.seconds) for group in groups if group}
    return [(who, variant) for who, variant in task.rivals if (who, variant) in {(t.who, t.variant) for t in best}]


@dataclass(frozen=True)
class Verdict:
    """What came of a promise."""

    ratio: float | None
    """Our seconds over those of the fastest rival; an upper bound of it if that one was stopped before."""
    bound: bool
    rival: str | None
    kept: bool | None
    """None: not decided by what was measured."""


def judged(entries: Sequence[Entry], task: Task, promise: Promise) -> Verdict | None:
    """Hold our time against that of the rivals; None if it was not measured."""
    target = target_of(task, entries)
    own = None if target is None else time_of(entries, task, *OURS, target, cold=not promise.warm)
    if target is None or own is None:
        return None
    if not own.reached:
        return Verdict(None, False, None, False)
    rivals = counting(promise, times(entries, task, target))
    there = [t for t in rivals if t.reached]
    if there:
        best = min(there, key=lambda t: t.seconds)
        ratio = own.seconds / best.seconds
        return Verdict(ratio, False, best.who, ratio <= promise.ratio)
    stopped = [t for t in rivals if t.stopped]
    if not stopped:
        return Verdict(None, False, None, True if rivals else None)
    best = min(stopped, key=lambda t: t.seconds)
    ratio = own.seconds / best.seconds
    return Verdict(ratio, True, best.who, True if ratio <= promise.ratio else None)
