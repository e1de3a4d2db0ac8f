"""Results on disk, one entry per process that ran, found again by what it was: so that a harness can be resumed."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from trueweight.files import write_atomic

HERE = Path(__file__).parent
RESULTS = HERE / "results"

Entry = dict[str, Any]


def machine() -> str:
    """Cores, processor and system; no host name."""
    return f"{os.cpu_count()} cores, {_processor()}, {platform.system()}"


def _processor() -> str:
    """Its name where the system tells one: absolute times of two makers' cores are not to be compared. Else the
    architecture."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        told = ""
    names = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")]
    return names[0] if names and names[0] else platform.machine()


def commit(folder: str = ".") -> str:
    """The last commit that touched a folder of the project."""
    asked = ["git", "log", "-1", "--format=%h", "--", folder]
    found = subprocess.run(asked, cwd=HERE.parent, capture_output=True, text=True, check=False).stdout.strip()
    return found or "no commit"


def ours() -> str:
    """What of ours is measured: release, last commit of the sources, torch."""
    return f"{version('trueweight')} ({commit('src')}), torch {version('torch')}"


@lru_cache
def pins(python: Path, names: tuple[str, ...]) -> str | None:
    """Versions of the named packages in another virtual environment; None if one of them is not there."""
    asked = f"import importlib.metadata as m; print(*(f'{{n}} {{m.version(n)}}' for n in {names!r}), sep=', ')"
    try:
        found = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return None if found.returncode else found.stdout.strip()


class Kept:
    """A list of entries in a JSON file. An entry is known by its key: equal key, equal run."""

    def __init__(self, path: Path, *, retry: bool = False) -> None:
        self.path, self.retry = path, retry
        self.entries: list[Entry] = json.loads(path.read_text()) if path.exists() else []
        self._before = len(self.entries)

    def find(self, **key: Any) -> Entry | None:
        """The newest entry with this key on this kind of machine; not one that failed before, if those are retried."""
        asked = key | {"machine": machine()}
        for place in range(len(self.entries) - 1, -1, -1):
            entry = self.entries[place]
            if all(entry.get(name) == value for name, value in asked.items()):
                return None if self.retry and place < self._before and entry.get("reason") else entry
        return None

    def add(self, found: Mapping[str, Any], **key: Any) -> Entry:
        """Keep an entry, with the day, the machine and the commit of the harness."""
        said = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "commit": commit()}
        self.entries.append({**key, **said, **found})
        self.path.parent.mkdir(exist_ok=True)
        write_atomic(self.path, (json.dumps(self.entries, indent=1) + "\n").encode())
        return self.entries[-1]
