"""What around a process decides how fast it computes: cores, threads, memory, and who else is there."""

import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trueweight.cli.machine import physical_cores, quota

__all__ = ["Surroundings", "advice", "hints"]

_ALLOCATORS = ("jemalloc", "tcmalloc", "mimalloc")
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_MALLOC = (
    "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD",
    "THP_MEM_ALLOC_ENABLE",
)  # fmt: skip
_CHECKING = ("MALLOC_CHECK_", "MALLOC_PERTURB_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What was found."""

    threads: int
    """Torch's."""
    cores: int
    """Physical ones that this process may use."""
    processors: int
    """Logical ones of the machine."""
    allowed: int
    """Logical ones that this process may run on."""
    quota: float | None
    """Processors' worth of time that a container may use; None: no limit."""
    load: float | None
    """Processes that wanted to compute, mean of the last minute; None where the system does not say."""
    flushes: bool
    """Whether numbers too small for full precision count as zero."""
    allocator: str
    """"glibc 2.36", "jemalloc"."""
    offered: str
    """Path of another allocator's library that is installed; "" if there is none."""
    huge_pages: str
    """"always", "madvise", "never", or "" where the system has none."""
    environment: Mapping[str, str]
    """Those variables that matter here."""

    @classmethod
    def here(cls, *, threads: int, flushes: bool) -> "Surroundings":
        """Of this process.

        Args:
            threads: Torch's.
            flushes: What torch says of numbers too small for full precision.
        """
        named = (*_THREADS, *_MALLOC, *_CHECKING, "PYTHONMALLOC")
        return cls(
            threads=threads, cores=physical_cores(), processors=os.cpu_count() or 1, allowed=_allowed(), quota=quota(),
            load=_load(), flushes=flushes, allocator=_allocator(), offered=_offered(), huge_pages=_huge_pages(),
            environment={name: os.environ[name] for name in named if os.environ.get(name)},
        )  # fmt: skip

    def facts(self) -> dict[str, str]:
        """In words, for the table."""
        quota = "" if self.quota is None else f", time of {self.quota:g} by the container's limit"
        load = "unknown" if self.load is None else f"{self.load:.1f} over the last minute"
        set_here = ", ".join(f"{name}={value}" for name, value in self.environment.items()) or "none that matter here"
        return {
            "threads": f"{self.threads} ({self.cores} physical cores, {self.allowed} of {self.processors} processors"
            f" allowed{quota})",
            "load": load,
            "denormals": "count as zero" if self.flushes else "kept",
            "allocator": self.allocator,
            "huge pages": self.huge_pages or "none",
            "variables": set_here,
        }


def advice(found: Surroundings) -> Iterator[str]:
    """What may be in the way, each with what to do."""
    yield from _of_threads(found)
    yield from _of_memory(found)
    if found.load is not None and found.load > found.cores:
        yield (
            f"the machine is busy: {found.load:.1f} processes wanted to compute in the last minute, and there are"
            f" {found.cores} cores. Budgets in time buy fewer steps and timings are off: stop other programs, or wait"
        )
    if not found.flushes:
        yield (
            "numbers too small for full precision are kept, and can be a hundred times slower: this processor or build"
            " of torch has no mode without them; if training slows down as it goes on, raise the optimizer's eps or use"
            " less weight_decay"
        )


def _of_threads(found: Surroundings) -> Iterator[str]:
    counts = {name: found.environment[name] for name in _THREADS if name in found.environment}
    wrong = [name for name, value in counts.items() if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", value.strip())]
    for name in wrong:
        yield f"{name} is {counts[name]!r}, which is no number of threads: unset it, or set it to {found.cores}"
    if not wrong and len({value.split(",")[0].strip() for value in counts.values()}) > 1:
        told = ", ".join(f"{name}={value}" for name, value in counts.items())
        yield f"{told} disagree: set all to {found.cores}, or none"
    if found.threads > found.cores:
        yield (
            f"torch computes with {found.threads} threads on {found.cores} physical cores, where they wait for each"
            f" other: set OMP_NUM_THREADS={found.cores}, or unset it"
        )
    elif found.threads < found.cores and "OMP_NUM_THREADS" in counts:
        yield (
            f"torch computes with {found.threads} of {found.cores} physical cores, since OMP_NUM_THREADS says so: unset"
            " it, unless other programs need them"
        )
    if found.quota is not None and found.quota < 1:
        yield (
            f"the container may use {found.quota:g} of a processor, so that every step pauses: allow at least 1 (docker"
            " run --cpus 1, or limits.cpu)"
        )
    if found.allowed < found.processors:
        yield (
            f"this process may run on {found.allowed} of {found.processors} processors (taskset, a batch system or a"
            " container): start it without, or ask for more, if that was not meant"
        )


def _of_memory(found: Surroundings) -> Iterator[str]:
    env = found.environment
    for name in _CHECKING:
        if env.get(name, "0") != "0":
            yield f"{name} is set: each piece of memory is checked or filled, which is for finding faults; unset it"
    if "debug" in env.get("PYTHONMALLOC", ""):
        yield "PYTHONMALLOC=debug checks each piece of memory, which is for finding faults; unset it"
    preloaded = env.get("LD_PRELOAD", "")
    missed = next((name for name in _ALLOCATORS if name in preloaded and name not in found.allocator), None)
    if missed:
        yield f"LD_PRELOAD names {missed}, which was not loaded: see that {preloaded} exists"
    if env.get("MALLOC_ARENA_MAX") == "1" and found.threads > 1 and found.allocator.startswith("glibc"):
        yield (
            f"MALLOC_ARENA_MAX is 1, so that {found.threads} threads wait for each other when they need memory:"
            " unset it"
        )
    if found.huge_pages == "never" and found.allocator.startswith("glibc"):
        yield (
            "huge pages are switched off, which costs large networks time: as root, echo madvise >"
            " /sys/kernel/mm/transparent_hugepage/enabled, and set THP_MEM_ALLOC_ENABLE=1 for torch to ask for them"
        )


def hints(found: Surroundings) -> Iterator[str]:
    """What could make large networks faster and has to be tried: nothing is wrong."""
    tuned = {"MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"} & found.environment.keys()
    if found.allocator.startswith("glibc") and not tuned:
        another = "jemalloc or tcmalloc by LD_PRELOAD (none is installed)"
        other = f"LD_PRELOAD={found.offered}" if found.offered else another
        yield (
            "memory: glibc gives large tensors back to the system after each step and asks for them again. Try"
            " MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_MMAP_THRESHOLD_=1073741824 before the command, or"
            f" {other}; keep it if runs take more steps in their time"
        )
    if found.huge_pages == "madvise" and "THP_MEM_ALLOC_ENABLE" not in found.environment:
        yield "huge pages: torch asks for them where THP_MEM_ALLOC_ENABLE=1 is set; try it with large networks"


def _allowed() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _load() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _allocator() -> str:
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        maps = ""
    loaded = next((name for name in _ALLOCATORS if name in maps), None)
    return loaded or " ".join(platform.libc_ver()).strip() or "the system's"


def _offered() -> str:
    patterns = [f"{deep}lib{name}*.so*" for name in _ALLOCATORS for deep in ("", "*/")]
    found = (path for folder in _LIBRARIES for pattern in patterns for path in sorted(Path(folder).glob(pattern)))
    return str(next(found, ""))


def _huge_pages() -> str:
    try:
        text = Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    except OSError:
        return ""
    chosen = re.search(r"\[(\w+)\]", text)
    return chosen.group(1) if chosen else ""
