"""Settings of the process that only a program, never a library, may make."""

import gc
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType

__all__ = ["leave_pandas_out", "physical_cores", "prepare_torch", "quota", "torch_meanwhile"]


def physical_cores() -> int:
    """Cores this process may use, counting two hyper-threads as one.

    Matrix products gain nothing from a second thread on the same core.
    """
    allowed = os.sched_getaffinity(0)
    cores = {_siblings(number) for number in allowed}
    return max(1, min(len(cores), int(quota() or len(cores))))


def _siblings(number: int) -> str:
    try:
        return Path(f"/sys/devices/system/cpu/cpu{number}/topology/thread_siblings_list").read_text().strip()
    except OSError:
        return str(number)


def quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Processors' worth of time that a container may use; None if it is not limited.

    Args:
        root: Where control groups are told of, of version 2 or 1.
    """
    try:
        limit, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        except OSError:
            return None
    limited = limit.strip().isdigit() and int(period) > 0  # "max", or -1 where there is no limit
    return int(limit) / int(period) if limited else None


def prepare_torch() -> None:
    """Threads as many as physical cores, unless OMP_NUM_THREADS says otherwise; tiny numbers count as zero.

    Denormal numbers are up to a hundred times slower, and no weight of use is that small.
    """
    with _uncollected():
        import torch

    if not os.environ.get("OMP_NUM_THREADS"):
        torch.set_num_threads(physical_cores())
    torch.set_flush_denormal(True)


@contextmanager
def torch_meanwhile() -> Iterator[None]:
    """A thread imports torch from here on, which takes a second, while data is read: whoever imports it waits then.

    On one core nothing is gained by it.
    """
    if "torch" in sys.modules or physical_cores() == 1:
        yield
        return
    thread = threading.Thread(target=_import_torch, args=(sys.getswitchinterval(),), name="import torch")
    sys.setswitchinterval(_SWITCHING)
    thread.start()
    try:
        yield
    finally:
        thread.join()


_SWITCHING = 5e-4
"""Seconds that a thread keeps the interpreter while another one wants it: much of what reads data lets go of it for a
few milliseconds, and would wait as long again each time."""


def _import_torch(usual: float) -> None:
    try:
        with suppress(Exception), _uncollected():  # whoever needs torch will hear of it
            import torch  # noqa: F401
    finally:
        sys.setswitchinterval(usual)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No cycles are looked for while torch is imported, nor later among what it has made, which is there to stay.

    Going through its half a million things takes a tenth of the import, and as long again at every full collection.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class _NoPandas:
    """Tells whoever asks for pandas that there is none."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:  # noqa: ARG002  # of the protocol
        if name == "pandas":
            raise ModuleNotFoundError("not needed here", name=name)


def leave_pandas_out() -> None:
    """Keep Arrow from importing pandas, which takes longer than all that ``check`` does.

    Arrow looks for pandas when it makes its first array, to know pandas' types when it meets them; files never hold
    any. It looks once, and again when somebody asks for a data frame, who then gets one.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    nobody = _NoPandas()
    sys.meta_path.insert(0, nobody)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(nobody)
