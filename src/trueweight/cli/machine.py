"""Settings of the process that only a program, never a library, may make."""

import os
from pathlib import Path

__all__ = ["physical_cores", "prepare_torch"]


def physical_cores() -> int:
    """Cores this process may use, counting two hyper-threads as one.

    Matrix products gain nothing from a second thread on the same core.
    """
    allowed = os.sched_getaffinity(0)
    cores = {_siblings(number) for number in allowed}
    return max(1, min(len(cores), _quota() or len(cores)))


def _siblings(number: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return str(number)


def _quota() -> int | None:
    """Whole processors that a container may use, if it is limited (cgroup version 2)."""
    try:
        limit, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(1, int(limit) // int(period))


def prepare_torch() -> None:
    """Threads as many as physical cores, unless OMP_NUM_THREADS says otherwise; tiny numbers count as zero.

    Denormal numbers are up to a hundred times slower, and no weight of use is that small.
    """
    import torch

    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(physical_cores())
    torch.set_flush_denormal(True)
