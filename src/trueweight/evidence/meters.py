"""What a piece of work cost: time, processor time, memory; and on which machine."""

import os
import platform
import resource
import sys
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from trueweight.evidence.record import Entry, Method

__all__ = ["Meter", "Reading", "Stages", "machine"]

_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes to a unit of ru_maxrss: macOS counts bytes, Linux KiB."""

_PACKAGES = ("torch", "numpy", "pyarrow", "trueweight")


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement of a meter."""

    wall_seconds: float
    cpu_seconds: float
    """Of this process and of finished children, all threads."""
    peak_memory_bytes: int
    """Largest resident set of the process since it started, so never less than before the work."""
    memory_growth_bytes: int
    """By how much the work raised that peak; 0 if it stayed below an earlier one."""

    def entries(self, work: str) -> list[Entry]:
        """Readings for the evidence; they are no estimates, so they have neither n nor interval.

        Args:
            work: What was measured, e.g. "train". Becomes part of the ids: "cost/train/wall_seconds".
        """
        units = {
            "wall_seconds": "s", "cpu_seconds": "s", "peak_memory_bytes": "bytes", "memory_growth_bytes": "bytes",
        }  # fmt: skip
        values = {"wall_seconds": self.wall_seconds, "cpu_seconds": self.cpu_seconds}
        values |= {"peak_memory_bytes": self.peak_memory_bytes, "memory_growth_bytes": self.memory_growth_bytes}
        how = {"s": Method("clock"), "bytes": Method("peak resident set")}
        return [
            Entry(id=f"cost/{work}/{name}", axis="cost", metric=name, value=value, unit=units[name],
                  method=how[units[name]])
            for name, value in values.items()
        ]  # fmt: skip

    def seconds(self, work: str) -> list[Entry]:
        """The two readings of time alone, for a part of the work. The metric names the part, so that a gate on
        ``wall_seconds`` still means the whole; see :meth:`entries`."""
        timed = [entry for entry in self.entries(work) if entry.unit == "s"]
        return [replace(entry, metric=f"{entry.metric} of {work}") for entry in timed]


class Meter:
    """Measures what happens inside a ``with`` block.

    Example:
        >>> with Meter() as meter:
        ...     total = sum(range(1000))
        >>> meter.reading().wall_seconds >= 0
        True
    """

    def __init__(self) -> None:
        self._start: tuple[float, float, int] | None = None
        self._stop: tuple[float, float, int] | None = None

    def __enter__(self) -> Self:
        self._start, self._stop = _now(), None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop = _now()

    def reading(self) -> Reading:
        """What the block has cost, until now while it is still running.

        Raises:
            RuntimeError: The block was never entered.
        """
        if self._start is None:
            raise RuntimeError("a Meter is read inside or after its with block")
        start, stop = self._start, self._stop or _now()
        return Reading(stop[0] - start[0], stop[1] - start[1], stop[2], stop[2] - start[2])


class Stages:
    """Wall seconds of the stages that a run goes through, one after another, before it takes its first step."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._seconds: dict[str, float] = {}

    def end(self, stage: str) -> None:
        """Note that a stage, which began when the one before ended, is over."""
        now = time.perf_counter()
        self._seconds[stage], self._last = now - self._last, now

    def entries(self) -> list[Entry]:
        """A reading for each stage: "cost/start/reading"."""
        return [
            Entry(id=f"cost/start/{stage.replace(' ', '_')}", axis="cost", metric=f"seconds of {stage}",
                  value=round(seconds, 3), unit="s", method=Method("clock"))
            for stage, seconds in self._seconds.items()
        ]  # fmt: skip


def _now() -> tuple[float, float, int]:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return time.perf_counter(), cpu, _peak_memory() or own.ru_maxrss * _RSS_UNIT


def _peak_memory() -> int:
    """Linux's own record, or 0. There ru_maxrss starts with what the process that launched us had in use."""
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass  # no such file outside Linux
    return 0


def machine() -> dict[str, Any]:
    """Facts about where this runs, plain JSON, without names of the host or its user.

    Versions are given only of packages that are imported already: asking must not load torch.
    """
    versions = {name: str(sys.modules[name].__version__) for name in _PACKAGES if name in sys.modules}
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "usable_cpus": _usable_cpus(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "versions": versions,
    }


def _usable_cpus() -> int | None:
    """Cores that this process may run on, which in a container are often fewer than there are."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass  # no such file outside Linux
    return platform.processor()
