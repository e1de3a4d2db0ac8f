"""A command in a process of its own: how long it took, how much memory it and its children held, how it ended."""

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BEGAN = "RACE_BEGAN"
"""Where the process finds the moment of its start, on the clock that all processes of a machine share."""

_PAUSE_MS = 100
_LAST = 2000
"""Characters of the error output that are kept."""


@dataclass(frozen=True)
class Ended:
    """What is known of a process that is over."""

    code: int | None
    """None: it was stopped at the limit."""
    out: str
    errors: str
    seconds: float
    peak_mb: float
    """Most memory of the process and its descendants together, looked at ten times a second; or, if that is more, the
    most that the process alone ever held."""

    @property
    def reason(self) -> str | None:
        """Why it failed, in a line; None if it did not."""
        if self.code is None:
            return f"stopped after {self.seconds:.0f} s"
        if self.code == 0:
            return None
        said = [line.strip() for line in self.errors.splitlines() if line.strip()] or ["nothing said"]
        last = said[-3:] if said[-1].startswith("hint:") else said[-1:]  # our errors end with a remedy
        return f"ended with {self.code}: {' '.join(last)[:300]}"


def run(command: Sequence[str | Path], folder: Path, *, limit: float, threads: int,
        env: Mapping[str, str] | None = None) -> Ended:  # fmt: skip
    """Run a command to its end, or to the limit in seconds. It sees ``threads`` cores, whatever it asks for."""
    asked = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore", **(env or {})}
    asked.pop("PYTHONDONTWRITEBYTECODE", None)  # whoever installs a package has it compiled, ours as well as theirs
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        start = time.monotonic()
        asked[BEGAN] = repr(start)
        process = subprocess.Popen([str(word) for word in command], cwd=folder, env=asked, stdout=out, stderr=errors,
                                   start_new_session=True)  # fmt: skip
        os.sched_setaffinity(process.pid, sorted(os.sched_getaffinity(0))[:threads])
        peak, stopped = _watch(process, start + limit)
        seconds = time.monotonic() - start
        for stream in (out, errors):
            stream.seek(0)
        code = None if stopped else process.returncode
        return Ended(code, out.read(), errors.read()[-_LAST:], seconds, round(peak / 2**20, 1))


def _watch(process: subprocess.Popen[bytes], until: float) -> tuple[int, bool]:
    """Bytes at most, and whether it had to be stopped."""
    end = os.pidfd_open(process.pid)
    waiting = select.poll()
    waiting.register(end, select.POLLIN)
    peak, stopped = 0, False
    try:
        while not waiting.poll(_PAUSE_MS):
            peak = max(peak, memory_of(process.pid), _status(process.pid, "VmHWM"))
            if time.monotonic() > until:
                stopped = True
                break
    finally:
        os.close(end)
        if stopped or process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return peak, stopped


def memory_of(process: int) -> int:
    """Bytes that a process and its descendants hold at this moment."""
    return sum(_status(child, "VmRSS") for child in _tree(process))


def _tree(process: int) -> Iterator[int]:
    """The process and its descendants."""
    yield process
    for task in Path(f"/proc/{process}/task").glob("*"):
        try:
            children = (task / "children").read_text().split()
        except OSError:  # ended meanwhile
            continue
        for child in children:
            yield from _tree(int(child))


def _status(process: int, field: str) -> int:
    """A field of /proc/PID/status in bytes, 0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)
